package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// step is a kind of change as it is written on a command line.
type step struct {
	name, text string
	kind       raftpb.ChangeKind
	addressed  bool // ID=ADDR in place of ID
}

func steps() []step {
	return []step{
		{"add", "a voter: it catches up first, and votes then", raftpb.ChangeKindAddVoter, true},
		{"learner", "a member that has the state and no vote", raftpb.ChangeKindAddLearner, true},
		{"witness", "a member that votes and keeps no state", raftpb.ChangeKindAddWitness, true},
		{"promote", "make a voter of a learner", raftpb.ChangeKindPromote, false},
		{"demote", "make a learner of a voter", raftpb.ChangeKindDemote, false},
		{"remove", "take a member out", raftpb.ChangeKindRemove, false},
		{"move", "change the address of a member", raftpb.ChangeKindUpdateAddress, true},
	}
}

// memberCommand changes who is in the group.
func memberCommand() *cli.Command {
	expect := &cli.Int64Flag{Name: "expect", Usage: "refuse unless the configuration in force is that of the entry `INDEX`"}
	list := []*cli.Command{}
	for _, s := range steps() {
		args := "ID..."
		if s.addressed {
			args = "ID=ADDR..."
		}
		list = append(list, online(s.name, s.text, args, 1, 100, []cli.Flag{expect}, func(o *operation, args []string) error {
			var changes []raftpb.Change
			for _, arg := range args {
				c, err := s.parse(arg)
				if err != nil {
					return &usageError{fmt.Errorf("member %s: %w", s.name, err)}
				}
				changes = append(changes, c)
			}
			return o.change(changes)
		}))
	}
	several := "STEP ARG [STEP ARG]...   such as: add 4=d:7001 remove 1"
	list = append(list,
		online("change", "do several steps together, or none of them", several, 2, 200, []cli.Flag{expect}, func(o *operation, args []string) error {
			changes, err := parseSteps(args)
			if err != nil {
				return err
			}
			return o.change(changes)
		}),
		online("plan", "say what \"change\" would do, step by step, and do nothing", several, 2, 200, []cli.Flag{expect}, (*operation).plan),
	)
	return &cli.Command{
		Name: "member", Usage: "change who is in the group", HideHelpCommand: true, OnUsageError: usageFault,
		Action: unknownCommand, Subcommands: list, Description: exitHelp,
	}
}

func parseSteps(args []string) ([]raftpb.Change, error) {
	if len(args)%2 != 0 {
		return nil, usage("member: %q has no argument", args[len(args)-1])
	}
	var changes []raftpb.Change
next:
	for i := 0; i < len(args); i += 2 {
		for _, s := range steps() {
			if s.name == args[i] {
				c, err := s.parse(args[i+1])
				if err != nil {
					return nil, &usageError{fmt.Errorf("member: %s: %w", s.name, err)}
				}
				changes = append(changes, c)
				continue next
			}
		}
		return nil, usage("member: unknown step %q", args[i])
	}
	return changes, nil
}

func (s *step) parse(arg string) (raftpb.Change, error) {
	id, addr, has := strings.Cut(arg, "=")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 || has != s.addressed {
		return raftpb.Change{}, fmt.Errorf("%q is not %s", arg, map[bool]string{true: "ID=ADDR", false: "ID"}[s.addressed])
	}
	if _, port, err := net.SplitHostPort(addr); s.addressed && (err != nil || port == "") {
		return raftpb.Change{}, fmt.Errorf("%q is not host:port", addr)
	}
	return raftpb.Change{Kind: s.kind, Member: raftpb.Member{ID: raftpb.NodeID(n), Address: addr}}, nil
}

func (o *operation) changeRequest(changes []raftpb.Change) *raftpb.ChangeRequest {
	r := &raftpb.ChangeRequest{Group: o.group, Changes: changes, TimeoutMs: int32(min(o.c.Duration("timeout").Milliseconds(), 1<<30))}
	if o.c.IsSet("expect") {
		r.Expected = codec.Some(raftpb.Index(o.c.Int64("expect")))
	}
	return r
}

// change carries out a change: it is sent again to whoever leads while nothing came of it.
func (o *operation) change(changes []raftpb.Change) error {
	var resp raftpb.ChangeResponse
	if err := o.cluster.Call(o.ctx, cluster.Once, raftpb.RaftAdminChangeMembership, o.changeRequest(changes), &resp); err != nil {
		return explained(err)
	}
	return o.print(object{"index": resp.Index, "config": cluster.ConfigObject(&resp.Config)}, "done at index %d: %s", resp.Index, members(&resp.Config))
}

func (o *operation) plan(args []string) error {
	changes, err := parseSteps(args)
	if err != nil {
		return err
	}
	var resp raftpb.PlanResponse
	if err := o.cluster.Call(o.ctx, cluster.Read, raftpb.RaftAdminPlanChange, o.changeRequest(changes), &resp); err != nil {
		return explained(err)
	}
	if o.json() {
		list := []any{}
		for _, s := range resp.Steps {
			list = append(list, object{"config": cluster.ConfigObject(&s.Config), "toleratedFailures": s.ToleratedFailures, "note": s.Note})
		}
		return o.printJSON(object{"steps": list})
	}
	for i, s := range resp.Steps {
		fmt.Fprintf(o.out, "%d. %s (%s); %s\n", i+1, members(&s.Config), s.Note, tolerated(int(s.ToleratedFailures)))
	}
	if len(resp.Steps) == 0 {
		fmt.Fprintln(o.out, "nothing to do: the configuration is in force already")
	}
	return nil
}

func tolerated(failures int) string {
	switch failures {
	case 0:
		return "no voter may fail"
	case 1:
		return "any one voter may fail"
	}
	return fmt.Sprintf("any %d voters may fail", failures)
}

// explained gives a refusal the words it came with.
func explained(err error) error {
	var r *raftpb.Rejected
	if errors.As(err, &r) {
		return fmt.Errorf("refused: %s", r.Reason)
	}
	return err
}

// members is a configuration in a line.
func members(c *raftpb.Configuration) string {
	half := func(list []raftpb.Member) string {
		var out []string
		for _, m := range list {
			text := fmt.Sprintf("%d=%s", m.ID, m.Address)
			if m.Suffrage != raftpb.SuffrageVoter {
				text += " (" + cluster.Lower(m.Suffrage) + ")"
			}
			out = append(out, text)
		}
		return strings.Join(out, ", ")
	}
	if len(c.Outgoing) == 0 {
		return half(c.Incoming)
	}
	return half(c.Incoming) + " together with " + half(c.Outgoing)
}

func (o *operation) transfer(args []string) error {
	var target raftpb.NodeID
	if len(args) == 1 {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || n < 1 {
			return usage("transfer: %q is not ID", args[0])
		}
		target = raftpb.NodeID(n)
	}
	var resp raftpb.TransferResponse
	err := o.cluster.Call(o.ctx, cluster.Once, raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: o.group, Target: target}, &resp)
	if err != nil {
		return explained(err)
	}
	who := "another node"
	if target != 0 {
		who = fmt.Sprintf("node %d", target)
	}
	return o.print(object{"term": resp.Term}, "done: %s leads in term %d", who, resp.Term)
}

func (o *operation) snapshot([]string) error { return o.snapshots(false) }

func (o *operation) compact([]string) error { return o.snapshots(true) }

func (o *operation) snapshots(compact bool) error {
	type taken struct {
		addr string
		raftpb.SnapshotResponse
		err error
	}
	all := each(o, func(addr string) (s taken) {
		s.addr = addr
		req := &raftpb.SnapshotRequest{Group: o.group, Compact: compact}
		s.err = o.cluster.At(o.ctx, addr, raftpb.RaftAdminSnapshot, req, &s.SnapshotResponse)
		return s
	})
	var errs []error
	list := []any{}
	for i := range all {
		s := &all[i]
		if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.addr, s.err))
			list = append(list, object{"endpoint": s.addr, "error": s.err.Error()})
			continue
		}
		list = append(list, object{"endpoint": s.addr, "index": s.Meta.Index, "term": s.Meta.Term, "sizeBytes": s.Meta.SizeBytes})
		if !o.json() {
			fmt.Fprintf(o.out, "%s: index %d, %d bytes\n", s.addr, s.Meta.Index, s.Meta.SizeBytes)
		}
	}
	if o.json() {
		errs = append(errs, o.printJSON(object{"snapshots": list}))
	}
	return errors.Join(errs...)
}
