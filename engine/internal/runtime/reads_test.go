package runtime

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// reader notes its end.
type reader struct {
	ran  bool
	end  Rejection
	gone bool
}

func (r *reader) Run(raft.Index)   { r.ran = true }
func (r *reader) Gone() bool       { return r.gone }
func (r *reader) Fail(e Rejection) { r.end = e }

// Reads that wait for an index are bounded: over the bound those that nobody waits for
// make room, and then the next one is refused as busy. What waits when the group is left
// alone is told.
func TestReadsThatWaitForAnIndexAreBounded(t *testing.T) {
	a, g := &applier{}, &Group{}
	all := make([]reader, maxLateReads+3)
	for i := range maxLateReads {
		a.read(g, []read{{run: &all[i], least: 10}})
	}
	over := &all[maxLateReads]
	if a.read(g, []read{{run: over, least: 10}}); over.end.Reason != Busy {
		t.Errorf("over the bound: %v, want busy", over.end)
	}
	all[5].gone = true
	if a.read(g, []read{{run: &all[maxLateReads+1], least: 11}}); len(g.late) != maxLateReads {
		t.Errorf("%d reads wait, want %d", len(g.late), maxLateReads)
	}
	g.applied.Store(10)
	a.readLate(g)
	if !all[0].ran || !all[maxLateReads-1].ran || all[5].ran || all[maxLateReads+1].ran {
		t.Error("at index 10 those who want it run, and nobody else")
	}
	a.leave(g)
	if r := &all[maxLateReads+1]; r.ran || r.end.Reason != Stopped {
		t.Errorf("when the machine is left alone: %v, want stopped", r.end)
	}
	if g.ReadHere(0, func(raft.Index) {}) {
		t.Error("a machine that is left alone was read")
	}
}

// A read that the core refuses because too many wait is busy, not at the wrong node.
func TestTooManyReadsAreBusy(t *testing.T) {
	w := newWorker(&Host{cfg: Config{MaxInboxBytes: 1 << 20}})
	g := &Group{w: w}
	var busy, elsewhere reader
	g.asked.push(readBatch{id: 1, reads: []read{{run: &busy}}})
	g.asked.push(readBatch{id: 2, reads: []read{{run: &elsewhere}}})
	w.grant(g, raft.ReadGrant{ReadID: 1, Refused: true, Why: raft.RefusalBusy})
	w.grant(g, raft.ReadGrant{ReadID: 2, Refused: true, Why: raft.RefusalNotLeader})
	if busy.end.Reason != Busy || elsewhere.end.Reason != NotLeader {
		t.Errorf("%v and %v, want busy and not leader", busy.end, elsewhere.end)
	}
}
