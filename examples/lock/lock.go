// Command lock is a distributed lock that lets go by itself. There is no clock in it, for clocks differ from node to node:
// a hold lasts for a number of log entries, which all members count alike. Who waits proposes again and again, and thereby
// moves the log along; when nobody waits, nobody minds that the holder keeps it.
//
// A holder that was slow may believe that it still has the lock. So each hold has a fencing token, which rises with
// every hold: what the lock protects must refuse a token that is lower than one it has seen.
//
//	go run ./examples/lock
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

// request is a command.
type request struct {
	Do    string       `json:"do"` // acquire, renew, release
	Owner string       `json:"owner"`
	Token engine.Index `json:"token,omitempty"` // of renew and release
	Lasts engine.Index `json:"lasts,omitempty"` // entries, of acquire and renew
}

// hold is who has the lock; the zero value: nobody.
type hold struct {
	Owner string       `json:"owner"`
	Token engine.Index `json:"token"` // the index of the entry that acquired it
	Until engine.Index `json:"until"` // the last entry of the hold
}

// reply is the result of a command: who has the lock now, and whether the command had an effect.
type reply struct {
	hold
	OK bool `json:"ok"`
}

// mutex is the state machine.
type mutex struct{ hold }

func (m *mutex) Apply(b engine.Batch, results []engine.Result) error {
	for i, command := range b.Commands {
		var r request
		ok := json.Unmarshal(command.Data, &r) == nil && m.apply(&r, command.Index)
		data, err := json.Marshal(reply{m.hold, ok})
		if err != nil {
			return err
		}
		results[i].Data = data
	}
	return nil
}

// apply carries out r, which stands at index. It reports whether it had an effect.
func (m *mutex) apply(r *request, index engine.Index) bool {
	if m.Owner != "" && index > m.Until {
		m.hold = hold{} // the hold has ended
	}
	mine := m.Owner != "" && m.Owner == r.Owner && m.Token == r.Token
	switch {
	case r.Do == "acquire" && m.Owner == "" && r.Owner != "" && r.Lasts > 0:
		m.hold = hold{r.Owner, index, index + r.Lasts}
	case r.Do == "renew" && mine && r.Lasts > 0:
		m.Until = max(m.Until, index+r.Lasts)
	case r.Do == "release" && mine:
		m.hold = hold{}
	default:
		return false
	}
	return true
}

func (m *mutex) Query([]byte) ([]byte, error) { return json.Marshal(m.hold) }

func (m *mutex) Snapshot() (engine.Snapshot, error) {
	b, err := json.Marshal(m.hold)
	return engine.BytesSnapshot(b), err
}

func (m *mutex) Restore(r io.Reader) error {
	var h hold
	if err := json.NewDecoder(r).Decode(&h); err != nil {
		return err
	}
	m.hold = h
	return nil
}

// client asks for the lock in the name of an owner. The session makes it safe to send a request again: an acquire
// whose answer was lost is not answered by "somebody has it" when that somebody is the client itself.
type client struct {
	session *engine.Session
	owner   string
}

func (c *client) send(ctx context.Context, r request) (reply, error) {
	r.Owner = c.owner
	command, err := json.Marshal(r)
	if err != nil {
		return reply{}, err
	}
	result, err := c.session.Propose(ctx, command)
	if err != nil {
		return reply{}, err
	}
	var out reply
	return out, json.Unmarshal(result.Data, &out)
}

// resource is something that the lock protects, such as a file: it refuses who comes late.
type resource struct{ highest engine.Index }

func (r *resource) write(token engine.Index) error {
	if token < r.highest {
		return errors.New("the token is old")
	}
	r.highest = token
	return nil
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lock:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, err := trio.Start(ctx, dir, func(string) (engine.StateMachine, error) { return new(mutex), nil })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	var clients [2]client
	for i, owner := range []string{"ada", "grace"} {
		s, err := nodes.Session(ctx)
		if err != nil {
			return err
		}
		clients[i] = client{s, owner}
	}
	ada, grace, file := &clients[0], &clients[1], new(resource)
	held, err := ada.send(ctx, request{Do: "acquire", Lasts: 4})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ada acquires: %v\n", held.OK)
	for tries := 1; ; tries++ { // ada has gone silent: every attempt of grace brings the end of the hold nearer
		got, err := grace.send(ctx, request{Do: "acquire", Lasts: 4})
		if err != nil {
			return err
		}
		if got.OK {
			fmt.Fprintf(out, "grace acquires at attempt %d, and writes: %v\n", tries, file.write(got.Token) == nil)
			break
		}
	}
	late, err := ada.send(ctx, request{Do: "renew", Token: held.Token, Lasts: 4})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ada renews: %v, and writes all the same: %v\n", late.OK, file.write(held.Token) == nil)
	return nil
}
