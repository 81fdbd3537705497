package raft

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// halfOf makes members 1 to 5 from a number in base 4: absent, voter, learner or
// witness.
func halfOf(code int) []Member {
	var half []Member
	for id := NodeID(1); id <= 5; id, code = id+1, code/4 {
		if code%4 > 0 {
			half = append(half, Member{ID: id, Suffrage: raftpb.Suffrage(code % 4)})
		}
	}
	return half
}

// countYes says by hand whether yes (bit id) holds a majority of a half.
func countYes(half []Member, yes int) bool {
	voters, count := 0, 0
	for _, m := range half {
		if m.Suffrage == raftpb.SuffrageLearner {
			continue
		}
		voters++
		if yes&(1<<m.ID) != 0 {
			count++
		}
	}
	return voters == 0 || 2*count > voters
}

// TestConfigurationsAgainstBruteForce goes through every configuration of up to
// five members in each half, each a voter, learner or witness: who decides, who may
// lead, and which index is reached must be what counting by hand says.
func TestConfigurationsAgainstBruteForce(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 37
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	n := &Node{cfg: Config{ID: 1}}
	for code := 0; code < 1<<20; code += every {
		c := Configuration{Incoming: halfOf(code % 1024), Outgoing: halfOf(code / 1024)}
		if changesKind(&c) {
			continue
		}
		n.members = n.members[:0]
		n.changes = changes{{Configuration: c}}
		n.setConfiguration(c)
		yes := rnd.IntN(64) &^ 1
		var bits uint64
		var values [MaxMembers]int64
		for i := range n.members {
			if yes&(1<<n.members[i].id) != 0 {
				bits |= 1 << i
				values[i] = 1
			}
		}
		somebody := slices.ContainsFunc(c.Incoming, func(m Member) bool { return m.Suffrage != raftpb.SuffrageLearner })
		want := somebody && countYes(c.Incoming, yes) && countYes(c.Outgoing, yes)
		if got := n.voters.won(bits); got != want {
			t.Fatalf("%v: won(%b) = %v", configurationText(&c), yes, got)
		}
		if got := n.voters.reached(&values) == 1; got != want {
			t.Fatalf("%v: reached with %b = %v", configurationText(&c), yes, got)
		}
		if n.electable() != leads(&c, 1) {
			t.Fatalf("%v: electable = %v", configurationText(&c), n.electable())
		}
	}
}

// changesKind: a witness in one half is no voter in the other (checkTarget).
func changesKind(c *Configuration) bool {
	return slices.ContainsFunc(c.Incoming, func(m Member) bool {
		return slices.ContainsFunc(c.Outgoing, func(old Member) bool {
			return old.ID == m.ID && (old.Suffrage == raftpb.SuffrageWitness) != (m.Suffrage == raftpb.SuffrageWitness)
		})
	})
}

// TestEveryPathKeepsQuorumsTogether goes from every set of up to five voters to every
// other: on the way each majority of a configuration meets each of the next. That
// is what makes one leader in a term while the members change (section 4.1).
func TestEveryPathKeepsQuorumsTogether(t *testing.T) {
	joint := 0
	for from := 1; from < 32; from++ {
		for to := 1; to < 32; to++ {
			path := []Configuration{{Incoming: votersOf(from)}}
			target := Configuration{Incoming: votersOf(to)}
			if votersDiffer(&path[0], &target) > 1 {
				path = append(path, Configuration{Incoming: target.Incoming, Outgoing: path[0].Incoming})
				joint++
			}
			path = append(path, target)
			for i := 1; i < len(path); i++ {
				if a, b := apart(&path[i-1], &path[i]); a != 0 {
					t.Fatalf("%v to %v: %b and %b decide apart", configurationText(&path[i-1]), configurationText(&path[i]), a, b)
				}
			}
		}
	}
	if joint == 0 {
		t.Error("no path was joint")
	}
	// Two voters at once would not do: the rule is not stricter than it must be.
	if a, _ := apart(&Configuration{Incoming: votersOf(0b00111)}, &Configuration{Incoming: votersOf(0b11111)}); a == 0 {
		t.Error("three and five voters always meet")
	}
}

func votersOf(set int) []Member {
	var half []Member
	for i := range 5 {
		if set&(1<<i) != 0 {
			half = append(half, Member{ID: NodeID(i + 1), Suffrage: raftpb.SuffrageVoter})
		}
	}
	return half
}

// apart returns two sets without a common member that decide in one configuration
// each; 0 if there are none.
func apart(one, two *Configuration) (a, b int) {
	for a := 2; a < 64; a += 2 {
		b := 62 &^ a
		if countYes(one.Incoming, a) && countYes(one.Outgoing, a) && countYes(two.Incoming, b) && countYes(two.Outgoing, b) {
			return a, b
		}
	}
	return 0, 0
}

// TestStepsAgainstMap applies random steps beside a plain map of who is what.
func TestStepsAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	done := 0
	for range 50_000 {
		from := Configuration{Incoming: halfOf(rnd.IntN(1024)), Epoch: 3}
		if checkTarget(&Configuration{}, &from) != RefusalNone {
			continue
		}
		plain := map[NodeID]raftpb.Suffrage{}
		for _, m := range from.Incoming {
			plain[m.ID] = m.Suffrage
		}
		var steps []raftpb.Change
		legal := true
		for range 1 + rnd.IntN(3) {
			s := raftpb.Change{Kind: raftpb.ChangeKind(1 + rnd.IntN(7)), Member: Member{ID: NodeID(1 + rnd.IntN(5))}}
			legal = legal && plainStep(plain, s)
			steps = append(steps, s)
		}
		to, why := applySteps(&from, steps)
		if why != RefusalNone {
			if legal && plainGood(&from, plain) {
				t.Fatalf("%v %+v: refused: %v", configurationText(&from), steps, why)
			}
			continue
		}
		done++
		if !legal || len(to.Incoming) != len(plain) || to.Epoch != 3 || !plainGood(&from, plain) {
			t.Fatalf("%v %+v: %v, want %v", configurationText(&from), steps, configurationText(&to), plain)
		}
		for _, m := range to.Incoming {
			if plain[m.ID] != m.Suffrage {
				t.Fatalf("%v %+v: %v, want %v", configurationText(&from), steps, configurationText(&to), plain)
			}
		}
	}
	if done < 1000 {
		t.Errorf("only %d changes were legal", done)
	}
}

// plainStep does one step; false: it makes no sense.
func plainStep(plain map[NodeID]raftpb.Suffrage, s raftpb.Change) bool {
	id := s.Member.ID
	was, member := plain[id], plain[id] != 0
	switch s.Kind {
	case raftpb.ChangeKindAddVoter:
		plain[id] = raftpb.SuffrageVoter
	case raftpb.ChangeKindAddLearner:
		plain[id] = raftpb.SuffrageLearner
	case raftpb.ChangeKindAddWitness:
		plain[id] = raftpb.SuffrageWitness
	case raftpb.ChangeKindRemove:
		delete(plain, id)
		return member
	case raftpb.ChangeKindPromote:
		plain[id] = raftpb.SuffrageVoter
		return member
	case raftpb.ChangeKindDemote:
		plain[id] = raftpb.SuffrageLearner
		return member
	default:
		return member
	}
	return !member || was == plain[id] || was == raftpb.SuffrageLearner
}

// plainGood: somebody leads, witnesses are no majority, and nobody became one or
// ceased to be one.
func plainGood(from *Configuration, plain map[NodeID]raftpb.Suffrage) bool {
	voters, witnesses := 0, 0
	for id := NodeID(1); id <= 5; id++ {
		switch plain[id] {
		case raftpb.SuffrageVoter:
			voters++
		case raftpb.SuffrageWitness:
			witnesses++
		}
	}
	for _, m := range from.Incoming {
		now := plain[m.ID]
		if now != 0 && (m.Suffrage == raftpb.SuffrageWitness) != (now == raftpb.SuffrageWitness) {
			return false
		}
	}
	return voters > 0 && witnesses <= (voters+witnesses)/2
}
