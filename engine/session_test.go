package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// world puts the hosts of a cluster into a network in memory, whose links can be cut.
func world() (*transport.Memory, func(*engine.Config)) {
	w := transport.NewMemory(1)
	return w, func(cfg *engine.Config) { cfg.Network = w.Listen }
}

// isolate cuts a node off from all others, and returns how to heal that.
func isolate(w *transport.Memory, node engine.NodeID, nodes int) func() {
	each := func(f func(from, to engine.NodeID)) {
		for other := engine.NodeID(1); other <= engine.NodeID(nodes); other++ {
			if other != node {
				f(node, other)
				f(other, node)
			}
		}
	}
	each(w.Cut)
	return func() { each(w.Heal) }
}

// Clients write in sessions while the leader is cut off again and again, each time with
// commands under way whose outcome nobody knows. Their sessions send them again, here or
// to the new leader. Afterwards every command is in the ledger exactly once.
func TestASessionAppliesEveryCommandOnceAcrossLeaderChanges(t *testing.T) {
	const clients, changes = 8, 6
	w, adjust := world()
	c := newCluster(t, 3, adjust)
	c.leader()
	var done atomic.Bool
	var total atomic.Int64
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() {
			s, err := c.group(engine.NodeID(client%3 + 1)).Session(t.Context())
			if err != nil {
				t.Errorf("client %d: %v", client, err)
				return
			}
			for i := 0; !done.Load(); i++ {
				if _, err := s.Propose(t.Context(), fmt.Appendf(nil, "client %d line %d", client, i)); err != nil {
					t.Errorf("client %d line %d: %v", client, i, err)
					return
				}
				total.Add(1)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Errorf("client %d: close: %v", client, err)
			}
		})
	}
	for range changes {
		before := total.Load()
		c.eventually("the clients to get on", func() bool { return total.Load() > before+20 })
		old := c.leader()
		heal := isolate(w, old, 3)
		c.eventually("another leader", func() bool {
			now := c.group(old%3 + 1).Leader()
			return now != 0 && now != old
		})
		heal()
	}
	done.Store(true)
	running.Wait()
	lines := map[string]int{}
	for _, line := range c.lines(c.leader()) {
		lines[line]++
	}
	for line, n := range lines {
		if n != 1 {
			t.Errorf("%q was applied %d times", line, n)
		}
	}
	if int64(len(lines)) != total.Load() {
		t.Errorf("%d commands applied, %d acknowledged", len(lines), total.Load())
	}
}

// A plain Propose is sent once, whatever becomes of it: after an open outcome only its
// caller knows whether twice would do harm.
func TestAPlainProposeIsNeverSentAgain(t *testing.T) {
	if err := plainProposalsAreSentOnce(t, nil); err != nil {
		t.Error(err)
	}
}

// plainProposalsAreSentOnce lets a leader send commands to followers whose answers do not
// reach it: it gives up, the outcome is open, and the next leader, who has them,
// commits them. Each must then be applied once.
func plainProposalsAreSentOnce(t *testing.T, adjust func(*engine.Config)) error {
	w, inMemory := world()
	c := newCluster(t, 3, func(cfg *engine.Config) {
		inMemory(cfg)
		if adjust != nil {
			adjust(cfg)
		}
	})
	open := 0
	for round := range 3 {
		old := c.leader()
		for other := engine.NodeID(1); other <= 3; other++ {
			w.Cut(other, old)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		outcomes := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := c.group(old).Propose(ctx, fmt.Appendf(nil, "round %d line %d", round, i))
				outcomes <- err
			}()
		}
		c.eventually("the old leader to give up", func() bool { return c.group(old).Leader() != old })
		for other := engine.NodeID(1); other <= 3; other++ {
			w.Heal(other, old)
		}
		for range 20 {
			if err := <-outcomes; err == nil || errors.Is(err, engine.ErrIndeterminate) {
				open++
			}
		}
		cancel()
		c.propose(fmt.Sprint("end of round ", round))
	}
	lines := map[string]int{}
	for _, line := range c.lines(c.leader()) {
		if lines[line]++; lines[line] > 1 {
			return fmt.Errorf("%q was applied %d times", line, lines[line])
		}
	}
	if open == 0 || len(lines) <= 3 {
		return fmt.Errorf("%d open outcomes, %d lines: the test shows nothing", open, len(lines))
	}
	return nil
}

func opt(v int64) codec.Opt[int64] { return codec.Some(v) }

// caller makes calls as a client in another language does.
func caller(t testing.TB, addr string) *transport.Client {
	t.Helper()
	client, err := transport.Dial(t.Context(), addr, transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// memoryCaller is a caller in a network in memory.
func memoryCaller(t *testing.T, w *transport.Memory, addr string) *transport.Client {
	t.Helper()
	client, err := transport.Dial(t.Context(), addr, transport.ClientConfig{Dial: w.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// wireSession is a session opened over the wire, on a cluster of one.
func wireSession(t *testing.T, adjust func(*engine.Config)) (*cluster, *transport.Client, int64) {
	t.Helper()
	c := newCluster(t, 1, adjust)
	c.leader()
	client := caller(t, c.addrs[1])
	var opened raftpb.OpenSessionResponse
	if err := client.Call(t.Context(), raftpb.RaftClientOpenSession, &raftpb.OpenSessionRequest{Group: groupID}, &opened); err != nil {
		t.Fatal(err)
	}
	return c, client, opened.Session
}

func proposeIn(t *testing.T, client *transport.Client, session, serial, acked int64, cmd string) (raftpb.ProposeResponse, error) {
	t.Helper()
	req := &raftpb.ProposeRequest{
		Group: groupID, Command: []byte(cmd), Session: codec.Some(session), Serial: codec.Some(serial), AckedBelow: codec.Some(acked),
	}
	var r raftpb.ProposeResponse
	err := client.Call(t.Context(), raftpb.RaftClientPropose, req, &r)
	return r, err
}

func wantRejected(t *testing.T, err error, code raftpb.RejectCode) *raftpb.Rejected {
	t.Helper()
	var rejected *raftpb.Rejected
	if !errors.As(err, &rejected) || rejected.Code != code {
		t.Errorf("%v, want Rejected %v", err, code)
		return &raftpb.Rejected{}
	}
	return rejected
}

// A client in any language: a retry, also after a restart of the node, is answered with
// what the first attempt returned. Serials outside of the window are refused with the
// one expected; a closed session refuses everything.
func TestSessionsOverTheWire(t *testing.T) {
	c, client, session := wireSession(t, func(cfg *engine.Config) { cfg.SessionWindow = 4 })
	first, err := proposeIn(t, client, session, 1, 1, "a")
	if err != nil {
		t.Fatal(err)
	}
	c.stop(1)
	c.start(1)
	c.leader()
	client = caller(t, c.addrs[1])
	again, err := proposeIn(t, client, session, 1, 1, "a")
	if err != nil || again.Index != first.Index || string(again.Result) != string(first.Result) {
		t.Errorf("the retry after a restart: %+v, %v; want %+v", again, err, first)
	}
	if n := len(c.lines(1)); n != 1 {
		t.Errorf("%d lines, want one", n)
	}
	_, err = proposeIn(t, client, session, 5, 1, "too early")
	if r := wantRejected(t, err, raftpb.RejectCodeSerialOutOfWindow); r.ExpectedSerial != codec.Some(int64(1)) {
		t.Errorf("expected serial %v, want 1", r.ExpectedSerial)
	}
	if _, err := proposeIn(t, client, session, 5, 2, "in time"); err != nil {
		t.Errorf("serial 5 with the answers below 2: %v", err)
	}
	_, err = proposeIn(t, client, session, 1, 2, "late")
	if r := wantRejected(t, err, raftpb.RejectCodeSerialOutOfWindow); r.ExpectedSerial != codec.Some(int64(2)) {
		t.Errorf("expected serial %v, want 2", r.ExpectedSerial)
	}
	req := &raftpb.CloseSessionRequest{Group: groupID, Session: session}
	if err := client.Call(t.Context(), raftpb.RaftClientCloseSession, req, &raftpb.CloseSessionResponse{}); err != nil {
		t.Fatal(err)
	}
	_, err = proposeIn(t, client, session, 6, 2, "gone")
	wantRejected(t, err, raftpb.RejectCodeSessionExpired)
	wantRejected(t, client.Call(t.Context(), raftpb.RaftClientCloseSession, req, &raftpb.CloseSessionResponse{}), raftpb.RejectCodeSessionExpired)
	if m := c.hosts[1].Metrics().Sessions; m.Answered != 1 || m.Refused != 3 {
		t.Errorf("%+v, want one answer and three refusals since the restart", m)
	}
	bad := &raftpb.ProposeRequest{Group: groupID, Session: codec.Some(session)}
	wantRejected(t, client.Call(t.Context(), raftpb.RaftClientPropose, bad, &raftpb.ProposeResponse{}), raftpb.RejectCodeBadArgument)
}

// Sessions are bounded: one more takes the place of the least recently used, which is told.
func TestTheOldestSessionMakesRoomAndIsTold(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.MaxSessions = 2 })
	c.leader()
	var sessions []*engine.Session
	for range 3 {
		s, err := c.group(1).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	if _, err := sessions[0].Propose(t.Context(), []byte("x")); !errors.Is(err, engine.ErrSessionExpired) || errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("the oldest: %v, want ErrSessionExpired alone", err)
	}
	for _, s := range sessions[1:] {
		if _, err := s.Propose(t.Context(), []byte("x")); err != nil {
			t.Errorf("session %d: %v", s.ID(), err)
		}
	}
	if err := sessions[0].Close(t.Context()); err != nil {
		t.Errorf("closing what is gone: %v", err)
	}
}

// echo returns its commands.
type echo struct{}

func (echo) Apply(b engine.Batch, results []engine.Result) error {
	for i, cmd := range b.Commands {
		results[i].Data = append([]byte{}, cmd.Data...)
		if string(cmd.Data) == "more than a frame" {
			results[i].Data = make([]byte, raftpb.MaxFrameBytes)
		}
	}
	return nil
}

func (echo) Snapshot() (engine.Snapshot, error) { return engine.BytesSnapshot(nil), nil }

func (echo) Restore(io.Reader) error { return nil }

func (echo) Query(q []byte) ([]byte, error) { return make([]byte, len(q)*raftpb.MaxFrameBytes), nil }

// What is too long, to be kept for a retry or to be sent, is told with the place where the
// command was applied: nobody must send it again.
func TestAResultThatCannotBeToldIsSaidToBeApplied(t *testing.T) {
	c := newClusterOf(t, 1, func(cfg *engine.Config) { cfg.MaxSessionResultBytes = 10 }, func() engine.StateMachine { return echo{} })
	c.leader()
	client := caller(t, c.addrs[1])
	var opened raftpb.OpenSessionResponse
	if err := client.Call(t.Context(), raftpb.RaftClientOpenSession, &raftpb.OpenSessionRequest{Group: groupID}, &opened); err != nil {
		t.Fatal(err)
	}
	first, err := proposeIn(t, client, opened.Session, 1, 1, "longer than ten")
	if err != nil || string(first.Result) != "longer than ten" {
		t.Fatalf("%q, %v", first.Result, err)
	}
	var unavailable *raftpb.Unavailable
	_, err = proposeIn(t, client, opened.Session, 1, 1, "longer than ten")
	if !errors.As(err, &unavailable) || unavailable.Applied != codec.Some(first.Index) || !unavailable.MaybeApplied {
		t.Errorf("the retry: %v, want Unavailable, applied at %d", err, first.Index)
	}
	_, err = proposeIn(t, client, opened.Session, 2, 2, "more than a frame")
	if !errors.As(err, &unavailable) || !unavailable.Applied.Set {
		t.Errorf("more than a frame: %v, want Unavailable with the place", err)
	}
	wantRejected(t, client.Call(t.Context(), raftpb.RaftClientRead, &raftpb.ReadRequest{Group: groupID, Query: []byte("q")}, &raftpb.ReadResponse{}),
		raftpb.RejectCodeTooLarge)
}

// A window full of open commands makes the next one wait, and cancelling ends the wait
// without having sent it.
func TestAFullWindowWaits(t *testing.T) {
	w, adjust := world()
	c := newCluster(t, 3, func(cfg *engine.Config) {
		adjust(cfg)
		cfg.SessionWindow = 2
	})
	s, err := c.group(c.leader()).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var heals []func()
	for node := range c.hosts {
		heals = append(heals, isolate(w, node, 3))
	}
	ends := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := s.Propose(t.Context(), []byte("in the window"))
			ends <- err
		}()
	}
	c.eventually("the window to be full", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := s.Propose(ctx, []byte("one too many"))
		return errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, engine.ErrIndeterminate)
	})
	for _, heal := range heals {
		heal()
	}
	for range 2 {
		if err := <-ends; err != nil {
			t.Errorf("in the window: %v", err)
		}
	}
}
