package waltest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// TestLog checks a log on the directory and options that setup returns: what was
// acknowledged reads back, now and after a reopen; answers come in order; bounds
// and refusals are as documented. setup is called once per test and returns a
// directory without a log. Options.Manual must not be set.
func TestLog(t *testing.T, setup func(t *testing.T) (dir string, o wal.Options)) {
	tests := []struct {
		name string
		run  func(t *testing.T, s *store)
	}{
		{"append", testAppend},
		{"overwrite", testOverwrite},
		{"compact", testCompact},
		{"snapshot", testSnapshot},
		{"destroy", testDestroy},
		{"order", testOrder},
		{"refuse", testRefuse},
		{"groups", testGroups},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			dir, o := setup(t)
			s := &store{t: t, dir: dir, o: o}
			s.open()
			x.run(t, s)
			s.close()
		})
	}
}

// store is a log and how to open it again.
type store struct {
	*wal.Log
	t   *testing.T
	dir string
	o   wal.Options
}

func (s *store) open() {
	s.t.Helper()
	l, _, err := wal.Open(s.dir, s.o)
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	s.Log = l
}

func (s *store) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
}

// twice runs check on the log as it is and again after a reopen.
func (s *store) twice(check func()) {
	s.t.Helper()
	check()
	s.close()
	s.open()
	check()
}

func (s *store) write(fill func(b *wal.Batch)) {
	s.t.Helper()
	var b wal.Batch
	fill(&b)
	if err := s.Write(&b); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

// entries makes n entries of one term whose bodies tell them apart.
func entries(term raftpb.Term, first raftpb.Index, n int) []raftpb.Entry {
	es := make([]raftpb.Entry, n)
	for i := range es {
		body := fmt.Appendf(nil, "entry %d of term %d", first+raftpb.Index(i), term)
		es[i] = raftpb.Entry{
			Term: term, Kind: raftpb.EntryKindCommand, Body: body,
			Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, body),
		}
	}
	return es
}

func (s *store) has(id raftpb.GroupID, first raftpb.Index, want []raftpb.Entry) {
	s.t.Helper()
	g := s.Group(id)
	last := first + raftpb.Index(len(want)) - 1
	if g.FirstIndex() != first || g.LastIndex() != last {
		s.t.Fatalf("group %d is [%d, %d], want [%d, %d]", id, g.FirstIndex(), g.LastIndex(), first, last)
	}
	got, err := g.Entries(nil, first, last+1, 1<<30)
	if err != nil || len(got) != len(want) {
		s.t.Fatalf("group %d: %d entries of %d, %v", id, len(got), len(want), err)
	}
	for i := range got {
		if got[i].Term != want[i].Term || !bytes.Equal(got[i].Body, want[i].Body) || got[i].Crc32c != want[i].Crc32c {
			s.t.Errorf("group %d: entry %d is %v, want %v", id, first+raftpb.Index(i), got[i], want[i])
		}
		if term, err := g.Term(first + raftpb.Index(i)); term != want[i].Term || err != nil {
			s.t.Errorf("group %d: term of %d is %d, %v", id, first+raftpb.Index(i), term, err)
		}
	}
}

func testAppend(t *testing.T, s *store) {
	es := append(entries(1, 1, 3), entries(4, 4, 5)...)
	hs := wal.HardState{Term: 4, Vote: 2, Commit: 3}
	s.write(func(b *wal.Batch) { b.Append(1, 1, es[:5]); b.HardState(1, hs) })
	s.write(func(b *wal.Batch) { b.Append(1, 6, es[5:]) })
	s.twice(func() {
		s.has(1, 1, es)
		s.has(2, 1, nil)
		if got := s.Group(1).HardState(); got != hs {
			t.Errorf("hard state is %v", got)
		}
		one, err := s.Group(1).Entries(nil, 2, 9, 1)
		if err != nil || len(one) != 1 {
			t.Errorf("%d entries of at most one byte, %v", len(one), err)
		}
	})
}

func testOverwrite(_ *testing.T, s *store) {
	s.write(func(b *wal.Batch) { b.Append(1, 1, entries(1, 1, 10)) })
	s.write(func(b *wal.Batch) { b.Append(1, 4, entries(2, 4, 2)) })
	s.write(func(b *wal.Batch) { b.Truncate(1, 5) })
	s.twice(func() { s.has(1, 1, append(entries(1, 1, 3), entries(2, 4, 1)...)) })
}

func testCompact(t *testing.T, s *store) {
	s.write(func(b *wal.Batch) { b.Append(1, 1, entries(3, 1, 10)) })
	s.write(func(b *wal.Batch) { b.Compact(1, 8) })
	s.twice(func() {
		s.has(1, 8, entries(3, 8, 3))
		if term, err := s.Group(1).Term(7); term != 3 || err != nil {
			t.Errorf("term before the first entry is %d, %v", term, err)
		}
		if _, err := s.Group(1).Term(6); !errors.Is(err, wal.ErrCompacted) {
			t.Errorf("term of a compacted entry: %v", err)
		}
		if _, err := s.Group(1).Entries(nil, 7, 9, 1); !errors.Is(err, wal.ErrCompacted) {
			t.Errorf("a compacted entry: %v", err)
		}
		if _, err := s.Group(1).Entries(nil, 8, 12, 1); !errors.Is(err, wal.ErrUnavailable) {
			t.Errorf("an entry behind the end: %v", err)
		}
	})
}

func testSnapshot(t *testing.T, s *store) {
	s.write(func(b *wal.Batch) {
		b.Append(1, 1, entries(1, 1, 10))
		b.Append(2, 1, entries(1, 1, 10))
	})
	s.write(func(b *wal.Batch) {
		b.Snapshot(1, wal.Snapshot{Index: 6, Term: 1, Data: []byte("matches")})
		b.Snapshot(2, wal.Snapshot{Index: 6, Term: 2, Data: []byte("does not")})
		b.Snapshot(3, wal.Snapshot{Index: 70, Term: 9, Data: []byte("far ahead")})
	})
	s.twice(func() {
		s.has(1, 7, entries(1, 7, 4))
		s.has(2, 7, nil)
		s.has(3, 71, nil)
		if got := s.Group(3).Snapshot(); got.Index != 70 || got.Term != 9 || string(got.Data) != "far ahead" {
			t.Errorf("snapshot is %v", got)
		}
	})
}

func testDestroy(t *testing.T, s *store) {
	s.write(func(b *wal.Batch) { b.Append(1, 1, entries(1, 1, 10)); b.HardState(1, wal.HardState{Term: 5}) })
	s.write(func(b *wal.Batch) { b.Destroy(1) })
	s.twice(func() {
		s.has(1, 1, nil)
		if hs := s.Group(1).HardState(); hs != (wal.HardState{}) || len(s.Groups()) != 0 {
			t.Errorf("a destroyed group has %v in %v", hs, s.Groups())
		}
	})
	s.write(func(b *wal.Batch) { b.Append(1, 1, entries(2, 1, 1)) })
	s.twice(func() { s.has(1, 1, entries(2, 1, 1)) })
}

func testOrder(t *testing.T, s *store) {
	const n = 200
	var mu sync.Mutex
	var order []int
	var all sync.WaitGroup
	all.Add(n)
	var b wal.Batch
	for i := range n {
		b.Reset()
		b.Append(1, raftpb.Index(i+1), entries(1, raftpb.Index(i+1), 1))
		s.Submit(&b, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
			order = append(order, i)
			all.Done()
		})
		if last := s.Group(1).LastIndex(); last != raftpb.Index(i+1) {
			t.Fatalf("batch %d is not shown: log ends at %d", i, last)
		}
	}
	all.Wait()
	for i := range order {
		if order[i] != i {
			t.Fatalf("answer %d is for batch %d", i, order[i])
		}
	}
	s.twice(func() { s.has(1, 1, entries(1, 1, n)) })
}

func testRefuse(t *testing.T, s *store) {
	s.write(func(b *wal.Batch) { b.Append(1, 1, entries(1, 1, 3)) })
	var b wal.Batch
	b.HardState(1, wal.HardState{Term: 8})
	b.Append(1, 5, entries(1, 5, 1))
	if err := s.Write(&b); !errors.Is(err, wal.ErrBadBatch) {
		t.Errorf("a gap: %v", err)
	}
	if hs := s.Group(1).HardState(); hs.Term != 0 {
		t.Errorf("half of a refused batch is there: %v", hs)
	}
	s.twice(func() { s.has(1, 1, entries(1, 1, 3)) })
}

func testGroups(t *testing.T, s *store) {
	const groups, rounds = 20, 20
	var all sync.WaitGroup
	for id := range raftpb.GroupID(groups) {
		all.Go(func() {
			var b wal.Batch
			for i := range raftpb.Index(rounds) {
				b.Reset()
				b.Append(id, i+1, entries(raftpb.Term(id), i+1, 1))
				if err := s.Write(&b); err != nil {
					t.Errorf("group %d: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	s.twice(func() {
		for id := range raftpb.GroupID(groups) {
			s.has(id, 1, entries(raftpb.Term(id), 1, rounds))
		}
		if len(s.Groups()) != groups {
			t.Errorf("groups are %v", s.Groups())
		}
	})
}
