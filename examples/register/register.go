// Command register is a compare-and-set register: a value with a version, which is written only by who has seen the newest
// version. Two writers that read the same version cannot both win.
//
//	go run ./examples/register
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

// state is what the register holds. JSON keeps the example short; a busy service would use the code that raftgen makes of
// an IDL.
type state struct {
	Version uint64 `json:"version"` // how often it was written
	Value   string `json:"value"`
}

// write is a command: it takes effect if the register still has the version expected.
type write struct {
	Expected uint64 `json:"expected"`
	Value    string `json:"value"`
}

// answer is its result: what the register holds now, and whether the command put it there.
type answer struct {
	state
	Written bool `json:"written"`
}

// register is the state machine.
type register struct{ state }

func (r *register) Apply(b engine.Batch, results []engine.Result) error {
	for i, command := range b.Commands {
		var w write
		a := answer{}
		if err := json.Unmarshal(command.Data, &w); err == nil && w.Expected == r.Version {
			r.state = state{r.Version + 1, w.Value}
			a.Written = true
		}
		a.state = r.state
		data, err := json.Marshal(a)
		if err != nil {
			return err
		}
		results[i].Data = data
	}
	return nil
}

func (r *register) Query([]byte) ([]byte, error) { return json.Marshal(r.state) }

func (r *register) Snapshot() (engine.Snapshot, error) {
	b, err := json.Marshal(r.state)
	return engine.BytesSnapshot(b), err
}

func (r *register) Restore(from io.Reader) error {
	var s state // fields that are not in the snapshot must not survive
	if err := json.NewDecoder(from).Decode(&s); err != nil {
		return err
	}
	r.state = s
	return nil
}

// proposer is a group or a session.
type proposer interface {
	Propose(ctx context.Context, cmd []byte) (engine.Result, error)
}

// set writes value if the register has the version expected.
func set(ctx context.Context, to proposer, expected uint64, value string) (answer, error) {
	command, err := json.Marshal(write{expected, value})
	if err != nil {
		return answer{}, err
	}
	result, err := to.Propose(ctx, command)
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(result.Data, &a)
}

// get reads the register on a node; it misses nothing that was acknowledged before.
func get(ctx context.Context, n *trio.Node) (s state, err error) {
	err = n.Read(ctx, engine.Follower, func() error { s = n.Machine.(*register).state; return nil })
	return s, err
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "register:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "register")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, err := trio.Start(ctx, dir, func(string) (engine.StateMachine, error) { return new(register), nil })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	// In a session a write is applied once, however often it has to be sent: a retry whose first attempt won is not told
	// that somebody else was faster.
	session, err := nodes.Session(ctx)
	if err != nil {
		return err
	}
	seen, err := get(ctx, nodes.Node(2))
	if err != nil {
		return err
	}
	for _, name := range []string{"ada", "grace"} {
		a, err := set(ctx, session, seen.Version, name) // both have seen the same version
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s writes after version %d: %v, the register has %q\n", name, seen.Version, a.Written, a.Value)
	}
	return nil
}
