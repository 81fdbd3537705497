package wal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// model is what a log must show, written the obvious way.
type model struct {
	groups map[raftpb.GroupID]*modelGroup
}

type modelGroup struct {
	first   raftpb.Index
	prev    raftpb.Term
	entries []raftpb.Entry
	hard    HardState
	snap    Snapshot
}

func newModel() *model { return &model{groups: map[raftpb.GroupID]*modelGroup{}} }

func (m *model) group(id raftpb.GroupID) *modelGroup {
	g := m.groups[id]
	if g == nil {
		g = &modelGroup{first: 1}
		m.groups[id] = g
	}
	return g
}

func (g *modelGroup) last() raftpb.Index { return g.first + raftpb.Index(len(g.entries)) - 1 }

func (g *modelGroup) term(i raftpb.Index) raftpb.Term {
	if i == g.first-1 {
		return g.prev
	}
	return g.entries[i-g.first].Term
}

func (g *modelGroup) truncate(from raftpb.Index) {
	if from <= g.last() {
		g.entries = g.entries[: from-g.first : from-g.first]
	}
}

func (g *modelGroup) append(first raftpb.Index, es []raftpb.Entry) {
	g.truncate(first)
	g.entries = append(g.entries, es...)
}

func (g *modelGroup) compact(to raftpb.Index) {
	if to <= g.first {
		return
	}
	g.prev = g.term(to - 1)
	g.entries = slices.Clone(g.entries[to-g.first:])
	g.first = to
}

func (g *modelGroup) install(s Snapshot) {
	if s.Index <= g.last() && g.term(s.Index) == s.Term {
		g.compact(s.Index + 1)
	} else {
		g.first, g.prev, g.entries = s.Index+1, s.Term, nil
	}
	g.snap = s
}

// String tells everything about the model; two logs are equal when it is.
func (m *model) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(m.groups)) {
		g := m.groups[id]
		if g.last() == 0 && g.hard == (HardState{}) && g.snap.Index == 0 && len(g.snap.Data) == 0 {
			continue
		}
		describe(&b, id, g.first, g.prev, g.hard, g.snap, g.entries)
	}
	return b.String()
}

func describe(
	b *strings.Builder, id raftpb.GroupID, first raftpb.Index, prev raftpb.Term, hard HardState, snap Snapshot,
	es []raftpb.Entry,
) {
	fmt.Fprintf(b, "group %d from %d after term %d, %v, snapshot %d@%d %q:", id, first, prev, hard, snap.Index, snap.Term, snap.Data)
	for _, e := range es {
		fmt.Fprintf(b, " %d/%d/%x", e.Term, len(e.Body), e.Crc32c)
	}
	b.WriteByte('\n')
}

// showLog describes a log as model.String does. Every body is read.
func showLog(l *Log) (string, error) {
	var b strings.Builder
	for _, id := range l.Groups() {
		g := l.Group(id)
		first, last := g.FirstIndex(), g.LastIndex()
		prev, err := g.Term(first - 1)
		if err != nil {
			return "", err
		}
		var es []raftpb.Entry
		if last >= first {
			if es, err = g.Entries(nil, first, last+1, 1<<30); err != nil {
				return "", fmt.Errorf("group %d: %w", id, err)
			}
		}
		for i, e := range es {
			if term, err := g.Term(first + raftpb.Index(i)); err != nil || term != e.Term {
				return "", fmt.Errorf("group %d: term of %d is %d, %v, the entry says %d", id, first+raftpb.Index(i), term, err, e.Term)
			}
		}
		describe(&b, id, first, prev, g.HardState(), g.Snapshot(), es)
	}
	return b.String(), nil
}

// counterGroup's commit index counts the batches, so that a recovered log tells
// which of them it has.
const counterGroup = 99

// generator makes random batches that are valid for its model.
type generator struct {
	rng    *rand.Rand
	m      *model
	groups int
	n      raftpb.Index // batches made
}

func newGenerator(seed uint64, groups int) *generator {
	return &generator{rng: rand.New(rand.NewPCG(seed, 99)), m: newModel(), groups: groups}
}

func (g *generator) size() int {
	switch g.rng.IntN(20) {
	case 0:
		return 20000
	case 1, 2, 3:
		return 1000 + g.rng.IntN(3000)
	}
	return g.rng.IntN(300)
}

func (g *generator) entries(first raftpb.Index, term raftpb.Term) []raftpb.Entry {
	es := make([]raftpb.Entry, 1+g.rng.IntN(4))
	for i := range es {
		if g.rng.IntN(10) == 0 {
			term++
		}
		es[i] = entriesOf(term, first+raftpb.Index(i), 1, g.size())[0]
	}
	return es
}

// fill makes the next batch and moves the model. It reports whether the batch
// needs no sync.
func (g *generator) fill(b *Batch) (noSync bool) {
	g.n++
	b.Reset()
	b.HardState(counterGroup, HardState{Commit: g.n})
	g.m.group(counterGroup).hard = HardState{Commit: g.n}
	if g.rng.IntN(8) == 0 {
		b.NoSync()
		id := raftpb.GroupID(1 + g.rng.IntN(g.groups))
		if m := g.m.groups[id]; m != nil && g.rng.IntN(2) == 0 {
			b.Compact(id, m.last()+1)
			m.compact(m.last() + 1)
		}
		return true
	}
	for range 1 + g.rng.IntN(3) {
		g.op(b, raftpb.GroupID(1+g.rng.IntN(g.groups)))
	}
	return false
}

func (g *generator) op(b *Batch, id raftpb.GroupID) {
	m := g.m.group(id)
	last := m.last()
	pick := func(lo, hi raftpb.Index) raftpb.Index { return lo + raftpb.Index(g.rng.IntN(int(hi-lo+1))) }
	switch k := g.rng.IntN(100); {
	case k < 55 || last < m.first:
		first := last + 1
		if k < 8 && last >= m.first {
			first = pick(m.first, last)
		}
		es := g.entries(first, max(1, m.term(last)))
		b.Append(id, first, es)
		m.append(first, es)
	case k < 75:
		m.hard = HardState{Term: m.hard.Term + 1, Vote: raftpb.NodeID(g.rng.IntN(5)), Commit: m.hard.Commit}
		b.HardState(id, m.hard)
	case k < 85:
		to := pick(m.first, last+1)
		b.Compact(id, to)
		m.compact(to)
	case k < 92:
		s := Snapshot{Index: pick(m.first, last+3), Term: m.term(last), Data: fmt.Append(nil, "image ", g.n)}
		b.Snapshot(id, s)
		m.install(s)
	case k < 96:
		from := pick(m.first, last)
		b.Truncate(id, from)
		m.truncate(from)
	case k < 98:
		i := pick(m.first, last) // a copy of what is there changes nothing
		b.Repair(id, i, m.entries[i-m.first])
	default:
		b.Destroy(id)
		delete(g.m.groups, id)
	}
}

// handClock stands still until the test moves it.
type handClock struct {
	now    time.Time
	timers []*handTimer
}

type handTimer struct {
	c   *handClock
	f   func()
	due time.Time // zero: stopped
}

func (c *handClock) Now() time.Time { return c.now }

func (c *handClock) NewTimer(f func()) Timer {
	t := &handTimer{c: c, f: f}
	c.timers = append(c.timers, t)
	return t
}

func (c *handClock) advance(d time.Duration) {
	c.now = c.now.Add(d)
	for _, t := range c.timers {
		if !t.due.IsZero() && !t.due.After(c.now) {
			t.due = time.Time{}
			t.f()
		}
	}
}

func (t *handTimer) Reset(d time.Duration) bool {
	was := !t.due.IsZero()
	t.due = t.c.now.Add(d)
	return was
}

func (t *handTimer) Stop() bool {
	was := !t.due.IsZero()
	t.due = time.Time{}
	return was
}
