package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// tape is a machine that records what it applies.
type tape struct {
	StateMachine
	commands []string
}

func (m *tape) Apply(b Batch, results []Result) error {
	for i, c := range b.Commands {
		m.commands = append(m.commands, string(c.Data))
		results[i].Data = fmt.Appendf(nil, "%d", len(m.commands))
	}
	return nil
}

// sessionLog is a log in which sessions are opened, closed and used, with retries.
func sessionLog(rng *rand.Rand) (log []raft.Entry) {
	limits := &raftpb.SessionLimits{Sessions: 5, Window: 8, Bytes: 4 << 20, ResultBytes: 100}
	add := func(kind raftpb.EntryKind, body []byte) {
		log = append(log, raft.Entry{Term: 1, Kind: kind, Body: body})
	}
	var sessions []int64
	next := map[int64]int64{}
	for len(log) < 2000 {
		if rng.IntN(20) == 0 || len(log) < 5 {
			c := raftpb.SessionChange{Kind: raftpb.SessionChangeKindOpen, Limits: limits}
			add(raftpb.EntryKindSession, c.AppendCompact(nil))
			sessions = append(sessions, int64(len(log)))
			continue
		}
		at := max(0, len(sessions)-8)
		id := sessions[at+rng.IntN(len(sessions)-at)]
		next[id] += int64(rng.IntN(2))
		serial := next[id] + int64(rng.IntN(6)) - 3
		p := raftpb.Payload{
			Command: fmt.Appendf(nil, "%d/%d", id, serial), Session: codec.Some(id), Serial: codec.Some(serial), AckedBelow: codec.Some(serial - 4),
		}
		add(raftpb.EntryKindCommand, p.AppendCompact(nil))
	}
	return log
}

// membersApplyAlike applies the same log on members that cut it into batches of their
// own, at times of their own, and compares what they did.
func membersApplyAlike(seed uint64, slow func(member int, m *machine)) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	log := sessionLog(rng)
	var commands []string
	var table []byte
	for member := range 4 {
		sm := &tape{}
		m, _, err := newMachine(&GroupConfig{Machine: sm}, new(counters))
		if err != nil {
			return err
		}
		if slow != nil {
			slow(member, m)
		}
		for at := 0; at < len(log); {
			n := min(1+rng.IntN(1+40*member), len(log)-at)
			if err := m.Apply(log[at:at+n], raft.Index(at+1), make([]runtime.Completion, n)); err != nil {
				return err
			}
			m.Complete()
			at += n
		}
		once := map[string]bool{}
		for _, c := range sm.commands {
			if once[c] {
				return fmt.Errorf("member %d applied %s twice", member, c)
			}
			once[c] = true
		}
		if member == 0 {
			commands, table = sm.commands, m.sessions.Append(nil)
			continue
		}
		if fmt.Sprint(sm.commands) != fmt.Sprint(commands) || !bytes.Equal(m.sessions.Append(nil), table) {
			return fmt.Errorf("member %d differs from the first: %d commands and %d", member, len(sm.commands), len(commands))
		}
	}
	return nil
}

// What sessions do follows from the log alone: members that apply it in other batches and
// at another pace apply the same commands, and end with the same table.
func TestMembersApplySessionsAlike(t *testing.T) {
	for seed := range uint64(20) {
		if err := membersApplyAlike(seed, nil); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
