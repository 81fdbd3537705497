// Package schedule is what every simulated world is made of: events in virtual
// time, random numbers of which each concern has its own, and a hash of all that
// happened. Equal seeds give equal worlds, bit for bit.
package schedule

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// Queue holds events by rising time; events of the same time come in the order in
// which they were pushed. It is a heap of four children per parent, of values. The
// zero Queue is empty.
type Queue[T any] struct {
	heap []item[T]
	seq  uint64
}

type item[T any] struct {
	at    int64
	seq   uint64
	value T
}

func (a *item[T]) before(b *item[T]) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// Len is how many events wait.
func (q *Queue[T]) Len() int { return len(q.heap) }

// NextAt is the time of the first event; false if there is none.
func (q *Queue[T]) NextAt() (at int64, ok bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// Push adds an event.
func (q *Queue[T]) Push(at int64, value T) {
	q.seq++
	x := item[T]{at, q.seq, value}
	q.heap = append(q.heap, x)
	h, i := q.heap, len(q.heap)-1
	for i > 0 {
		up := (i - 1) / 4
		if !x.before(&h[up]) {
			break
		}
		h[i], i = h[up], up
	}
	h[i] = x
}

// Pop takes the first event out. The queue must not be empty.
func (q *Queue[T]) Pop() (at int64, value T) {
	top := q.heap[0]
	last := len(q.heap) - 1
	x := q.heap[last]
	q.heap[last] = item[T]{}
	q.heap = q.heap[:last]
	if last > 0 {
		q.sink(x)
	}
	return top.at, top.value
}

// sink puts x where it belongs, from the top on.
func (q *Queue[T]) sink(x item[T]) {
	h, i := q.heap, 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for k := child + 1; k < min(child+4, len(h)); k++ {
			if h[k].before(&h[least]) {
				least = k
			}
		}
		if !h[least].before(&x) {
			break
		}
		h[i], i = h[least], least
	}
	h[i] = x
}

// Stream is one concern's random numbers: network, disk, clients. Drawing more for
// one concern does not move the others, so that a world changes little when one
// kind of fault is left out.
type Stream struct{ pcg rand.PCG }

// NewStream returns the stream number concern of a seed.
func NewStream(seed, concern uint64) Stream { return Stream{*rand.NewPCG(seed, concern)} }

// Uint64 returns 64 random bits.
func (s *Stream) Uint64() uint64 { return s.pcg.Uint64() }

// N returns a number in [0, n); 0 if n < 1.
func (s *Stream) N(n int64) int64 {
	if n < 1 {
		return 0
	}
	hi, _ := bits.Mul64(s.pcg.Uint64(), uint64(n))
	return int64(hi)
}

// Intn is N for an int.
func (s *Stream) Intn(n int) int { return int(s.N(int64(n))) }

// Between returns a number in [least, most].
func (s *Stream) Between(least, most int64) int64 { return least + s.N(most-least+1) }

// Float returns a number in [0, 1).
func (s *Stream) Float() float64 { return float64(s.pcg.Uint64()>>11) / (1 << 53) }

// Chance is true with probability p. It draws nothing if p is 0.
func (s *Stream) Chance(p float64) bool { return p > 0 && s.Float() < p }

// LogUniform returns a number in [least, most], each order of magnitude as likely as
// the next. least is above 0.
func (s *Stream) LogUniform(least, most float64) float64 {
	return least * math.Pow(most/least, s.Float())
}

// Hash sums up a run: two runs that have equal hashes at their ends did the same.
type Hash uint64

// Add takes v in.
func (h *Hash) Add(v uint64) {
	hi, lo := bits.Mul64(uint64(*h)^0x9E3779B97F4A7C15, v^0xA0761D6478BD642F)
	*h = Hash(hi ^ lo ^ bits.RotateLeft64(uint64(*h), 23))
}
