package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

// A plan shows every configuration that a change passes through, before anything happens.
func ExampleGroup_PlanChange() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1") // a leader is there
	show := func(steps ...engine.Change) {
		plan, err := group.PlanChange(steps...)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, step := range plan {
			for _, m := range step.Configuration.Members {
				fmt.Print(m.ID, " ", m.Suffrage, "; ")
			}
			fmt.Println("may lose", step.ToleratedFailures)
		}
	}
	fmt.Println("two voters and a witness:")
	show(engine.AddVoter(2, "127.0.0.1:9"), engine.AddWitness(3, "127.0.0.1:9"))
	fmt.Println("the same, all named:")
	show(engine.Replace(engine.Member{ID: 1, Address: "127.0.0.1:7", Suffrage: engine.Voter}),
		engine.Replace(engine.Member{ID: 2, Address: "127.0.0.1:9", Suffrage: engine.Voter}))
	// Output:
	// two voters and a witness:
	// 1 VOTER; 2 LEARNER; may lose 0
	// 1 VOTER; 2 VOTER; 3 WITNESS; may lose 0
	// 1 VOTER; 2 VOTER; 3 WITNESS; may lose 1
	// the same, all named:
	// 1 VOTER; 2 LEARNER; may lose 0
	// 1 VOTER; 2 VOTER; may lose 0
}

// Steps of one change, on a condition.
func ExampleExpect() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	propose(group, "1")
	ctx := context.Background()
	before, err := group.Status()
	if err != nil {
		panic(err)
	}
	fmt.Println(group.Change(ctx, engine.AddLearner(2, "127.0.0.1:9")))
	// The configuration is another one now, so what was decided on the first does not count.
	err = group.Change(ctx, engine.Expect(before.Configuration.Index), engine.Promote(2))
	fmt.Println(errors.Is(err, engine.ErrConfigurationMoved))
	fmt.Println(group.Change(ctx, engine.Move(2, "127.0.0.1:10")))
	err = group.Change(ctx, engine.Demote(1)) // nobody would be left to vote
	fmt.Println(errors.Is(err, engine.ErrUnsafeChange))
	// Output:
	// <nil>
	// true
	// <nil>
	// true
}

// What a host says of itself.
func ExampleHost_Metrics() {
	host, group, closeAll := open(&adder{})
	defer closeAll()
	last := propose(group, "1").Index
	m := host.Metrics()
	fmt.Println("node", host.Node(), "leads:", group.Leader() == host.Node(), "elections:", m.Elections, "groups:", len(host.Groups()))
	index, chain := group.Chain() // equal on every member that has applied as much
	fmt.Println(group.Applied() == last, index == last, chain != 0)
	// Output:
	// node 1 leads: true elections: 1 groups: 1
	// true true true
}

// The codec of what is sent can change at any time: receivers read them all.
func ExampleHost_SetCodec() {
	host, _, closeAll := open(&adder{})
	defer closeAll()
	fmt.Println(host.SetCodec("msgpack"))
	fmt.Println(host.SetCodec("morse"))
	// Output:
	// <nil>
	// engine: codec "morse" is not known
}

// A service that passes on commands of clients numbers them as the clients did: one that
// comes twice is applied once.
func ExampleGroup_ProposeSerial() {
	_, group, closeAll := open(&adder{})
	defer closeAll()
	ctx := context.Background()
	session, err := group.Session(ctx) // a client would call RaftClient.OpenSession
	if err != nil {
		panic(err)
	}
	from := engine.Serial{Session: session.ID(), Serial: 1}
	for range 2 {
		result, err := group.ProposeSerial(ctx, from, []byte("42"))
		fmt.Println(string(result.Data), err)
	}
	// Output:
	// 42 <nil>
	// 42 <nil>
}

// Services in other languages are told the same as callers in Go.
func ExampleException() {
	err := engine.Exception(7, &engine.NotLeaderError{Group: 7, Leader: 3})
	var told *raftpb.NotLeader
	fmt.Println(errors.As(err, &told) && told.Leader == codec.Some[engine.NodeID](3))
	// Output: true
}

// Two of three members are lost for ever. The directory that is left says what it has; a plan
// makes its node the group.
func ExamplePlanRecovery() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	members := []engine.Member{{ID: 1, Address: "127.0.0.1:7"}, {ID: 2, Address: "127.0.0.1:8"}, {ID: 3, Address: "127.0.0.1:9"}}
	start := func() (*engine.Host, *engine.Group) {
		host, err := engine.Open(ctx, engine.Config{
			Cluster: "example", Node: 1, Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		group, err := host.Start(ctx, engine.GroupConfig{ID: 1, Machine: &adder{}, Members: members})
		if err != nil {
			panic(err)
		}
		return host, group
	}
	host, _ := start()
	fmt.Println("epoch", host.Epoch())
	host.Close()

	left, err := engine.Inspect(dir)
	if err != nil {
		panic(err)
	}
	plan, err := engine.PlanRecovery(1, []engine.Inspection{left})
	if err != nil {
		panic(err)
	}
	fmt.Println("lead", plan.Lead, "without", len(plan.Gone))
	if err := plan.Apply(dir); err != nil {
		panic(err)
	}
	host, group := start()
	defer host.Close()
	fmt.Printf("epoch %d, sum %s\n", host.Epoch(), propose(group, "42").Data)
	// Output:
	// epoch 0
	// lead 1 without 2
	// epoch 1, sum 42
}

// A node whose directory is lost is refused by the others, until it was removed from its
// groups and added again, or an operator says that it is safe.
func ExampleHost_Readmit() {
	host, _, closeAll := open(&adder{})
	defer closeAll()
	fmt.Println(host.NotAdmitted()) // nobody refuses this one
	fmt.Println(host.Readmit(2))
	// Output:
	// <nil>
	// <nil>
}

// Certificates are replaced while the host runs.
func ExampleHost_SetIdentity() {
	authority, err := transporttest.NewAuthority() // for tests; others read files: transport.LoadIdentity
	if err != nil {
		panic(err)
	}
	issue := func() *transport.Identity {
		id, err := authority.Issue(nil, transport.NodeURI("example", 1))
		if err != nil {
			panic(err)
		}
		return id
	}
	host, err := engine.Open(context.Background(), engine.Config{
		Cluster: "example", Node: 1, Durability: engine.Memory, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Identity: issue(),
	})
	if err != nil {
		panic(err)
	}
	defer host.Close()
	fmt.Println(host.SetIdentity(issue()))
	// Output: <nil>
}

// kept is a machine on disk: what it was told stays when the process ends. A real one has a
// store whose writes are atomic; here a struct is one.
type kept struct {
	last engine.Index
	sum  int
	meta map[string][]byte
}

func (k *kept) Apply(b engine.Batch, results []engine.Result) error {
	for i, cmd := range b.Commands {
		if n, err := strconv.Atoi(string(cmd.Data)); err == nil {
			k.sum += n
		}
		results[i].Data = strconv.AppendInt(nil, int64(k.sum), 10)
	}
	for _, kv := range b.Meta(results) { // with the effects, in one write
		if k.meta[string(kv.Key)] = kv.Value; kv.Value == nil {
			delete(k.meta, string(kv.Key))
		}
	}
	k.last = b.Last
	return nil
}

func (k *kept) Applied() (engine.Index, error) { return k.last, nil }
func (k *kept) Sync() error                    { return nil }

func (k *kept) LoadMeta(fn func(key, value []byte)) error {
	for key, value := range k.meta {
		fn([]byte(key), value)
	}
	return nil
}

func (k *kept) Query([]byte) ([]byte, error)       { return strconv.AppendInt(nil, int64(k.sum), 10), nil }
func (k *kept) Snapshot() (engine.Snapshot, error) { return nil, errors.New("left out here") }
func (k *kept) Restore(io.Reader) error            { return errors.New("left out here") }

// A machine on disk stores what Batch.Meta returns in the same write as the effects, and
// goes on behind its last batch when it is started again.
func ExampleBatch_Meta() {
	disk := &kept{meta: map[string][]byte{}}
	_, group, closeAll := open(disk)
	defer closeAll()
	ctx := context.Background()
	session, err := group.Session(ctx)
	if err != nil {
		panic(err)
	}
	result, err := session.Propose(ctx, []byte("42"))
	fmt.Println(string(result.Data), err, disk.last == result.Index, len(disk.meta) > 0)
	// Output: 42 <nil> true true
}
