package raft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Stories about operators: who are the members, and who leads.

// members is what the first nodes of a script start with: the last ones are
// learners or witnesses, priorities are given in order.
func (s *stage) members(total int) Configuration {
	var conf Configuration
	learners, witnesses := int(s.value("learners", 0)), int(s.value("witnesses", 0))
	for i := range total {
		m := Member{ID: NodeID(i + 1), Suffrage: raftpb.SuffrageVoter}
		switch {
		case i >= total-witnesses:
			m.Suffrage = raftpb.SuffrageWitness
		case i >= total-witnesses-learners:
			m.Suffrage = raftpb.SuffrageLearner
		}
		for _, arg := range s.d.CmdArgs {
			if arg.Key == "priorities" && i < len(arg.Vals) {
				m.Priority.Set, m.Priority.Value = true, int32(number(s.t, arg.Vals[i]))
			}
		}
		conf.Incoming = append(conf.Incoming, m)
	}
	return conf
}

// change asks for another configuration, a step per line of input:
//
//	change 1 id=7 skip compare=3 entries=10 patience=500
//	add-voter 4
//	remove 2
func (s *stage) change() {
	r := s.changeRequest()
	s.step(s.actor(), Event{Kind: EventChange, Change: &r, RequestID: uint64(s.value("id", 1))})
}

func (s *stage) changeRequest() ChangeRequest {
	r := ChangeRequest{CatchUp: CatchUp{
		Skip: s.flag("skip"), LagEntries: Index(s.value("entries", 0)), LagBytes: int(s.value("bytes", 0)),
		Patience: Time(s.value("patience", 0)),
	}}
	r.Compare, r.Expected = s.flag("compare"), Index(s.value("compare", 0))
	for line := range strings.Lines(s.d.Input) {
		r.Steps = append(r.Steps, s.changeStep(strings.Fields(line)))
	}
	return r
}

// changeStep reads "add-voter 4 priority 2 incarnation 1 at host4 as witness".
func (s *stage) changeStep(words []string) raftpb.Change {
	kinds := map[string]raftpb.ChangeKind{
		"add-voter": raftpb.ChangeKindAddVoter, "add-learner": raftpb.ChangeKindAddLearner,
		"add-witness": raftpb.ChangeKindAddWitness, "remove": raftpb.ChangeKindRemove,
		"promote": raftpb.ChangeKindPromote, "demote": raftpb.ChangeKindDemote,
		"update": raftpb.ChangeKindUpdateAddress, "replace-all": raftpb.ChangeKindReplaceAll,
	}
	step := raftpb.Change{Kind: kinds[words[0]]}
	m := &step.Member
	m.ID = NodeID(number(s.t, words[1]))
	if step.Kind == raftpb.ChangeKindReplaceAll {
		m.Suffrage = raftpb.SuffrageVoter
	}
	for i := 2; i+1 < len(words); i += 2 {
		switch value := words[i+1]; words[i] {
		case "priority":
			m.Priority.Set, m.Priority.Value = true, int32(number(s.t, value))
		case "incarnation":
			m.Incarnation = number(s.t, value)
		case "at":
			m.Address = value
		case "as":
			m.Suffrage = map[string]raftpb.Suffrage{"learner": raftpb.SuffrageLearner, "witness": raftpb.SuffrageWitness}[value]
		default:
			s.t.Fatalf("%s: unknown word %q", s.d.Pos, words[i])
		}
	}
	return step
}

// plan shows what a change would pass through, and does nothing.
func (s *stage) plan() {
	r := s.changeRequest()
	path, why := s.actor().node.PlanChange(&r)
	if why != RefusalNone {
		s.printf("refused: %v\n", why)
	}
	for i := range path {
		s.printf("%s, may lose %d\n", configurationText(&path[i]), ToleratedFailures(&path[i]))
	}
}

// transfer asks a leader to hand over: transfer 1 to=2 id=9.
func (s *stage) transfer() {
	s.step(s.actor(), Event{Kind: EventTransfer, Peer: NodeID(s.value("to", 0)), RequestID: uint64(s.value("id", 1))})
}

// showAnswers prints what operators are told.
func (s *stage) showAnswers(a *actor) {
	for _, c := range a.eff.Changes {
		if c.Refused == RefusalNone {
			s.printf("  %d: change %d done at %d: %s\n", a.id, c.RequestID, c.Index, configurationText(&c.Configuration))
		} else {
			s.printf("  %d: change %d refused: %v (configuration %d)\n", a.id, c.RequestID, c.Refused, c.Index)
		}
	}
	for _, t := range a.eff.Transfers {
		if t.Refused == RefusalNone {
			s.printf("  %d: transfer %d done: %d leads term %d\n", a.id, t.RequestID, t.Leader, t.Term)
		} else {
			s.printf("  %d: transfer %d refused: %v\n", a.id, t.RequestID, t.Refused)
		}
	}
}

// configurationText is "1 2 3 4(learner) / 1 2": incoming / outgoing.
func configurationText(c *Configuration) string {
	half := func(members []Member) string {
		var words []string
		for _, m := range members {
			word := fmt.Sprint(m.ID)
			if m.Suffrage != raftpb.SuffrageVoter {
				word += "(" + strings.ToLower(m.Suffrage.String()) + ")"
			}
			words = append(words, word)
		}
		return strings.Join(words, " ")
	}
	text := half(c.Incoming)
	if len(c.Outgoing) > 0 {
		text += " / " + half(c.Outgoing)
	}
	return text
}

// changeFactText is what a fact about a change or a transfer says.
func changeFactText(f Fact) string {
	text := f.Kind.String()
	if f.Kind == FactTransferStarted || f.Kind == FactTransferSent || f.Kind == FactTransferEnded {
		text += fmt.Sprintf(" to %d", f.Peer)
	}
	if f.Refusal != RefusalNone {
		text += fmt.Sprintf(": %v", f.Refusal)
	}
	return text
}

// configuration shows the configuration in force on each node.
func (s *stage) showConfigurations() {
	for _, a := range s.nodes {
		if a.node != nil {
			c := a.node.inForce()
			s.printf("%d: %s from %d\n", a.id, configurationText(&c.Configuration), c.Index)
		}
	}
}

func entryText(e *Entry) string {
	switch {
	case e.Kind == raftpb.EntryKindConfig:
		if c, err := parseConfiguration(e.Body); err == nil {
			return "(" + configurationText(&c) + ")"
		}
		return "(config)"
	case e.StrippedBytes.Set:
		return fmt.Sprintf("(%d bytes left out)", e.StrippedBytes.Value)
	case e.Kind == raftpb.EntryKindNoop:
		return "(noop)"
	case len(e.Body) < 10:
		return "(" + string(e.Body) + ")"
	}
	return fmt.Sprintf("(%d bytes)", len(e.Body))
}

func isWitness(c *Configuration, id NodeID) bool {
	return slices.ContainsFunc(c.Incoming, func(m Member) bool { return m.ID == id && m.Suffrage == raftpb.SuffrageWitness })
}
