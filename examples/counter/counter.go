// Command counter is the smallest state machine: a number that three nodes agree on.
//
//	go run ./examples/counter
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

// counter is a state machine in memory: after a restart the engine restores its newest snapshot and applies the log
// behind that again. The engine calls its methods one at a time, so it needs no lock.
type counter struct{ total int64 }

// Apply adds what the commands say: decimal numbers. Every node gets the same commands in the same order. A command that
// makes no sense is refused in its result: an error would stop the group.
func (c *counter) Apply(b engine.Batch, results []engine.Result) error {
	for i, command := range b.Commands {
		n, err := strconv.ParseInt(string(command.Data), 10, 64)
		if err != nil {
			results[i].Data = []byte("not a number")
			continue
		}
		c.total += n
		results[i].Data = strconv.AppendInt(nil, c.total, 10)
	}
	return nil
}

// Query serves clients in other languages; in Go a read is a function, as below.
func (c *counter) Query([]byte) ([]byte, error) { return strconv.AppendInt(nil, c.total, 10), nil }

// Snapshot returns the state at this moment; the engine writes it while further commands are applied.
func (c *counter) Snapshot() (engine.Snapshot, error) {
	return engine.BytesSnapshot(binary.BigEndian.AppendUint64(nil, uint64(c.total))), nil
}

// Restore is the other half of Snapshot, maybe on another node.
func (c *counter) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil || len(b) != 8 {
		return errors.Join(fmt.Errorf("a snapshot of %d bytes", len(b)), err)
	}
	c.total = int64(binary.BigEndian.Uint64(b))
	return nil
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "counter")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, err := trio.Start(ctx, dir, func(string) (engine.StateMachine, error) { return new(counter), nil })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	leader, err := nodes.Leader(ctx)
	if err != nil {
		return err
	}
	for _, n := range []string{"1", "20", "300"} {
		// Propose returns when a majority has the command on disk and this node has applied it.
		result, err := nodes.Node(leader).Propose(ctx, []byte(n))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "add %s: %s\n", n, result.Data)
	}
	// Any node can serve a read that misses nothing.
	other := nodes.Node(leader%3 + 1)
	var total int64
	if err := other.Read(ctx, engine.Follower, func() error { total = other.Machine.(*counter).total; return nil }); err != nil {
		return err
	}
	fmt.Fprintf(out, "another node says %d\n", total)
	return nil
}
