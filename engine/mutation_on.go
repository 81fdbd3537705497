//go:build mutants

package engine

import (
	"context"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct {
	noSessions bool
	retries    bool
	clock      func(session int64) bool
}

// forgetsSessions (M27): the session table is not in the snapshot.
func (m mutation) forgetsSessions() bool { return m.noSessions }

// retriesProposals (M49): a plain Propose whose outcome is open is proposed again.
func (m mutation) retriesProposals() bool { return m.retries }

// expiresByClock (M45): a session that was not used for some time, by this machine's own
// clock, is expired.
func (m mutation) expiresByClock(_ *machine, session int64) bool {
	return m.clock != nil && m.clock(session)
}

// proposeAgain is what M49 does: it chases whoever leads.
func (g *Group) proposeAgain(ctx context.Context, cmd []byte) error {
	return g.chase(ctx, chasing{
		local: func() error {
			_, err := g.await(ctx, raftpb.EntryKindCommand, g.host.memory.encodePayload(&raftpb.Payload{Command: cmd}))
			return err
		},
		remote: func(leader NodeID) error {
			req := &raftpb.ProposeRequest{Group: g.id, Command: cmd}
			_, err := callMember(ctx, g.host, leader, raftpb.RaftClientPropose, req, func(codec.Message) any { return nil })
			return err
		},
	})
}
