package world

import (
	"slices"
	"strconv"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// twin is a second opinion on the sessions of a group, from the log alone, written to be
// read: lists that are searched. Whoever applies an entry first has it judged here; what
// any node makes of the entry must be that (I15).
type twin struct {
	upTo     raft.Index
	limits   raftpb.SessionLimits
	sessions []*twinSession // the least recently used first
	verdicts map[raft.Index]verdict
	effects  []oracle.Effect
	first    map[[2]int64]effect // by session and serial
	expired  map[int64]bool
}

type twinSession struct {
	id, window, acked int64
	done              map[int64]twinRecord // by serial
}

type twinRecord struct {
	at      raft.Index
	result  result
	dropped bool
}

// effect is when a command of a session was executed, for the first time anywhere.
type effect struct {
	when   int64
	result result
}

func (t *twin) init() {
	t.verdicts, t.expired, t.first = map[raft.Index]verdict{}, map[int64]bool{}, map[[2]int64]effect{}
}

func (t *twin) find(id int64) *twinSession {
	i := slices.IndexFunc(t.sessions, func(s *twinSession) bool { return s.id == id })
	if i < 0 {
		return nil
	}
	return t.sessions[i]
}

func (t *twin) remove(s *twinSession) {
	t.sessions = slices.DeleteFunc(t.sessions, func(other *twinSession) bool { return other == s })
	t.expired[s.id] = true
}

// change judges the opening or the end of a session.
func (t *twin) change(m *member, c *raftpb.SessionChange, index raft.Index, got *verdict) {
	if index > t.upTo {
		t.upTo = index
		want := verdict{outcome: session.Apply, at: index}
		if c.Kind == raftpb.SessionChangeKindOpen {
			t.limits = *c.Limits
			for len(t.sessions) >= int(t.limits.Sessions) {
				t.remove(t.sessions[0])
				m.g.w.did.sessionsExpired++
			}
			t.sessions = append(t.sessions, &twinSession{int64(index), int64(t.limits.Window), 1, map[int64]twinRecord{}})
			want.result.number = uint64(t.limits.Window)
		} else if s := t.find(c.Session.Value); s != nil {
			t.remove(s)
		} else {
			want.outcome = session.Expired
		}
		want.open = len(t.sessions)
		t.verdicts[index] = want
	}
	t.compare(m, index, got)
}

// command judges a command of a session. The result of one that is new is believed.
func (t *twin) command(m *member, c *command, index raft.Index, got *verdict) {
	if index > t.upTo {
		t.upTo = index
		v := t.judge(c, index, got.result)
		if t.verdicts[index] = v; v.outcome == session.Apply {
			t.first[[2]int64{c.session, c.serial}] = effect{m.g.w.now, v.result}
		}
	}
	t.compare(m, index, got)
}

func (t *twin) judge(c *command, index raft.Index, result result) verdict {
	s := t.find(c.session)
	if s == nil {
		return verdict{outcome: session.Expired}
	}
	t.sessions = append(slices.DeleteFunc(t.sessions, func(other *twinSession) bool { return other == s }), s)
	if c.acked <= c.serial {
		s.acked = max(s.acked, c.acked)
	}
	if c.serial < s.acked || c.serial >= s.acked+s.window {
		return verdict{outcome: session.Outside}
	}
	if r, ok := s.done[c.serial]; ok {
		return verdict{outcome: session.Again, at: r.at, result: r.result, dropped: r.dropped}
	}
	s.done[c.serial] = twinRecord{index, result, len(result.encode()) > int(t.limits.ResultBytes)}
	t.effects = append(t.effects, oracle.Effect{Session: c.session, Serial: c.serial, Result: result.text()})
	return verdict{outcome: session.Apply, at: index, result: result}
}

// compare holds what a node made of an entry against what it must be. A command that
// was executed in the same batch has its result at hand; in another it may be too long
// to have been kept.
func (t *twin) compare(m *member, index raft.Index, got *verdict) {
	want, have := t.verdicts[index], *got
	if have.outcome == session.Pending {
		have.outcome = session.Again
		want.dropped = false
	}
	if want.dropped {
		want.result = result{}
	}
	if want != have {
		m.g.w.fail(string(invariant.I15), "%snode %d: entry %d of a session comes to %+v, it must be %+v", m.g.name(), m.n.id, index, *got, want)
	}
}

// text is a result as a client writes it down.
func (r *result) text() string {
	if r.swapped {
		return strconv.FormatUint(r.number, 36) + " swapped"
	}
	return strconv.FormatUint(r.number, 36)
}
