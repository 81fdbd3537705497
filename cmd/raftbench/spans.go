package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// span is the half-open range [Lo, Hi) of sequence numbers.
type span struct{ Lo, Hi uint64 }

// spans is a set of sequence numbers: sorted spans that neither overlap nor touch.
// A client that never meets an unknown outcome needs one span, whatever it has sent.
type spans []span

// add adds n and reports whether it was new.
func (s *spans) add(n uint64) bool {
	set := *s
	if last := len(set) - 1; last >= 0 && set[last].Hi == n { // the next in order
		set[last].Hi++
		return true
	}
	// i is the first span that ends at or behind n: the only one that can hold n or be
	// extended up to it; the one after it may begin right behind n.
	i, _ := slices.BinarySearchFunc(set, n, func(r span, n uint64) int {
		if r.Hi < n {
			return -1
		}
		return 1
	})
	if i < len(set) && set[i].Lo <= n && n < set[i].Hi {
		return false
	}
	after := i < len(set) && set[i].Hi == n
	before := i < len(set) && set[i].Lo == n+1
	switch {
	case after && i+1 < len(set) && set[i+1].Lo == n+1:
		set[i].Hi = set[i+1].Hi
		*s = slices.Delete(set, i+1, i+2)
	case after:
		set[i].Hi++
	case before:
		set[i].Lo--
	default:
		*s = slices.Insert(set, i, span{n, n + 1})
	}
	return true
}

// count returns how many numbers the set holds.
func (s spans) count() (n uint64) {
	for _, r := range s {
		n += r.Hi - r.Lo
	}
	return n
}

// missing returns the first number of want that the set lacks, and how many it
// lacks in all.
func (s spans) missing(want spans) (first, count uint64) {
	miss := func(lo, hi uint64) {
		if count == 0 {
			first = lo
		}
		count += hi - lo
	}
	i := 0
	for _, w := range want {
		lo := w.Lo
		for ; i < len(s) && s[i].Hi <= lo; i++ {
		}
		for j := i; j < len(s) && s[j].Lo < w.Hi; j++ {
			if s[j].Lo > lo {
				miss(lo, s[j].Lo)
			}
			lo = max(lo, s[j].Hi)
		}
		if lo < w.Hi {
			miss(lo, w.Hi)
		}
	}
	return first, count
}

// appendText appends the set as "1..5 7..9", half-open ranges.
func (s spans) appendText(b []byte) []byte {
	for i, r := range s {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, r.Lo, 10)
		b = append(b, ".."...)
		b = strconv.AppendUint(b, r.Hi, 10)
	}
	return b
}

// parseSpans reads what appendText wrote.
func parseSpans(text string) (spans, error) {
	var s spans
	for field := range strings.FieldsSeq(text) {
		lo, hi, ok := strings.Cut(field, "..")
		l, errLo := strconv.ParseUint(lo, 10, 64)
		h, errHi := strconv.ParseUint(hi, 10, 64)
		inOrder := l < h && (len(s) == 0 || s[len(s)-1].Hi < l)
		if !ok || errLo != nil || errHi != nil || !inOrder {
			return nil, fmt.Errorf("raftbench: parse spans: %q is out of order or no range", field)
		}
		s = append(s, span{l, h})
	}
	return s, nil
}
