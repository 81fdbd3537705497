// Command replog is a replicated append-only log, such as a message queue stands on: producers append records and get
// their offsets, consumers read from an offset on.
//
//	go run ./examples/replog
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

// maxRecordBytes bounds a record.
const maxRecordBytes = 1 << 20

// records is the state machine: a command is a record, its result the offset, 8 bytes.
type records struct{ all [][]byte }

func (l *records) Apply(b engine.Batch, results []engine.Result) error {
	for i, command := range b.Commands {
		if len(command.Data) > maxRecordBytes {
			continue // an empty result: refused
		}
		results[i].Data = binary.BigEndian.AppendUint64(nil, uint64(len(l.all)))
		l.all = append(l.all, append([]byte(nil), command.Data...)) // the batch's bytes are the engine's
	}
	return nil
}

// Query takes an offset, 8 bytes, and returns that record, for consumers in other languages.
func (l *records) Query(q []byte) ([]byte, error) {
	if len(q) != 8 {
		return nil, fmt.Errorf("an offset has 8 bytes, not %d", len(q))
	}
	at := binary.BigEndian.Uint64(q)
	if at >= uint64(len(l.all)) {
		return nil, fmt.Errorf("offset %d is behind the end, %d", at, len(l.all))
	}
	return l.all[at], nil
}

// Snapshot is cheap, as it must be: records never change, so a copy of the slice's header is the state at this moment.
func (l *records) Snapshot() (engine.Snapshot, error) {
	return image(l.all[:len(l.all):len(l.all)]), nil
}

// image is written while further records are appended.
type image [][]byte

func (s image) WriteTo(w io.Writer) (n int64, err error) {
	out := bufio.NewWriter(w)
	for _, r := range s {
		head := binary.AppendUvarint(nil, uint64(len(r)))
		for _, part := range [][]byte{head, r} {
			k, err := out.Write(part)
			if n += int64(k); err != nil {
				return n, err
			}
		}
	}
	return n, out.Flush()
}

func (image) Close() error { return nil }

func (l *records) Restore(r io.Reader) error {
	l.all = nil
	in := bufio.NewReader(r)
	for {
		size, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || size > maxRecordBytes {
			return errors.Join(fmt.Errorf("record %d of %d bytes", len(l.all), size), err)
		}
		record := make([]byte, size)
		if _, err := io.ReadFull(in, record); err != nil {
			return err
		}
		l.all = append(l.all, record)
	}
}

// consume returns what the node has from an offset on. A stale read asks nobody: a consumer that comes back sees the rest later,
// and never anything in another order.
func consume(ctx context.Context, n *trio.Node, from int, after engine.Index) (all [][]byte, err error) {
	err = n.ReadWithin(ctx, engine.Stale, engine.ReadBound{MinIndex: after}, func() error {
		l := n.Machine.(*records).all
		all = l[min(from, len(l)):]
		return nil
	})
	return all, err
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replog:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "replog")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, err := trio.Start(ctx, dir, func(string) (engine.StateMachine, error) { return new(records), nil })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	session, err := nodes.Session(ctx)
	if err != nil {
		return err
	}
	var last engine.Index
	for _, text := range []string{"first", "second", "third"} {
		r, err := session.Propose(ctx, []byte(text))
		if err != nil {
			return err
		}
		last = r.Index
		fmt.Fprintf(out, "%q has offset %d\n", text, binary.BigEndian.Uint64(r.Data))
	}
	// With the index of a write, a read on any node waits until it sees that write.
	rest, err := consume(ctx, nodes.Node(3), 1, last)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "from offset 1 on: %q\n", rest)
	return nil
}
