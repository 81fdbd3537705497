package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	fmt.Fprintln(w, "NODE\tENDPOINT\tROLE\tTERM\tVOTE\tLEADER\tFIRST\tLAST\tCOMMIT\tAPPLIED\tSNAPSHOT\tHEALTH\tDURABILITY")
	leader := -1
	for i := range all {
		s := &all[i]
		if s.err != nil {
			fmt.Fprintf(w, "-\t%s\tdoes not answer: %v\n", s.addr, s.err)
			continue
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", s.Node, s.addr, cluster.Lower(s.Role), s.Term, orDash(s.Vote), orDash(s.Leader),
			s.FirstIndex, s.LastIndex, s.Commit, s.Applied, s.SnapshotIndex, cluster.Lower(s.Health), s.Durability.Value)
		if s.Role == raftpb.RoleLeader && (leader < 0 || s.Term > all[leader].Term) {
			leader = i
		}
	}
	_ = w.Flush()
	if leader < 0 {
		b.WriteString("\nno leader among the endpoints\n")
	} else {
		memberTable(&b, &all[leader])
	}
	counterTable(&b, all)
	return b.String()
}

// memberTable is what the leader s knows of the members.
func memberTable(b *bytes.Buffer, s *nodeStatus) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(b, "\nmembers, as node %d sees them:\n", s.Node)
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
}

// counterTable is what tells a quiet cluster from one in trouble; --json has all counters.
func counterTable(b *bytes.Buffer, all []nodeStatus) {
	columns := []struct{ title, counter string }{
		{"PRE-VOTES", "prevotes"},
		{"ELECTIONS", "elections"},
		{"DAMAGED", "entries_damaged"},
		{"REPAIRED", "entries_repaired"},
		{"SYNC ERRORS", "sync_errors"},
		{"REFUSED", "refused"},
		{"SNAPSHOTS SENT", "snapshots_sent"},
		{"RESUMED", "snapshots_resumed"},
		{"ABORTED", "snapshots_aborted"},
	}
	b.WriteString("\nsince each node was started:\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "NODE")
	for _, c := range columns {
		fmt.Fprintf(w, "\t%s", c.title)
	}
	fmt.Fprintln(w)
	var refused []string
	for i := range all {
		s := &all[i]
		if s.err != nil {
			continue
		}
		count := map[string]int64{}
		for _, c := range s.Counters {
			count[c.Name] = c.Value
			if reason, ok := strings.CutPrefix(c.Name, "refused_"); ok && c.Value > 0 {
				refused = append(refused, fmt.Sprintf("node %d refused %d: %s", s.Node, c.Value, strings.ReplaceAll(reason, "_", "-")))
			}
		}
		fmt.Fprintf(w, "%d", s.Node)
		for _, c := range columns {
			fmt.Fprintf(w, "\t%d", count[c.counter])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	for _, line := range refused {
		fmt.Fprintln(b, line)
	}
}

func orDash(id raftpb.NodeID) string {
	if id == 0 {
		return "-"
	}
	return fmt.Sprint(id)
}

// why asks the leader, which knows most; without one, everybody who answers, and says who does not.
func (o *operation) why([]string) error {
	all := o.statuses()
	slices.SortStableFunc(all, func(a, b nodeStatus) int {
		return cmp.Or(cmp.Compare(rank(&b), rank(&a)), cmp.Compare(b.Term, a.Term))
	})
	if rank(&all[0]) == 0 {
		return nobody(all[0].err)
	}
	silent := []string{}
	for i := range all {
		if all[i].err != nil {
			silent = append(silent, all[i].addr)
		}
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
		v := object{"node": s.Node, "sentence": resp.Sentence, "culprit": nil, "silent": silent}
		if resp.Culprit.Set {
			v["culprit"] = resp.Culprit.Value
		}
		if err := o.print(v, "node %d: %s", s.Node, resp.Sentence); err != nil || o.json() {
			return err
		}
	}
	if rank(&all[0]) == 1 && len(silent) > 0 {
		_, err := fmt.Fprintln(o.out, "no answer from "+strings.Join(silent, ", "))
		return err
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
