// Package workload decides what the clients of a benchmark do next: how large a command
// is, whether to read and what the read may see, and, in an open loop, when.
package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Sizes is a distribution of command sizes in bytes. It is a value: copy it freely.
type Sizes struct {
	text string
	// pieces are ranges of sizes; a fixed size is a range of one.
	pieces []piece
	total  int // of their weights
}

// piece is one range of sizes and how often it is drawn from.
type piece struct {
	lo, hi int
	zipf   bool // the chance of a size falls as 1/size; otherwise all are equally likely
	weight int
}

// ParseSizes reads a distribution; every size has to be in lo to hi.
//
//	128               always 128 bytes
//	uniform:16-1024   each size of the range as often as any other
//	zipf:16-65536     size s as often as 1/s: as many from 16 to 32 as from 32 to 64
//	64:90,4096:10     a list with weights: here 90 % and 10 %
func ParseSizes(text string, lo, hi int) (Sizes, error) {
	s := Sizes{text: text}
	var err error
	if kind, bounds, ok := strings.Cut(text, ":"); ok && (kind == "uniform" || kind == "zipf") {
		p := piece{zipf: kind == "zipf", weight: 1}
		if p.lo, p.hi, err = parseBounds(bounds); err == nil {
			s.pieces = []piece{p}
		}
	} else {
		s.pieces, err = parseList(text)
	}
	if err != nil {
		return Sizes{}, err
	}
	for _, p := range s.pieces {
		if p.lo < lo || p.hi > hi {
			return Sizes{}, fmt.Errorf("%s is not in %d to %d", text, lo, hi)
		}
		s.total += p.weight
	}
	return s, nil
}

func parseBounds(text string) (lo, hi int, err error) {
	first, last, _ := strings.Cut(text, "-")
	lo, err = parseSize(first)
	if err == nil {
		hi, err = parseSize(last)
	}
	if err == nil && lo > hi {
		err = fmt.Errorf("%d is above %d", lo, hi)
	}
	return lo, hi, err
}

func parseSize(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return n, nil
}

// parseList reads "SIZE" or "SIZE:WEIGHT,SIZE:WEIGHT".
func parseList(text string) (pieces []piece, err error) {
	for item, weight := range weighted(text) {
		p := piece{weight: weight}
		if p.lo, err = parseSize(item); err != nil {
			return nil, err
		}
		if weight < 1 || weight > maxWeight {
			return nil, fmt.Errorf("the weight of %q is not in 1 to %d", item, maxWeight)
		}
		p.hi = p.lo
		pieces = append(pieces, p)
	}
	return pieces, nil
}

const maxWeight = 1_000_000

// weighted iterates over "a:3,b:1" or "a,b"; the weight is 0 where it cannot be read.
func weighted(text string) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		for item := range strings.SplitSeq(text, ",") {
			name, number, has := strings.Cut(item, ":")
			weight := 1
			if has {
				weight, _ = strconv.Atoi(number) // 0 where it is no number: refused by the callers
			}
			if !yield(name, weight) {
				return
			}
		}
	}
}

// Next draws a size.
func (s Sizes) Next(r *rand.Rand) int {
	p := &s.pieces[0]
	if len(s.pieces) > 1 {
		at := r.IntN(s.total)
		for i := range s.pieces {
			p = &s.pieces[i]
			if at -= p.weight; at < 0 {
				break
			}
		}
	}
	switch {
	case p.lo == p.hi:
		return p.lo
	case p.zipf:
		// Density 1/x on [lo, hi+1): equal chances for equal ratios.
		return min(p.hi, int(float64(p.lo)*math.Pow(float64(p.hi+1)/float64(p.lo), r.Float64())))
	default:
		return p.lo + r.IntN(p.hi-p.lo+1)
	}
}

// Max returns the largest size there is.
func (s Sizes) Max() (n int) {
	for _, p := range s.pieces {
		n = max(n, p.hi)
	}
	return n
}

// Mean returns the mean size, rounded.
func (s Sizes) Mean() int {
	var sum float64
	for _, p := range s.pieces {
		mean := float64(p.lo+p.hi) / 2
		if p.zipf && p.lo < p.hi {
			mean = float64(p.hi-p.lo) / math.Log(float64(p.hi)/float64(p.lo))
		}
		sum += mean * float64(p.weight)
	}
	return int(math.Round(sum / float64(max(s.total, 1))))
}

// String returns the text that the distribution was read from.
func (s Sizes) String() string { return s.text }
