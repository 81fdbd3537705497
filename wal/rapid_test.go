package wal

import (
	"errors"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// modelMachine drives a log and its model side by side; rapid picks the actions and
// shrinks what fails.
type modelMachine struct {
	fs    *crashfs.FS
	clock *handClock
	l     *Log
	m     *model
	opens uint64
}

func (x *modelMachine) open(t *rapid.T) {
	x.opens++
	o := manual(x.fs)
	o.SegmentBytes, o.Random, o.Clock, o.CacheBytes = 16<<10, seed(x.opens), x.clock, 16<<10
	l, _, err := Open("wal", o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	x.l = l
}

func (x *modelMachine) write(t *rapid.T, fill func(b *Batch)) {
	var b Batch
	fill(&b)
	var got error
	answered := false
	x.l.Submit(&b, func(err error) { got, answered = err, true })
	if rapid.Bool().Draw(t, "flush") {
		for x.l.Step() {
		}
		if got != nil || !answered {
			t.Fatalf("answered %v: %v", answered, got)
		}
	}
}

func drawGroup(t *rapid.T) raftpb.GroupID {
	return raftpb.GroupID(rapid.IntRange(1, 3).Draw(t, "group"))
}

func drawIndex(t *rapid.T, lo, hi raftpb.Index) raftpb.Index {
	return raftpb.Index(rapid.IntRange(int(lo), int(hi)).Draw(t, "index"))
}

func (x *modelMachine) actions() map[string]func(*rapid.T) {
	all := x.changes()
	maps.Copy(all, x.lives())
	return all
}

// changes are what a batch can do.
func (x *modelMachine) changes() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			id := drawGroup(t)
			g := x.m.group(id)
			first := drawIndex(t, g.first, g.last()+1)
			es := entriesOf(raftpb.Term(rapid.IntRange(1, 9).Draw(t, "term")), first,
				rapid.IntRange(1, 5).Draw(t, "count"), rapid.IntRange(0, 4000).Draw(t, "size"))
			x.write(t, func(b *Batch) { b.Append(id, first, es) })
			g.append(first, es)
		},
		"hard state": func(t *rapid.T) {
			id := drawGroup(t)
			hs := HardState{Term: raftpb.Term(rapid.IntRange(1, 99).Draw(t, "term"))}
			x.write(t, func(b *Batch) { b.HardState(id, hs) })
			x.m.group(id).hard = hs
		},
		"compact": func(t *rapid.T) {
			id := drawGroup(t)
			g := x.m.groups[id]
			if g == nil {
				return
			}
			to := drawIndex(t, g.first, g.last()+1)
			x.write(t, func(b *Batch) { b.Compact(id, to) })
			g.compact(to)
		},
		"truncate": func(t *rapid.T) {
			id := drawGroup(t)
			g := x.m.groups[id]
			if g == nil {
				return
			}
			from := drawIndex(t, g.first, g.last()+1)
			x.write(t, func(b *Batch) { b.Truncate(id, from) })
			g.truncate(from)
		},
		"snapshot": func(t *rapid.T) {
			id := drawGroup(t)
			g := x.m.group(id)
			s := Snapshot{
				Index: drawIndex(t, g.first-1, g.last()+5), Term: raftpb.Term(rapid.IntRange(1, 9).Draw(t, "term")),
				Data: []byte("image"),
			}
			x.write(t, func(b *Batch) { b.Snapshot(id, s) })
			g.install(s)
		},
		"destroy": func(t *rapid.T) {
			id := drawGroup(t)
			x.write(t, func(b *Batch) { b.Destroy(id) })
			delete(x.m.groups, id)
		},
	}
}

// lives are what can happen to the log as a whole, and the comparison.
func (x *modelMachine) lives() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"idle": func(*rapid.T) {
			x.clock.advance(10 * time.Millisecond)
			for x.l.Step() {
			}
		},
		"reopen": func(t *rapid.T) {
			if err := x.l.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			x.open(t)
		},
		"kill": func(t *rapid.T) {
			for x.l.Step() {
			}
			_ = x.l.fail(errors.New("killed by the test"))
			_ = x.l.Close()
			x.open(t)
		},
		"": func(t *rapid.T) {
			got, err := showLog(x.l)
			if want := x.m.String(); err != nil || got != want {
				t.Fatalf("%v\n%s", err, firstDiff(got, want))
			}
		},
	}
}

// TestModel compares a log with a model after every one of many random actions.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &modelMachine{fs: crashfs.New(), clock: &handClock{now: time.Unix(1e9, 0)}, m: newModel()}
		x.open(t)
		t.Repeat(x.actions())
		crash(x.l)
	})
}
