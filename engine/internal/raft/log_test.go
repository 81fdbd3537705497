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
	for range 50 {
		lo := Index(1 + rnd.IntN(100))
		ring, plain := tail{lo: lo, hi: lo}, []Entry{}
		size := func(lo, hi Index) (sum int) {
			for i := lo; i < hi; i++ {
				sum += len(plain[i-ring.lo].Body) + entryOverhead
			}
			return sum
		}
		for range 100 {
			switch rnd.IntN(6) {
			case 0, 1, 2:
				var more []Entry
				for range rnd.IntN(100) {
					more = append(more, command(Term(rnd.IntN(5)), string(make([]byte, rnd.IntN(200)))))
				}
				ring.append(more)
				plain = append(plain, more...)
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
			if a == b {
				continue
			}
			if got := ring.copyTo(nil, a, b); !slices.EqualFunc(got, plain[a-ring.lo:b-ring.lo], same) {
				t.Fatalf("copyTo(%d, %d) differs", a, b)
			}
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

// TestLogLookups holds the searches in a log, half of which lies in the store,
// against walking through it.
func TestLogLookups(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		terms := []Term{0}
		for range 1 + rnd.IntN(30) {
			terms = append(terms, terms[len(terms)-1]+Term(rnd.IntN(3)))
		}
		terms = terms[1:]
		terms[0] = max(terms[0], 1)
		for i := range terms[1:] {
			terms[i+1] = max(terms[i], terms[i+1])
		}
		store := newMemoryLog()
		l := raftLog{store: store, tail: tail{lo: 1, hi: 1}, keepBytes: 1 << 20}
		for _, term := range terms {
			e := command(term, "x")
			store.entries = append(store.entries, e)
			l.append([]Entry{e})
		}
		l.tail.drop(1 + Index(rnd.IntN(len(terms)+1)))
		low := Index(rnd.IntN(len(terms) + 1))
		high := low + Index(rnd.IntN(len(terms)-int(low)+1))
		limit := Term(rnd.IntN(20))
		want := low
		for i := low + 1; i <= high; i++ {
			if terms[i-1] <= limit {
				want = i
			}
		}
		if got := l.lastWithTerm(low, high, limit); got != want || l.err != nil {
			t.Fatalf("%v: lastWithTerm(%d, %d, %d) = %d, want %d, %v", terms, low, high, limit, got, want, l.err)
		}
		index, term := Index(rnd.IntN(40)), Term(rnd.IntN(20))
		last := terms[len(terms)-1]
		ahead := term > last || (term == last && index > Index(len(terms)))
		if got := l.endsBefore(index, term); got != ahead {
			t.Fatalf("log ends at %d in term %d: endsBefore(%d, %d) = %v", len(terms), last, index, term, got)
		}
		if _, ok := l.term(Index(len(terms)) + 1); ok {
			t.Fatal("a term behind the last entry")
		}
	}
}

// TestTrimKeepsWhatIsNeeded: what is not durable stays whatever the limits say;
// the rest goes from the front, first what is applied.
func TestTrimKeepsWhatIsNeeded(t *testing.T) {
	const size = 100 + entryOverhead
	for name, x := range map[string]struct {
		durable, applied    Index
		keep, unapplied     int
		wantFrom, wantUntil Index
	}{
		"nothing durable":        {0, 0, 0, 0, 1, 1},
		"all may go":             {10, 10, 0, 0, 11, 11},
		"within the limit":       {10, 10, 20 * size, 0, 1, 1},
		"down to the limit":      {10, 10, 4 * size, 0, 7, 7},
		"applied goes first":     {10, 3, 4 * size, 7 * size, 4, 4},
		"then what is unapplied": {10, 3, 4 * size, 2 * size, 9, 9},
		"but not the undurable":  {6, 3, 0, 0, 7, 7},
	} {
		l := raftLog{store: newMemoryLog(), tail: tail{lo: 1, hi: 1}, keepBytes: x.keep, unappliedMax: x.unapplied}
		for range 10 {
			l.append([]Entry{command(1, string(make([]byte, 100)))})
		}
		l.durable, l.applied = x.durable, x.applied
		l.trim()
		if l.tail.lo < x.wantFrom || l.tail.lo > x.wantUntil {
			t.Errorf("%s: tail begins at %d, want %d", name, l.tail.lo, x.wantFrom)
		}
	}
}
