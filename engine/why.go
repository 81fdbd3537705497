package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Holdup is what a group waits for.
type Holdup struct {
	Sentence string // for people; not a format
	Culprit  NodeID // the node that it waits for; 0: none, or none in particular
}

// Why says in a sentence what holds the group back, as far as this member can know: the
// leader knows most. It waits for the group's worker.
func (g *Group) Why() (Holdup, error) {
	s, err := g.Status()
	if err != nil {
		return Holdup{}, err
	}
	return s.why(), nil
}

func (s *Status) why() Holdup {
	repair, held := s.Repair.why(s)
	switch {
	case s.Err == nil && held:
		return repair
	case s.Err != nil:
		return Holdup{fmt.Sprintf("The group has ended on node %d: %v.", s.Node, s.Err), s.Node}
	case s.Role == raftpb.RoleLeader:
		return s.whyLeader()
	case s.Leader == 0:
		text, culprit := s.whyAlone()
		return Holdup{fmt.Sprintf("There is no leader: node %d is a %s in term %d.%s", s.Node, strings.ToLower(s.Role.String()), s.Term, text), culprit}
	case s.Applied < s.Commit:
		return s.whyApply()
	}
	return Holdup{fmt.Sprintf("Nothing waits on node %d; node %d leads and knows more.", s.Node, s.Leader), 0}
}

func (s *Status) whyApply() Holdup {
	text := fmt.Sprintf("The state machine of node %d is %d entries behind what is committed.", s.Node, s.Commit-s.Applied)
	if s.ApplyFault != nil && s.ApplyFault.Index > s.Applied {
		text = fmt.Sprintf("The state machine of node %d fails at %d: %v.", s.Node, s.ApplyFault.Index, s.ApplyFault.Err)
	}
	return Holdup{text, s.Node}
}

func (s *Status) whyLeader() Holdup {
	switch {
	case s.Commit < s.Last:
		return s.whyCommit()
	case s.Applied < s.Commit:
		return s.whyApply()
	case s.TransferTo != 0:
		return Holdup{fmt.Sprintf("Node %d hands over to node %d and takes no proposals.", s.Node, s.TransferTo), s.TransferTo}
	case s.Changing:
		behind := slices.MaxFunc(append(s.Peers, PeerStatus{ID: s.Node}), func(a, b PeerStatus) int { return cmp.Compare(a.Lag, b.Lag) })
		return Holdup{fmt.Sprintf("A change of membership waits for node %d, which is %d entries behind.", behind.ID, behind.Lag), behind.ID}
	}
	return Holdup{fmt.Sprintf("Nothing waits: node %d leads, and all %d entries are committed and applied.", s.Node, s.Last), 0}
}

// whyCommit names the voter whose word would let the next entry be committed: of those that
// lack it, the one that is needed and closest to having it.
func (s *Status) whyCommit() Holdup {
	next := s.Commit + 1
	worst, missing := PeerStatus{}, 0
	for _, half := range [][]Member{s.Configuration.Members, s.Configuration.Leaving} {
		voters, have := 0, 0
		var lacking []PeerStatus
		for _, m := range half {
			if m.Suffrage == Learner {
				continue
			}
			voters++
			if p := s.peer(m.ID); p.Match >= next {
				have++
			} else {
				lacking = append(lacking, p)
			}
		}
		need := voters/2 + 1 - have
		if need <= 0 || len(lacking) == 0 {
			continue
		}
		slices.SortFunc(lacking, func(a, b PeerStatus) int {
			return cmp.Or(-cmp.Compare(a.Match, b.Match), cmp.Compare(a.LastContact, b.LastContact), cmp.Compare(a.ID, b.ID))
		})
		if p := lacking[min(need, len(lacking))-1]; missing < need {
			worst, missing = p, need
		}
	}
	head := fmt.Sprintf("Commit waits at %d of %d", s.Commit, s.Last)
	switch {
	case missing == 0:
		return Holdup{head + ": a majority has more, and an entry of this term has to follow.", 0}
	case worst.ID == s.Node:
		return Holdup{fmt.Sprintf("%s for the disk of node %d itself, which has %d.", head, s.Node, worst.Match), s.Node}
	}
	text := fmt.Sprintf("%s for node %d, which has %d and was heard %v ago (%s)", head, worst.ID, worst.Match,
		worst.LastContact.Round(time.Millisecond), strings.ToLower(worst.State.String()))
	if since := s.lost(worst.ID); !since.IsZero() {
		text += ", which cannot be reached since " + since.Format(time.TimeOnly)
	}
	if missing > 1 {
		text += fmt.Sprintf(", and %d more", missing-1)
	}
	return Holdup{text + ".", worst.ID}
}

// peer is what is known of a member, this one included.
func (s *Status) peer(id NodeID) PeerStatus {
	if id == s.Node {
		return PeerStatus{ID: id, Match: s.Durable, State: raftpb.ProgressStateReplicate}
	}
	for _, p := range s.Peers {
		if p.ID == id {
			return p
		}
	}
	return PeerStatus{ID: id}
}
