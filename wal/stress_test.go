package wal

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Writers, readers, compactions, scrubs and recycling at once, on small segments;
// then Close in the middle of it. Every batch is answered once, nothing reads
// wrong, and what was acknowledged is there afterwards.
func TestStress(t *testing.T) {
	o := running(memFS())
	o.SegmentBytes, o.MaxFrameBytes, o.MaxQueuedBytes, o.CacheBytes = 64<<10, 16<<10, 48<<10, 16<<10
	o.forcePrefill = true
	l, _ := mustOpen(t, "wal", o)
	s := &stress{t: t, l: l, acked: make([]atomic.Int64, 12)}
	rounds := raftpb.Index(400)
	if testing.Short() {
		rounds = 100
	}
	var writers, readers sync.WaitGroup
	for id := range s.acked {
		writers.Go(func() { s.write(raftpb.GroupID(id), rounds) })
		readers.Go(func() { s.read(raftpb.GroupID(id)) })
	}
	readers.Go(s.scrub)
	writers.Wait()
	mustClose(t, l) // under the readers
	s.over.Store(true)
	readers.Wait()
	if n, m := s.answers.Load(), s.batches.Load(); n != m {
		t.Errorf("%d answers for %d batches", n, m)
	}
	if m := l.Metrics(); m.Recycled == 0 {
		t.Errorf("nothing was recycled: %+v", m)
	}
	l, _ = mustOpen(t, "wal", o)
	for id := range s.acked {
		g := l.Group(raftpb.GroupID(id))
		if acked := raftpb.Index(s.acked[id].Load()); g.LastIndex() < acked {
			t.Errorf("group %d ends at %d, %d was acknowledged", id, g.LastIndex(), acked)
		}
		readAll(t, g)
	}
	mustClose(t, l)
}

type stress struct {
	t                *testing.T
	l                *Log
	acked            []atomic.Int64
	answers, batches atomic.Int64
	over             atomic.Bool
}

// write appends, half of it without waiting, and compacts behind itself.
func (s *stress) write(id raftpb.GroupID, rounds raftpb.Index) {
	var b Batch
	for i := range rounds {
		b.Reset()
		b.Append(id, i+1, entriesOf(1, i+1, 1, 100+int(i%9)*700))
		if i%16 == 15 {
			b.Compact(id, i-8)
		}
		s.batches.Add(1)
		answer := func(err error) {
			s.answers.Add(1)
			if err == nil {
				s.acked[id].Store(int64(i) + 1)
			} else if !errors.Is(err, ErrClosed) {
				s.t.Errorf("group %d, batch %d: %v", id, i, err)
			}
		}
		if i%2 == 0 {
			s.l.Submit(&b, answer)
		} else {
			answer(s.l.Write(&b))
		}
	}
}

func (s *stress) read(id raftpb.GroupID) {
	g := s.l.Group(id)
	var buf ReadBuffer
	var es []raftpb.Entry
	for !s.over.Load() {
		first, last := g.FirstIndex(), g.LastIndex()
		if last < first {
			continue
		}
		var err error
		es, err = g.EntriesInto(&buf, es[:0], first, last+1, 8<<10)
		if err != nil && !errors.Is(err, ErrCompacted) && !errors.Is(err, ErrClosed) {
			s.t.Errorf("group %d: [%d, %d]: %v", id, first, last, err)
			return
		}
		for i := range es {
			if want := entriesOf(1, first+raftpb.Index(i), 1, len(es[i].Body)); string(es[i].Body) != string(want[0].Body) {
				s.t.Errorf("group %d: entry %d reads as %.20q", id, first+raftpb.Index(i), es[i].Body)
				return
			}
		}
	}
}

func (s *stress) scrub() {
	for !s.over.Load() {
		rep, err := s.l.Scrub(s.t.Context(), 0)
		if err != nil && !errors.Is(err, ErrClosed) {
			s.t.Errorf("scrub: %v", err)
		}
		if len(rep.Damage) > 0 {
			s.t.Errorf("scrub: %v", rep.Damage[0])
			return
		}
	}
}
