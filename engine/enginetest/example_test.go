package enginetest_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// turnstile counts who goes in, and lets at most ten be inside. Its snapshot has a bug:
// it does not hold how many are inside.
type turnstile struct{ passed, inside uint64 }

func (s *turnstile) Apply(b engine.Batch, results []engine.Result) error {
	for i, c := range b.Commands {
		switch {
		case string(c.Data) == "in" && s.inside < 10:
			s.inside++
			s.passed++
			results[i].Data = []byte("come in")
		case string(c.Data) == "out" && s.inside > 0:
			s.inside--
			results[i].Data = []byte("goodbye")
		}
	}
	return nil
}

func (s *turnstile) Query([]byte) ([]byte, error) { return fmt.Append(nil, s.passed), nil }

func (s *turnstile) Snapshot() (engine.Snapshot, error) { return turnstileState(s.passed), nil }

func (s *turnstile) Restore(r io.Reader) error { return binary.Read(r, binary.BigEndian, &s.passed) }

type turnstileState uint64

func (s turnstileState) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(s)))
	return int64(n), err
}

func (s turnstileState) Close() error { return nil }

// A test would say enginetest.Simulate(t, seed, m) for some seeds.
func ExampleMachine_Run() {
	m := enginetest.Machine{
		New:     func() engine.StateMachine { return new(turnstile) },
		Command: func(r *rand.Rand) []byte { return []byte([]string{"in", "in", "out"}[r.IntN(3)]) },
	}
	for seed := uint64(1); seed <= 20; seed++ {
		if r := m.Run(enginetest.Options{Seed: seed}); r.Failure != nil {
			fmt.Println("found by", r.Failure.Check)
			return
		}
	}
	// Output:
	// found by I16
}

// words keeps every word that it was told.
type words struct{ all []string }

func (w *words) Apply(b engine.Batch, _ []engine.Result) error {
	for _, c := range b.Commands {
		w.all = append(w.all, string(c.Data))
	}
	return nil
}

func (w *words) Query([]byte) ([]byte, error) { return []byte(strings.Join(w.all, " ")), nil }

func (w *words) Snapshot() (engine.Snapshot, error) {
	return engine.BytesSnapshot([]byte(strings.Join(w.all, " "))), nil
}

func (w *words) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	w.all = strings.Fields(string(b))
	return err
}

func ExampleNewCluster() {
	ctx := context.Background()
	c, err := enginetest.NewCluster(ctx, enginetest.ClusterConfig{Machine: func(engine.NodeID) engine.StateMachine { return new(words) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	say := func(word string) {
		for {
			leader, err := c.Leader(ctx)
			if err != nil {
				return
			}
			if _, err := c.Group(leader).Propose(ctx, []byte(word)); err == nil {
				return
			}
		}
	}
	c.Network.SetLinks(enginetest.Link{Latency: time.Millisecond, Duplicate: 0.1, Reorder: 0.1})
	say("one")
	old, _ := c.Leader(ctx)
	c.Network.Partition([]engine.NodeID{old})
	say("two") // by another leader
	c.Network.Heal()
	heard, err := c.Query(ctx, old, engine.Follower, nil)
	for err != nil { // it has to learn who leads
		heard, err = c.Query(ctx, old, engine.Follower, nil)
	}
	fmt.Println(string(heard))
	// Output: one two
}

// A node that stops goes on from what it has on disk.
func ExampleCluster_Stop() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	c, err := enginetest.NewCluster(ctx, enginetest.ClusterConfig{Dir: dir, Machine: func(engine.NodeID) engine.StateMachine { return new(words) }})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	leader, err := c.Leader(ctx)
	if err != nil {
		panic(err)
	}
	if _, err := c.Group(leader).Propose(ctx, []byte("kept")); err != nil {
		panic(err)
	}
	if err := c.Stop(leader); err != nil {
		panic(err)
	}
	fmt.Println("runs:", c.Host(leader) != nil)
	if err := c.Start(ctx, leader); err != nil {
		panic(err)
	}
	heard, err := c.Query(ctx, leader, engine.Follower, nil)
	for err != nil { // it has to learn who leads
		heard, err = c.Query(ctx, leader, engine.Follower, nil)
	}
	fmt.Printf("runs: %v, and knows %q\n", c.Host(leader) != nil, heard)
	// Output:
	// runs: false
	// runs: true, and knows "kept"
}

func ExampleNewNetwork() {
	net := enginetest.NewNetwork(1)
	open := func(id engine.NodeID, addr string) *engine.Host {
		h, err := engine.Open(context.Background(), engine.Config{
			Cluster: "example", Node: id, Listen: addr, Durability: engine.Memory, Network: net.Listen, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		return h
	}
	for id, addr := range map[engine.NodeID]string{1: "a", 2: "b"} {
		defer open(id, addr).Close()
	}
	net.SetLink(1, 2, enginetest.Link{Latency: 50 * time.Millisecond, Loss: 0.01})
	fmt.Println(net.Link(1, 2).Latency, net.Link(2, 1).Latency)
	net.Cut(2, 1)   // 2 hears 1, but 1 hears nothing of it until Heal
	net.Break(1, 2) // and they have to dial again
	client, err := net.Dial(context.Background(), "a")
	if err != nil {
		panic(err)
	}
	defer client.Close()
	repeated, held := net.Counts()
	fmt.Println(repeated, held) // nobody has said anything yet
	// Output:
	// 50ms 0s
	// 0 0
}

// A campaign runs many seeds of a profile on all processors; a seed that fails can be made
// small.
func ExampleCampaign_Run() {
	names := []string{}
	for _, p := range enginetest.Profiles() {
		names = append(names, p.Name)
	}
	profile, err := enginetest.ProfileByName(names[0])
	if err != nil {
		panic(err)
	}
	summary := enginetest.Campaign{Profile: profile, First: 1, Seeds: 2, Events: 2000}.Run(nil)
	fmt.Println(summary.Seeds, len(summary.Failures), summary.Green() == (summary.Invalid == ""))
	for _, failed := range summary.Failures {
		fmt.Println(enginetest.Shrink(profile, enginetest.Options{Seed: failed.Seed}, time.Minute).Report.Failure)
	}
	// Output: 2 0 true
}
