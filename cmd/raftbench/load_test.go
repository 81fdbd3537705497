package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/workload"
	"github.com/seed-814fcd60/raftwire/engine"
)

// testWork is a closed loop of small commands.
func testWork(t *testing.T, clients int) work {
	t.Helper()
	sizes, err := workload.ParseSizes("64", commandHeaderBytes, maxCommandBytes)
	if err != nil {
		t.Fatal(err)
	}
	return work{clients: clients, inFlight: 1, sizes: sizes, longestPause: lastPause, firstSequence: 1}
}

// scripted is a group without a cluster: each operation takes as long, and ends as, the test says.
type scripted struct {
	answer  func(n uint64) (outcome, error) // of the n-th write, from 1 on
	writes  atomic.Uint64
	applied func() uint64
}

func (s *scripted) propose([]byte) (outcome, error) { return s.answer(s.writes.Add(1)) }

func (s *scripted) start(_ []byte, done func(outcome, error)) {
	n := s.writes.Add(1)
	go func() { done(s.answer(n)) }()
}

func (s *scripted) read(engine.Consistency, uint32) (uint64, outcome, error) {
	return s.applied(), outcomeAcked, nil
}

// loadOn makes a load of one client per target.
func loadOn(t *testing.T, w work, target proposer) *load {
	t.Helper()
	cl := &cluster{groups: 1, propose: func(uint32, engine.GroupID, engine.NodeID) proposer { return target }}
	l, err := newLoad(t.Context(), cl, w)
	if err != nil {
		t.Fatal(err)
	}
	l.phase.Store(phaseMeasured)
	l.start()
	return l
}

func finish(t *testing.T, l *load) summary {
	t.Helper()
	l.stop()
	if err := l.drain(testLimit); err != nil {
		t.Fatal(err)
	}
	return summarise(l.hists)
}

// A stall of 500 ms in an open loop of 1,000 operations per second: 500 operations were
// due meanwhile, and they all count with the time they had to wait, although the one
// client could not send them. A closed loop, or the times from when they were sent, would
// show one slow operation.
func TestAStallIsNotOmitted(t *testing.T) {
	for _, inFlight := range []int{1, 4} {
		const stall = 500 * time.Millisecond
		w := testWork(t, 1)
		w.rate, w.inFlight = 1000, inFlight
		var stalled atomic.Bool
		release := make(chan struct{})
		time.AfterFunc(stall, func() { close(release) })
		l := loadOn(t, w, &scripted{answer: func(uint64) (outcome, error) {
			stalled.Store(true)
			<-release
			return outcomeAcked, nil
		}})
		eventually(t, "operations", func() bool { done, _ := l.counts(); return done >= 600 })
		s := finish(t, l)
		// Of the 500 operations due during the stall half waited for more than half of it.
		var waited, slow int64
		for _, b := range s.all.Distribution() {
			if b.From >= int64(stall/2) {
				waited += b.Count
			}
		}
		for _, b := range s.service.Distribution() {
			if b.From >= int64(stall/2) {
				slow += b.Count
			}
		}
		if waited < 200 {
			t.Errorf("%d in flight: only %d operations waited for half the stall, want about 250", inFlight, waited)
		}
		if slow > waited/10 { // a machine under other load may stall by itself now and then
			t.Errorf("%d in flight: service times show %d slow operations, sent were only so many", inFlight, slow)
		}
	}
}

// What is refused is sent again with its own sequence number, and counts from when it
// was due; what is unknown never is.
func TestRefusedAndUnknownOperations(t *testing.T) {
	for _, inFlight := range []int{1, 8} {
		w := testWork(t, 2)
		w.inFlight = inFlight
		l := loadOn(t, w, &scripted{answer: func(n uint64) (outcome, error) {
			switch {
			case n%10 == 3:
				return outcomeRefused, errors.New("no leader")
			case n%10 == 7:
				return outcomeUnknown, errors.New("connection lost")
			}
			return outcomeAcked, nil
		}})
		eventually(t, "operations", func() bool { _, failed := l.counts(); return failed > 20 })
		finish(t, l)
		for _, c := range l.clients {
			// Every sequence number was acknowledged or is unknown; only those in flight at
			// the end may have been given up.
			gap := c.seq - 1 - c.applied.count() - c.unknown
			if gap > uint64(inFlight) {
				t.Errorf("client %d: %d numbers given, %d acknowledged, %d unknown", c.id, c.seq-1, c.applied.count(), c.unknown)
			}
			if c.wrote.Load() != c.applied.count() || c.unknown == 0 {
				t.Errorf("client %d: %d acknowledged, %d kept, %d unknown", c.id, c.wrote.Load(), c.applied.count(), c.unknown)
			}
		}
		if l.firstError() == "" {
			t.Error("no error is kept")
		}
	}
}

// A read that misses an acknowledged write is found, unless it may be stale.
func TestStaleReadsAreFound(t *testing.T) {
	for mode, want := range map[string]bool{"linearizable": true, "lease": true, "follower": true, "stale": false} {
		w := testWork(t, 1)
		var err error
		if w.mix, err = workload.ParseMix(50, mode); err != nil {
			t.Fatal(err)
		}
		s := &scripted{answer: func(uint64) (outcome, error) { return outcomeAcked, nil }}
		s.applied = func() uint64 { return s.writes.Load() / 2 }
		l := loadOn(t, w, s)
		eventually(t, "operations", func() bool { done, _ := l.counts(); return done > 100 })
		finish(t, l)
		var v verdict
		v.checkReads(l)
		if (len(v.faults) > 0) != want {
			t.Errorf("%s: %q", mode, v.faults)
		}
	}
}

// The history of a run is linearizable as counters, says porcupine; and every
// acknowledged write of the run is in it.
func TestHistoryIsLinearizable(t *testing.T) {
	for name, args := range map[string][]string{
		"one in flight": {"--clients", "4"},
		"pipelined":     {"--clients", "2", "--in-flight", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "history")
			args := append([]string{"--duration", "150ms", "--warmup", "0s", "--durability", "nosync", "--segment", "1048576",
				"--reads", "50", "--consistency", "linearizable,follower", "--history", file}, args...)
			if out := runArgs(t, args...); out.status != 0 {
				t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
			}
			checkHistory(t, file)
			if out := runArgs(t, args...); out.status != exitFailed {
				t.Errorf("the history is written over: exit status %d:\n%s", out.status, out.stderr)
			}
		})
	}
}

func checkHistory(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var operations []porcupine.Operation
	count := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var e event
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		count[e.Op+" "+e.Outcome]++
		if e.Outcome == "ok" {
			operations = append(operations, porcupine.Operation{ClientId: int(e.Process), Input: e, Call: e.Start, Return: e.End})
		}
	}
	if count["write ok"] == 0 || count["read ok"] == 0 || count["write info"] > 0 {
		t.Errorf("%v", count)
	}
	model := porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			byClient := map[uint32][]porcupine.Operation{}
			for _, o := range all {
				c := o.Input.(event).Client
				byClient[c] = append(byClient[c], o)
			}
			var list [][]porcupine.Operation
			for _, one := range byClient {
				list = append(list, one)
			}
			return list
		},
		Init: func() any { return uint64(0) },
		Step: func(state, input, _ any) (bool, any) {
			e, n := input.(event), state.(uint64)
			if e.Op == "write" {
				return true, n + 1
			}
			return *e.Value == n, n
		},
	}
	if got := porcupine.CheckOperationsTimeout(model, operations, testLimit); got != porcupine.Ok {
		t.Errorf("%d operations: %s", len(operations), got)
	}
}

func TestSteadiness(t *testing.T) {
	s := newSteadiness(warmupConfig{time.Second, 5 * time.Second})
	acked, rate := uint64(0), uint64(1000)
	at := time.Duration(0)
	grow := func(n int, factor float64) (ended bool) {
		for range n {
			rate = uint64(float64(rate) * factor)
			acked += rate
			at += steadyEvery
			ended = s.enough(at, acked) || ended
		}
		return ended
	}
	if grow(10, 1.3) {
		t.Error("steady while throughput grows by 30 % per step")
	}
	if !grow(steadyWindows, 1) || !s.steady {
		t.Error("not steady at one rate")
	}
	fixed := newSteadiness(warmupConfig{time.Second, time.Second})
	for i := range 20 {
		if fixed.enough(time.Minute, uint64(i)*100) {
			t.Error("a fixed warm-up ended early")
		}
	}
	if !fixed.steady {
		t.Error("a fixed warm-up does not say whether it was steady")
	}
	if idle := newSteadiness(warmupConfig{0, time.Second}); idle.enough(time.Second, 0) || idle.enough(time.Minute, 0) {
		t.Error("steady without an operation")
	}
}

func TestQueriesForLoads(t *testing.T) {
	m := &machine{batches: new(batchRecorder)}
	var commands []engine.Command
	for seq := range 5 {
		b := make([]byte, commandHeaderBytes)
		binary.BigEndian.PutUint32(b, 3)
		binary.BigEndian.PutUint64(b[4:], uint64(seq+1))
		commands = append(commands, engine.Command{Index: engine.Index(seq + 1), Data: b})
	}
	if err := m.Apply(engine.Batch{Commands: commands}, make([]engine.Result, len(commands))); err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string]string{"applied 3": "5", "applied 2": "0", "applied 9": "0"} {
		if got, err := m.Query([]byte(q)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", q, got, err)
		}
	}
	if _, err := m.Query([]byte("counters")); err == nil {
		t.Error("a machine that shares its process answered for it")
	}
	if got := m.batches.read(); got[3] != 1 {
		t.Errorf("a batch of 5 is counted in %v", got)
	}
}
