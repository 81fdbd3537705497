package cluster

import (
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Object is a JSON object.
type Object map[string]any

// StatusObject is a node's status in JSON, with the keys of StatusResponse.
func StatusObject(s *raftpb.StatusResponse) Object {
	progress := []any{}
	for _, p := range s.Progress {
		progress = append(progress, Object{
			"id": p.ID, "matched": p.Matched, "nextIndex": p.NextIndex, "state": Lower(p.State),
			"lag": s.LastIndex - p.Matched, "lagBytes": p.LagBytes, "lastContactMs": p.LastContactMs,
		})
	}
	counters := Object{}
	for _, c := range s.Counters {
		counters[c.Name] = c.Value
	}
	return Object{
		"group": s.Group, "node": s.Node, "role": Lower(s.Role), "term": s.Term, "vote": s.Vote, "leader": s.Leader,
		"firstIndex": s.FirstIndex, "lastIndex": s.LastIndex, "commit": s.Commit, "applied": s.Applied, "snapshotIndex": s.SnapshotIndex,
		"config": ConfigObject(&s.Config), "progress": progress, "health": Lower(s.Health), "counters": counters,
		"durability": s.Durability.Value,
	}
}

// ConfigObject is a configuration in JSON, with the keys of raft.thrift.
func ConfigObject(c *raftpb.Configuration) Object {
	list := func(members []raftpb.Member) []any {
		out := []any{}
		for _, m := range members {
			out = append(out, Object{
				"id": m.ID, "address": m.Address, "suffrage": Lower(m.Suffrage), "priority": m.Priority.Value, "incarnation": m.Incarnation,
			})
		}
		return out
	}
	return Object{"incoming": list(c.Incoming), "outgoing": list(c.Outgoing), "joint": len(c.Outgoing) > 0, "epoch": c.Epoch}
}

// Lower is the name of an enum's value as it stands in JSON and tables: disk-stalled.
func Lower(v fmt.Stringer) string { return strings.ReplaceAll(strings.ToLower(v.String()), "_", "-") }
