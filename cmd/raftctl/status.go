package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"text/tabwriter"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// nodeStatus is what an endpoint says of itself.
type nodeStatus struct {
	addr string
	raftpb.StatusResponse
	err error
}

// each calls every endpoint at the same time.
func each[T any](o *operation, call func(addr string) T) []T {
	all := make([]T, len(o.cluster.Endpoints()))
	var running sync.WaitGroup
	for i, addr := range o.cluster.Endpoints() {
		running.Go(func() { all[i] = call(addr) })
	}
	running.Wait()
	return all
}

func (o *operation) statuses() []nodeStatus {
	return each(o, func(addr string) (s nodeStatus) {
		s.addr = addr
		s.err = o.cluster.At(o.ctx, addr, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: o.group}, &s.StatusResponse)
		return s
	})
}

// status prints how each endpoint is. It fails when none answers.
func (o *operation) status([]string) error {
	all := o.statuses()
	var err error
	if !slices.ContainsFunc(all, func(s nodeStatus) bool { return s.err == nil }) {
		err = nobody(all[0].err)
	}
	if o.json() {
		list := []any{}
		for i := range all {
			list = append(list, all[i].object())
		}
		return errors.Join(err, o.printJSON(object{"group": o.group, "nodes": list}))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(o.out, table(all))
	return err
}

// nobody is the error when no endpoint has an answer, of which one said err.
func nobody(err error) error {
	var noGroup *raftpb.NoSuchGroup
	if errors.As(err, &noGroup) {
		return fmt.Errorf("no endpoint has group %d", noGroup.Group)
	}
	return fmt.Errorf("%w: %w", cluster.ErrNoNode, err)
}

// object is a status with the keys of StatusResponse.
func (s *nodeStatus) object() cluster.Object {
	if s.err != nil {
		return cluster.Object{"endpoint": s.addr, "error": s.err.Error()}
	}
	o := cluster.StatusObject(&s.StatusResponse)
	o["endpoint"] = s.addr
	return o
}

// table is what people see: the nodes, then the leader's view of the others.
func table(all []nodeStatus) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tENDPOINT\tROLE\tTERM\tLEADER\tFIRST\tLAST\tCOMMIT\tAPPLIED\tSNAPSHOT\tHEALTH\tDURABILITY")
	leader := -1
	for i := range all {
		s := &all[i]
		if s.err != nil {
			fmt.Fprintf(w, "-\t%s\tdoes not answer: %v\n", s.addr, s.err)
			continue
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", s.Node, s.addr, cluster.Lower(s.Role), s.Term, orDash(s.Leader),
			s.FirstIndex, s.LastIndex, s.Commit, s.Applied, s.SnapshotIndex, cluster.Lower(s.Health), s.Durability.Value)
		if s.Role == raftpb.RoleLeader && (leader < 0 || s.Term > all[leader].Term) {
			leader = i
		}
	}
	_ = w.Flush()
	if leader < 0 {
		b.WriteString("\nno leader among the endpoints\n")
		return b.String()
	}
	s := &all[leader]
	fmt.Fprintf(&b, "\nmembers, as node %d sees them:\n", s.Node)
	fmt.Fprintln(w, "NODE\tADDRESS\tSUFFRAGE\tSTATE\tMATCHED\tNEXT\tLAG\tLAST ANSWER")
	for _, m := range s.Config.Incoming {
		i := slices.IndexFunc(s.Progress, func(p raftpb.Progress) bool { return p.ID == m.ID })
		if i < 0 {
			fmt.Fprintf(w, "%d\t%s\t%s\tleads\t\t\t\t\n", m.ID, m.Address, cluster.Lower(m.Suffrage))
			continue
		}
		p := s.Progress[i]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%d\t%d ms ago\n", m.ID, m.Address, cluster.Lower(m.Suffrage), cluster.Lower(p.State), p.Matched,
			p.NextIndex, s.LastIndex-p.Matched, p.LastContactMs)
	}
	_ = w.Flush()
	if len(s.Config.Outgoing) > 0 {
		b.WriteString("the configuration is joint: both halves decide until it is left\n")
	}
	return b.String()
}

func orDash(id raftpb.NodeID) string {
	if id == 0 {
		return "-"
	}
	return fmt.Sprint(id)
}

// why asks the leader, which knows most; without one, everybody who answers.
func (o *operation) why([]string) error {
	all := o.statuses()
	slices.SortStableFunc(all, func(a, b nodeStatus) int {
		return cmp.Or(cmp.Compare(rank(&b), rank(&a)), cmp.Compare(b.Term, a.Term))
	})
	if rank(&all[0]) == 0 {
		return nobody(all[0].err)
	}
	for i := range all {
		s := &all[i]
		if rank(s) == 0 || i > 0 && rank(&all[0]) > 1 {
			break
		}
		var resp raftpb.WhyResponse
		if err := o.cluster.At(o.ctx, s.addr, raftpb.RaftAdminWhy, &raftpb.WhyRequest{Group: o.group}, &resp); err != nil {
			return err
		}
		v := object{"node": s.Node, "sentence": resp.Sentence, "culprit": nil}
		if resp.Culprit.Set {
			v["culprit"] = resp.Culprit.Value
		}
		if err := o.print(v, "node %d: %s", s.Node, resp.Sentence); err != nil || o.json() {
			return err
		}
	}
	return nil
}

// rank says who knows most: 2 for a leader, 1 for others that answer.
func rank(s *nodeStatus) int {
	switch {
	case s.err != nil:
		return 0
	case s.Role == raftpb.RoleLeader:
		return 2
	}
	return 1
}

// nodeHash is an endpoint's hash.
type nodeHash struct {
	addr string
	raftpb.HashResponse
	err error
}

// hash compares the endpoints. It fails when they differ, or when one has no hash to compare.
func (o *operation) hash([]string) error {
	at := raftpb.Index(o.c.Int64("at"))
	if !o.c.IsSet("at") {
		for _, s := range o.statuses() {
			at = max(at, s.Applied)
		}
	}
	all := each(o, func(addr string) (h nodeHash) {
		h.addr = addr
		h.err = o.cluster.At(o.ctx, addr, raftpb.RaftAdminHash, &raftpb.HashRequest{Group: o.group, Index: at}, &h.HashResponse)
		return h
	})
	equal, list := true, []any{}
	var state []byte // of those that have one: a witness, or a voter without a machine, has its log only
	for i := range all {
		h := &all[i]
		if h.err != nil {
			equal = false
			list = append(list, object{"endpoint": h.addr, "error": h.err.Error()})
			continue
		}
		if state == nil && len(h.State) > 0 {
			state = h.State
		}
		equal = equal && all[0].err == nil && h.Index == all[0].Index && bytes.Equal(h.LogChain, all[0].LogChain) &&
			(len(h.State) == 0 || bytes.Equal(h.State, state))
		list = append(list, object{"endpoint": h.addr, "index": h.Index, "state": hex.EncodeToString(h.State), "logChain": hex.EncodeToString(h.LogChain)})
	}
	var err error
	if o.json() {
		err = o.printJSON(object{"index": at, "equal": equal, "nodes": list})
	} else {
		for i := range all {
			h := &all[i]
			if h.err != nil {
				fmt.Fprintf(o.out, "%s: %v\n", h.addr, h.err)
				continue
			}
			fmt.Fprintf(o.out, "%s: index %d state %x log %x\n", h.addr, h.Index, h.State, h.LogChain)
		}
		_, err = fmt.Fprintln(o.out, map[bool]string{true: "equal", false: "NOT EQUAL"}[equal])
	}
	if err == nil && !equal {
		return errFound
	}
	return err
}
