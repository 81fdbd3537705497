package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Configuration is who is in a group.
type Configuration struct {
	Index   Index // the entry that it stands in; 0: the initial one
	Members []Member
	// Leaving is the other half of a joint configuration: both halves decide until it is
	// left, which happens by itself. nil otherwise.
	Leaving []Member
}

func configurationOf(c *raft.Configuration, index Index) Configuration {
	out := Configuration{Index: index}
	for i := range c.Incoming {
		out.Members = append(out.Members, memberOf(&c.Incoming[i]))
	}
	for i := range c.Outgoing {
		out.Leaving = append(out.Leaving, memberOf(&c.Outgoing[i]))
	}
	return out
}

func (c *Configuration) message() raftpb.Configuration {
	var p raftpb.Configuration
	for _, m := range c.Members {
		p.Incoming = append(p.Incoming, m.message())
	}
	for _, m := range c.Leaving {
		p.Outgoing = append(p.Outgoing, m.message())
	}
	return p
}

// Change is one step of a change of membership, made by the functions below.
type Change struct {
	step   raftpb.Change
	expect codec.Opt[Index]
}

func step(kind raftpb.ChangeKind, m Member) Change {
	return Change{step: raftpb.Change{Kind: kind, Member: m.message()}}
}

// AddVoter adds a member that votes, or makes a voter of a learner. It counts as soon as
// it has caught up with the log; until then it is a learner.
func AddVoter(id NodeID, addr string) Change {
	return step(raftpb.ChangeKindAddVoter, Member{ID: id, Address: addr})
}

// AddWitness adds a member that votes and keeps the log without the commands; it has
// to be started with GroupConfig.Join and GroupConfig.Witness. It stays a witness.
func AddWitness(id NodeID, addr string) Change {
	return step(raftpb.ChangeKindAddWitness, Member{ID: id, Address: addr})
}

// AddLearner adds a member that holds the state and has no vote.
func AddLearner(id NodeID, addr string) Change {
	return step(raftpb.ChangeKindAddLearner, Member{ID: id, Address: addr})
}

// Remove removes a member. It may be the leader, which hands over and then leaves.
func Remove(id NodeID) Change { return step(raftpb.ChangeKindRemove, Member{ID: id}) }

// Promote makes a voter of a learner, once it has caught up.
func Promote(id NodeID) Change { return step(raftpb.ChangeKindPromote, Member{ID: id}) }

// Demote makes a learner of a voter.
func Demote(id NodeID) Change { return step(raftpb.ChangeKindDemote, Member{ID: id}) }

// Move changes the address of a member.
func Move(id NodeID, addr string) Change {
	return step(raftpb.ChangeKindUpdateAddress, Member{ID: id, Address: addr})
}

// Replace names one member of a configuration that is given as a whole: all steps of the
// change must be of this kind, and who is not named is removed.
func Replace(m Member) Change { return step(raftpb.ChangeKindReplaceAll, m) }

// Expect makes a change conditional: it is refused with ErrConfigurationMoved unless the
// configuration in force is that of the entry index (Status.Configuration.Index).
func Expect(index Index) Change { return Change{expect: codec.Some(index)} }

// Errors of a change, beside those of Propose. All of them but for what matches
// ErrIndeterminate say that nothing was changed, except that new members may have
// become learners.
var (
	// ErrUnsafeChange says that too few of the voters that the change leads to are alive, or
	// none that could lead: the group could decide nothing any more.
	ErrUnsafeChange = errors.New("engine: change would lose the quorum")
	// ErrChangeInProgress says that another change is on its way. Retry later.
	ErrChangeInProgress = errors.New("engine: change in progress")
	// ErrConfigurationMoved says that the configuration is not the one expected.
	ErrConfigurationMoved = errors.New("engine: configuration has changed")
	// ErrBadChange says that a step makes no sense: do not retry.
	ErrBadChange = errors.New("engine: bad change")
	// ErrLagging says that a member did not catch up in time, or that the one to hand over
	// to did not answer. It stays what it was.
	ErrLagging = errors.New("engine: member lags behind")
)

// RefusedError says why a change or hand-over was not done. It matches one of the errors above.
type RefusedError struct {
	Group  GroupID
	Reason string // one of a fixed set of names, for logs and metrics
	kind   error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v: group %d: %s", e.kind, e.Group, e.Reason)
}

// Unwrap returns which of the errors above it is.
func (e *RefusedError) Unwrap() error { return e.kind }

// refusal turns the core's refusal into an error.
func (g *Group) refusal(why raft.Refusal) error {
	kind := ErrBadChange
	switch why {
	case raft.RefusalNone:
		return nil
	case raft.RefusalNotLeader:
		leader := g.Leader()
		return &NotLeaderError{Group: g.id, Leader: leader, Addr: g.address(leader)}
	case raft.RefusalLeadershipLost, raft.RefusalOtherLeader:
		leader := g.Leader()
		return &indeterminate{&LeadershipLostError{Group: g.id, Leader: leader, Addr: g.address(leader)}}
	case raft.RefusalTimeout:
		return &indeterminate{&RefusedError{Group: g.id, Reason: why.String(), kind: ErrLagging}}
	case raft.RefusalBusy, raft.RefusalTransferring, raft.RefusalTooEarly:
		kind = ErrBusy
	case raft.RefusalChangeInProgress:
		kind = ErrChangeInProgress
	case raft.RefusalOtherConfiguration:
		kind = ErrConfigurationMoved
	case raft.RefusalNobodyLeads, raft.RefusalQuorum, raft.RefusalWitness:
		kind = ErrUnsafeChange
	case raft.RefusalLagging, raft.RefusalTarget, raft.RefusalTargetRemoved:
		kind = ErrLagging
	}
	return &RefusedError{Group: g.id, Reason: why.String(), kind: kind}
}

func request(steps []Change) raft.ChangeRequest {
	var r raft.ChangeRequest
	for _, s := range steps {
		if s.expect.Set {
			r.Compare, r.Expected = true, s.expect.Value
			continue
		}
		r.Steps = append(r.Steps, s.step)
	}
	return r
}

// Change changes who is in the group: all steps together, or nothing. It returns when
// the new configuration is committed; new voters have caught up by then, which may take
// as long as copying the state does. Only the leader does it. Cancelling ctx ends the
// wait, not the change. One change at a time.
//
//	err := group.Change(ctx, engine.AddVoter(4, "d:7001"), engine.Remove(1))
func (g *Group) Change(ctx context.Context, steps ...Change) error {
	_, err := g.change(ctx, request(steps))
	return err
}

func (g *Group) change(ctx context.Context, r raft.ChangeRequest) (Configuration, error) {
	if err := ctx.Err(); err != nil {
		return Configuration{}, fmt.Errorf("engine: change: %w", err)
	}
	answers := make(chan raft.ChangeAnswer, 1)
	if err := g.group.Change(r, func(a raft.ChangeAnswer) { answers <- a }); err != nil {
		return Configuration{}, refused(err)
	}
	select {
	case a := <-answers:
		return configurationOf(&a.Configuration, a.Index), g.refusal(a.Refused)
	case <-g.group.Stopped():
		return Configuration{}, &indeterminate{ErrClosed}
	case <-ctx.Done():
		return Configuration{}, &indeterminate{ctx.Err()}
	}
}

// PlanStep is a configuration that a change passes through.
type PlanStep struct {
	Configuration     Configuration
	ToleratedFailures int // how many voters may fail, whichever they are, while it is in force
}

// PlanChange returns the configurations that a change would pass through, the last of them the
// one asked for, or the error that Change would return now. It changes nothing. No steps: the
// configuration is in force already.
func (g *Group) PlanChange(steps ...Change) ([]PlanStep, error) {
	path, why, err := g.group.Plan(request(steps))
	if err != nil {
		return nil, refused(err)
	}
	if err := g.refusal(why); err != nil {
		return nil, err
	}
	var plan []PlanStep
	for i := range path {
		plan = append(plan, PlanStep{configurationOf(&path[i], 0), raft.ToleratedFailures(&path[i])})
	}
	return plan, nil
}

// Transfer hands the leadership to a member, or with 0 to whoever is best: it returns when
// the other leads. While it is on its way, proposals get ErrBusy; after an election
// time-out without success this member goes on leading, and the error says so.
func (g *Group) Transfer(ctx context.Context, to NodeID) error {
	_, err := g.transfer(ctx, to)
	return err
}

func (g *Group) transfer(ctx context.Context, to NodeID) (Term, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("engine: transfer: %w", err)
	}
	answers := make(chan raft.TransferAnswer, 1)
	if err := g.group.Transfer(to, func(a raft.TransferAnswer) { answers <- a }); err != nil {
		return 0, refused(err)
	}
	select {
	case a := <-answers:
		return a.Term, g.refusal(a.Refused)
	case <-g.group.Stopped():
		return 0, &indeterminate{ErrClosed}
	case <-ctx.Done():
		return 0, &indeterminate{ctx.Err()}
	}
}
