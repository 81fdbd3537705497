package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine"
)

// adder is a state machine: the sum of the numbers proposed.
type adder struct{ sum int }

func (a *adder) Apply(b engine.Batch, results []engine.Result) error {
	for i, cmd := range b.Commands {
		if n, err := strconv.Atoi(string(cmd.Data)); err == nil {
			a.sum += n // what is no number changes nothing, on every member alike
		}
		results[i].Data = strconv.AppendInt(nil, int64(a.sum), 10)
	}
	return nil
}

func (a *adder) Query([]byte) ([]byte, error) { return strconv.AppendInt(nil, int64(a.sum), 10), nil }

func (a *adder) Snapshot() (engine.Snapshot, error) {
	return engine.BytesSnapshot(strconv.AppendInt(nil, int64(a.sum), 10)), nil
}

func (a *adder) Restore(r io.Reader) error {
	_, err := fmt.Fscan(r, &a.sum)
	return err
}

// open returns a host with one group, whose only member it is; close it with the function returned.
func open(machine engine.StateMachine) (*engine.Host, *engine.Group, func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	host, err := engine.Open(ctx, engine.Config{
		Cluster: "example", Node: 1, Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	group, err := host.Start(ctx, engine.GroupConfig{
		ID: 1, Machine: machine, Members: []engine.Member{{ID: 1, Address: host.Addr()}},
	})
	if err != nil {
		panic(err)
	}
	return host, group, func() { host.Close(); os.RemoveAll(dir) }
}

// propose retries while no leader is elected.
func propose(g *engine.Group, cmd string) engine.Result {
	for {
		r, err := g.Propose(context.Background(), []byte(cmd))
		var notLeader *engine.NotLeaderError
		switch {
		case err == nil:
			return r
		case !errors.As(err, &notLeader) || errors.Is(err, engine.ErrIndeterminate):
			panic(err)
		}
	}
}

func ExampleOpen() {
	ctx := context.Background()
	host, err := engine.Open(ctx, engine.Config{
		Cluster: "example", Node: 1, Durability: engine.Memory, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer host.Close()
	fmt.Println(host.Durability())
	// Output: none (memory)
}

// An observer is told what happens, and why: here, that the only member comes to lead.
func ExampleConfig_observer() {
	ctx := context.Background()
	roles := make(chan engine.Event, 16)
	host, err := engine.Open(ctx, engine.Config{
		Cluster: "example", Node: 1, Durability: engine.Memory, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Observer: func(e engine.Event) {
			if e.Kind == engine.EventRole {
				roles <- e
			}
		},
	})
	if err != nil {
		panic(err)
	}
	defer host.Close()
	if _, err := host.Start(ctx, engine.GroupConfig{ID: 1, Machine: &adder{}, Members: []engine.Member{{ID: 1, Address: host.Addr()}}}); err != nil {
		panic(err)
	}
	for range 3 {
		e := <-roles
		fmt.Println(e.Kind, e.Role, e.Reason)
	}
	// Output:
	// role PRECANDIDATE no-leader
	// role CANDIDATE no-leader
	// role LEADER
}

func ExampleHost_Start() {
	host, group, closeAll := open(&adder{})
	defer closeAll()
	fmt.Println(group.ID(), host.Group(1) == group)
	// Output: 1 true
}

func ExampleGroup_Propose() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "40")
	result := propose(group, "2")
	fmt.Printf("%s\n", result.Data)
	// Output: 42
}

func ExampleGroup_ProposeAsync() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1") // a leader is there

	results := make(chan string, 3)
	for _, cmd := range []string{"1", "2", "3"} {
		err := group.ProposeAsync([]byte(cmd), func(r engine.Result, err error) {
			if err != nil {
				results <- err.Error()
				return
			}
			results <- string(r.Data)
		})
		if err != nil {
			panic(err)
		}
	}
	fmt.Println(<-results, <-results, <-results)
	// Output: 2 4 7
}

func ExampleGroup_Change() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1") // a leader is there
	ctx := context.Background()
	plan, err := group.PlanChange(engine.AddLearner(2, "127.0.0.1:9"))
	fmt.Println(len(plan), err)
	err = group.Change(ctx, engine.AddLearner(2, "127.0.0.1:9"))
	fmt.Println(err)
	err = group.Change(ctx, engine.Remove(1))
	fmt.Println(errors.Is(err, engine.ErrUnsafeChange)) // the learner alone could decide nothing
	// Output:
	// 1 <nil>
	// <nil>
	// true
}

func ExampleGroup_Transfer() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1")
	err := group.Transfer(context.Background(), 0) // to whoever is best: here nobody is
	fmt.Println(errors.Is(err, engine.ErrUnsafeChange))
	// Output: true
}

func ExampleGroup_Session() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	ctx := context.Background()
	session, err := group.Session(ctx) // waits for a leader
	if err != nil {
		panic(err)
	}
	result, err := session.Propose(ctx, []byte("42")) // once, whatever happens to leaders meanwhile
	fmt.Println(string(result.Data), err, session.Close(ctx))
	// Output: 42 <nil> <nil>
}

func ExampleGroup_Read() {
	sum := &adder{}
	_, group, closeAll := open(sum)
	defer closeAll()
	propose(group, "7")
	var seen int
	err := group.Read(context.Background(), engine.Linearizable, func() error { seen = sum.sum; return nil })
	fmt.Println(seen, err)
	// Output: 7 <nil>
}

func ExampleGroup_ReadWithin() {
	sum := &adder{}
	_, group, closeAll := open(sum)
	defer closeAll()
	written := propose(group, "7")
	var seen int
	bound := engine.ReadBound{MinIndex: written.Index} // on any member: wait for that write
	err := group.ReadWithin(context.Background(), engine.Stale, bound, func() error { seen = sum.sum; return nil })
	fmt.Println(seen, err)
	// Output: 7 <nil>
}

func ExampleGroup_Status() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1")
	s, err := group.Status()
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Role, s.Leader, s.Last == s.Commit, len(s.Members))
	// Output: LEADER 1 true 1
}

func ExampleGroup_Why() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1")
	why, err := group.Why()
	fmt.Println(strings.Split(why.Sentence, ":")[0], why.Culprit, err)
	// Output: Nothing waits 0 <nil>
}

func ExampleGroup_Hash() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1")
	ctx := context.Background()
	a, err := group.Hash(ctx, 0)
	if err != nil {
		panic(err)
	}
	b, err := group.Hash(ctx, a.Index) // another member would say the same
	fmt.Println(a == b, err)
	// Output: true <nil>
}

func ExampleGroup_Stop() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	if err := group.Stop(context.Background()); err != nil {
		panic(err)
	}
	_, err := group.Propose(context.Background(), []byte("1"))
	fmt.Println(errors.Is(err, engine.ErrClosed))
	// Output: true
}

// A snapshot stands for the log before it. The engine takes them by itself, as
// Config.Snapshots says; this one is asked for.
func ExampleGroup_Snapshot() {
	_, group, done := open(&adder{})
	defer done()
	last := propose(group, "40").Index
	s, err := group.Snapshot(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Index >= last, s.Bytes > 0)
	// Output: true true
}

// A machine with little state encodes it while nothing is applied.
func ExampleBytesSnapshot() {
	a := &adder{sum: 42}
	s, err := a.Snapshot() // engine.BytesSnapshot of "42"
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if _, err := s.WriteTo(os.Stdout); err != nil {
		panic(err)
	}
	// Output: 42
}
