package raft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// memoryLog is a Log in memory: what a disk holds, with a first index.
type memoryLog struct {
	first   Index // of entries[0]
	floor   Term  // term of first-1
	entries []Entry
	fail    error
}

func newMemoryLog() *memoryLog { return &memoryLog{first: 1} }

func (l *memoryLog) FirstIndex() Index { return l.first }
func (l *memoryLog) LastIndex() Index  { return l.first + Index(len(l.entries)) - 1 }

func (l *memoryLog) Term(i Index) (Term, error) {
	switch {
	case l.fail != nil:
		return 0, l.fail
	case i == l.first-1:
		return l.floor, nil
	case i < l.first || i > l.LastIndex():
		return 0, fmt.Errorf("term of %d wanted, log is [%d, %d]", i, l.first, l.LastIndex())
	}
	return l.entries[i-l.first].Term, nil
}

func (l *memoryLog) Entries(dst []Entry, lo, hi Index, maxBytes int) ([]Entry, error) {
	if l.fail != nil {
		return dst, l.fail
	}
	if lo < l.first || hi > l.LastIndex()+1 {
		return dst, fmt.Errorf("[%d, %d) wanted, log is [%d, %d]", lo, hi, l.first, l.LastIndex())
	}
	bytes := 0
	for i := lo; i < hi; i++ {
		e := l.entries[i-l.first]
		if bytes += len(e.Body); bytes > maxBytes && i > lo {
			break
		}
		dst = append(dst, e)
	}
	return dst, nil
}

// store does what a write of Effects says.
func (l *memoryLog) store(truncate, from Index, entries []Entry) {
	if truncate > 0 {
		l.entries = l.entries[:truncate-l.first]
	}
	if len(entries) > 0 {
		l.entries = append(l.entries[:from-l.first], entries...)
	}
}

func command(term Term, body string) Entry {
	return Entry{Term: term, Kind: raftpb.EntryKindCommand, Body: []byte(body)}
}

// TestTailAgainstSlice runs the ring beside a plain slice of entries.
func TestTailAgainstSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		lo := Index(1 + rnd.IntN(100))
		ring, plain := tail{lo: lo, hi: lo}, []Entry{}
		size := func(lo, hi Index) (sum int) {
			for i := lo; i < hi; i++ {
				sum += len(plain[i-ring.lo].Body) + entryOverhead
			}
			return sum
		}
		for range 300 {
			switch rnd.IntN(6) {
			case 0, 1, 2:
				for range rnd.IntN(20) {
					e := command(Term(rnd.IntN(5)), string(make([]byte, rnd.IntN(200))))
					ring.append(e)
					plain = append(plain, e)
				}
			case 3:
				i := ring.lo + Index(rnd.IntN(len(plain)+1))
				plain = plain[i-ring.lo:]
				ring.drop(i)
			case 4:
				if rnd.IntN(4) == 0 {
					i := ring.lo + Index(rnd.IntN(len(plain)+1))
					plain = plain[:i-ring.lo]
					ring.truncate(i)
				}
			case 5:
				if rnd.IntN(20) == 0 && ring.lo > 1 {
					plain = plain[:0]
					ring.truncate(ring.lo - 1)
				}
			}
			if int(ring.hi-ring.lo) != len(plain) {
				t.Fatalf("holds [%d, %d), want %d entries", ring.lo, ring.hi, len(plain))
			}
			a := ring.lo + Index(rnd.IntN(len(plain)+1))
			b := a + Index(rnd.IntN(int(ring.hi-a)+1))
			if got := ring.bytes(a, b); got != size(a, b) {
				t.Fatalf("bytes(%d, %d) = %d, want %d", a, b, got, size(a, b))
			}
			same := func(x, y Entry) bool { return x.Term == y.Term && len(x.Body) == len(y.Body) }
			if got := ring.copyTo(nil, a, b); !slices.EqualFunc(got, plain[a-ring.lo:b-ring.lo], same) {
				t.Fatalf("copyTo(%d, %d) differs", a, b)
			}
			if a < b {
				limit := rnd.IntN(3000)
				want := a + 1
				for want < b && size(a, want+1) <= limit {
					want++
				}
				if got := ring.fit(a, b, limit); got != want {
					t.Fatalf("fit(%d, %d, %d) = %d, want %d", a, b, limit, got, want)
				}
			}
		}
	}
}
