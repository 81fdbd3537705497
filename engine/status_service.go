package engine

import (
	"maps"
	"runtime/metrics"
	"slices"
	"strings"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// serveStatus answers from a goroutine of its own: Status waits for the worker.
func (h *Host) serveStatus(c *transport.Call, req *raftpb.StatusRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	go func() {
		s, err := g.Status()
		if err != nil {
			c.Fail(&raftpb.NoSuchGroup{Group: g.id})
			return
		}
		r := statusResponse(&s)
		r.Counters = h.statusCounters()
		r.Durability = codec.Some(h.Durability())
		c.Reply(r)
	}()
}

func statusResponse(s *Status) *raftpb.StatusResponse {
	r := &raftpb.StatusResponse{
		Group: s.Group, Node: s.Node, Role: s.Role, Term: s.Term, Vote: s.Vote, Leader: s.Leader,
		FirstIndex: s.First, LastIndex: s.Last, Commit: s.Commit, Applied: s.Applied, SnapshotIndex: s.Snapshot, Health: s.health(),
	}
	r.Config = s.Configuration.message()
	for _, p := range s.Peers {
		r.Progress = append(r.Progress, raftpb.Progress{
			ID: p.ID, Matched: p.Match, NextIndex: p.Next, State: p.State, LagBytes: int64(p.LagBytes), LastContactMs: p.LastContact.Milliseconds(),
		})
	}
	return r
}

// health is the worst that is the case: what is repaired may be done in a moment, a disk that
// hangs stops the repair, who is in doubt has no vote, and what has ended does nothing.
func (s *Status) health() raftpb.Health {
	switch {
	case s.Err != nil:
		return raftpb.HealthStopped
	case s.Uncertain:
		return raftpb.HealthUncertain
	case s.DiskStalled:
		return raftpb.HealthDiskStalled
	case s.Repair.pending():
		return raftpb.HealthRepairing
	}
	return raftpb.HealthOk
}

// statusCounters are the host's counters as RaftClient.Status tells them: docs/metrics.md.
func (h *Host) statusCounters() []raftpb.Counter {
	m := h.Metrics()
	mallocs := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}} // read without stopping the world
	metrics.Read(mallocs)
	list := []raftpb.Counter{
		{Name: "syncs", Value: m.Log.Syncs},
		{Name: "sync_errors", Value: m.Log.SyncErrors},
		{Name: "sync_stalls", Value: m.Log.SyncStalls},
		{Name: "log_bytes", Value: m.Log.Bytes},
		{Name: "log_damages", Value: m.Log.Damages},
		{Name: "wire_bytes_out", Value: int64(m.Network.BytesOut)},
		{Name: "wire_bytes_in", Value: int64(m.Network.BytesIn)},
		{Name: "prevotes", Value: int64(m.PreVotes)},
		{Name: "elections", Value: int64(m.Elections)},
		{Name: "leaderships", Value: int64(m.Leaderships)},
		{Name: "transfers", Value: int64(m.Transfers)},
		{Name: "changes", Value: int64(m.Changes)},
		{Name: "reads_by_round", Value: int64(m.Reads.ByRound)},
		{Name: "reads_by_lease", Value: int64(m.Reads.ByLease)},
		{Name: "read_rounds", Value: int64(m.Reads.Rounds)},
		{Name: "reads_local", Value: int64(m.Reads.Local)},
		{Name: "sessions_opened", Value: int64(m.Sessions.Opened)},
		{Name: "session_answers", Value: int64(m.Sessions.Answered)},
		{Name: "session_refusals", Value: int64(m.Sessions.Refused)},
		{Name: "snapshots_taken", Value: int64(m.Snapshots.Taken)},
		{Name: "snapshots_failed", Value: int64(m.Snapshots.Failed)},
		{Name: "snapshots_sent", Value: int64(m.Snapshots.Sent)},
		{Name: "snapshots_installed", Value: int64(m.Snapshots.Installed)},
		{Name: "snapshots_resumed", Value: int64(m.Snapshots.Resumed)},
		{Name: "snapshots_aborted", Value: int64(m.Snapshots.Abandoned)},
		{Name: "entries_damaged", Value: int64(m.Repairs.Damaged)},
		{Name: "entries_repaired", Value: int64(m.Repairs.Repaired)},
		{Name: "entries_given", Value: int64(m.Repairs.Served)},
		{Name: "scrubs", Value: int64(m.Repairs.Scrubs)},
		{Name: "apply_faults", Value: int64(m.ApplyFaults)},
		{Name: "divergences", Value: int64(m.Divergences)},
		{Name: "peers_lost", Value: lostPeers(&m)},
		{Name: "events_dropped", Value: int64(m.EventsDropped)},
		{Name: "mallocs", Value: int64(mallocs[0].Value.Uint64())},
	}
	total := raftpb.Counter{Name: "refused"}
	for _, reason := range slices.Sorted(maps.Keys(m.Network.Refused)) {
		n := int64(m.Network.Refused[reason])
		total.Value += n
		list = append(list, raftpb.Counter{Name: "refused_" + strings.ReplaceAll(string(reason), "-", "_"), Value: n})
	}
	return append(list, total)
}
