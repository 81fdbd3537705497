package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// scenario is something that is done to a cluster under load.
type scenario struct {
	name, usage string
	play        func(context.Context, *stage) error
}

// scenarios are all there are.
var scenarios = []scenario{
	{"failover", "the leader is killed (-9) and started again, --rounds times", playFailover},
	{"rolling-restart", "every node is stopped and started again, the leader last, --rounds times", playRollingRestart},
	{"membership", "a node is added, made the leader, and removed, --rounds times", playMembership},
	{"snapshot", "a follower is away until its log is gone and gets a snapshot, --rounds times", playSnapshot},
	{"slow-follower", "a follower is stopped for 90 of every 100 ms", playSlowFollower},
	{"slow-disk", "every sync takes 20 ms longer, on a follower, then on the leader", playSlowDisk},
	{"codec-switch", "the nodes change what they send in, one after the other", playCodecSwitch},
}

// calm lets the cluster settle between two rounds, for a time that is not in step with its timers.
func (s *stage) calm(ctx context.Context) error {
	return s.rest(ctx, time.Duration((calmShare+rand.Float64())*float64(s.c.engine.electionTimeout)))
}

func playFailover(ctx context.Context, s *stage) error {
	for n := range s.c.scenario.rounds {
		leader, err := s.leader(ctx)
		if err != nil {
			return err
		}
		s.end(ctx, leader)
		err = s.outage(ctx, func() error {
			s.event("kill -9 of node %d, the leader (%d of %d)", leader, n+1, s.c.scenario.rounds)
			return s.member(leader).kill()
		})
		if err != nil {
			return err
		}
		if err := s.start(ctx, leader, false); err != nil {
			return err
		}
		if err := s.calm(ctx); err != nil {
			return err
		}
	}
	return nil
}

func playRollingRestart(ctx context.Context, s *stage) error {
	for range s.c.scenario.rounds {
		leader, err := s.leader(ctx)
		if err != nil {
			return err
		}
		nodes := engine.NodeID(s.c.nodes)
		for i := range nodes { // the leader comes last
			id := (leader+i)%nodes + 1
			s.end(ctx, id)
			err := s.gap(func() error {
				s.event("node %d stops", id)
				if err := s.member(id).child.stop(); err != nil {
					return err
				}
				return s.start(ctx, id, false)
			})
			if err != nil {
				return err
			}
			s.event("node %d is back", id)
		}
	}
	return nil
}

// admin calls the admin service of the node that leads.
func (s *stage) admin(ctx context.Context, m *codec.Method, req, resp codec.Message) error {
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	if err := s.member(leader).conns.call(limited, 0, m, req, resp); err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return fmt.Errorf("%s at node %d: %w", m.Name, leader, err)
	}
	return nil
}

// change changes who is in all groups.
func (s *stage) change(ctx context.Context, kind raftpb.ChangeKind, m raftpb.Member) error {
	for g := range s.cl.groups {
		req := &raftpb.ChangeRequest{Group: engine.GroupID(g + 1), Changes: []raftpb.Change{{Kind: kind, Member: m}}, TimeoutMs: int32(outageLimit.Milliseconds())}
		if err := s.admin(ctx, raftpb.RaftAdminChangeMembership, req, new(raftpb.ChangeResponse)); err != nil {
			return err
		}
	}
	return nil
}

func playMembership(ctx context.Context, s *stage) error {
	id := engine.NodeID(s.c.nodes + 1)
	m := raftpb.Member{ID: id, Address: s.cl.fleet.addrs[id-1], Suffrage: raftpb.SuffrageVoter}
	for range s.c.scenario.rounds {
		s.event("node %d starts and is added", id)
		if err := s.start(ctx, id, true); err != nil {
			return err
		}
		if err := s.change(ctx, raftpb.ChangeKindAddVoter, m); err != nil {
			return err
		}
		s.cl.members = append(s.cl.members, s.member(id))
		err := s.gap(func() error {
			s.event("node %d is a voter, and is made the leader", id)
			return s.admin(ctx, raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: 1, Target: id}, new(raftpb.TransferResponse))
		})
		if err != nil {
			return err
		}
		if err := s.rest(ctx, s.c.duration); err != nil {
			return err
		}
		err = s.gap(func() error {
			s.event("node %d, the leader, is removed", id)
			if err := s.change(ctx, raftpb.ChangeKindRemove, raftpb.Member{ID: id}); err != nil {
				return err
			}
			return s.until(ctx, "wait for another leader", func(ctx context.Context) bool {
				leader := s.cl.leader(ctx, 1)
				return leader != 0 && leader != id
			})
		})
		s.cl.members = s.cl.members[:s.c.nodes]
		if err != nil {
			return err
		}
		if err := s.drop(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// drop stops a node that is no member any more and removes its data: as a new one, it may be added again.
func (s *stage) drop(ctx context.Context, id engine.NodeID) error {
	s.end(ctx, id)
	m := s.member(id)
	if err := m.child.stop(); err != nil {
		return err
	}
	m.child = nil
	s.event("node %d has stopped", id)
	if dir := s.cl.fleet.dirs.node(id); dir != "" {
		return os.RemoveAll(dir)
	}
	return nil
}

func playSnapshot(ctx context.Context, s *stage) error {
	for range s.c.scenario.rounds {
		id, err := s.follower(ctx)
		if err != nil {
			return err
		}
		s.end(ctx, id)
		s.event("kill -9 of node %d, a follower", id)
		if err := s.member(id).kill(); err != nil {
			return err
		}
		if err := s.rest(ctx, s.c.duration); err != nil {
			return err
		}
		s.event("the others take snapshots and drop their logs")
		for i := range s.cl.members {
			for g := range s.cl.groups {
				if engine.NodeID(i+1) == id {
					continue
				}
				req := &raftpb.SnapshotRequest{Group: engine.GroupID(g + 1), Compact: true}
				if err := s.member(engine.NodeID(i+1)).conns.call(ctx, 0, raftpb.RaftAdminSnapshot, req, new(raftpb.SnapshotResponse)); err != nil {
					return fmt.Errorf("snapshot on node %d: %w", i+1, err)
				}
			}
		}
		s.event("node %d starts again", id)
		if err := s.start(ctx, id, false); err != nil {
			return err
		}
		s.event("node %d has caught up", id)
	}
	return nil
}

func playSlowFollower(ctx context.Context, s *stage) error {
	id, err := s.follower(ctx)
	if err != nil {
		return err
	}
	process := s.member(id).child.cmd.Process
	s.event("node %d, a follower, is slow", id)
	for end := time.Now().Add(s.c.duration); time.Now().Before(end); {
		if err := process.Signal(stopSignal); err != nil {
			return err
		}
		err := s.rest(ctx, 90*time.Millisecond)
		if err := process.Signal(continueSignal); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		if err := s.rest(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	s.event("node %d is as fast as before", id)
	return nil
}

// slowSync is how much longer a sync of a slow disk takes.
const slowSync = 20 * time.Millisecond

func playSlowDisk(ctx context.Context, s *stage) error {
	follower, err := s.follower(ctx)
	if err != nil {
		return err
	}
	slow := func(id engine.NodeID, who string) error {
		s.event("a sync takes %v longer on node %d, %s", slowSync, id, who)
		err := s.tell(id, "sync "+slowSync.String())
		if err == nil {
			err = s.rest(ctx, s.c.duration)
		}
		if err == nil {
			s.event("the disk of node %d is as fast as before", id)
			err = s.tell(id, "sync 0s")
		}
		return err
	}
	if err := slow(follower, "a follower"); err != nil {
		return err
	}
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	return slow(leader, "the leader")
}

// tell gives a node a command.
func (s *stage) tell(id engine.NodeID, command string) error {
	if _, err := io.WriteString(s.member(id).child.stdin, command+"\n"); err != nil {
		return fmt.Errorf("tell node %d %q: %w", id, command, err)
	}
	return nil
}

func playCodecSwitch(ctx context.Context, s *stage) error {
	for _, name := range []string{"msgpack", "thrift-binary", "thrift-compact", s.c.engine.codec} {
		for i := range s.cl.members {
			s.event("node %d sends in %s", i+1, name)
			if err := s.tell(engine.NodeID(i+1), "codec "+name); err != nil {
				return err
			}
			if err := s.rest(ctx, s.c.duration/time.Duration(3*len(s.cl.members))); err != nil {
				return err
			}
		}
	}
	return nil
}
