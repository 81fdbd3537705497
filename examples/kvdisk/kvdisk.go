// Command kvdisk is a key-value store whose state is on disk, in pebble: a restart goes on where the state ends, and applies
// only what the log has behind it.
//
// The rule of such a machine: the effects of a batch, how far the log is applied (Batch.Last) and what the engine wants kept
// (Batch.Meta) go to disk in one atomic write, so that a crash leaves none of them ahead of another. cmd/raftkv is the same thing
// with everything that a service needs.
//
//	go run ./examples/kvdisk
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

// Keys of the database begin with a letter that says what they are: 'd' a pair, 'm' what the engine keeps, 'a' the
// applied index.
const appliedKey = "a"

// store implements engine.DiskStateMachine. A command is "key=value" and puts a pair.
type store struct{ db *pebble.DB }

var _ engine.DiskStateMachine = (*store)(nil)

func open(dir string, fs vfs.FS) (*store, error) {
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, Logger: silent{}, FormatMajorVersion: pebble.FormatNewest})
	return &store{db}, err
}

func (s *store) Close() error { return s.db.Close() }

func (s *store) Apply(b engine.Batch, results []engine.Result) error {
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }()
	var errs []error
	for i, command := range b.Commands {
		key, value, ok := bytes.Cut(command.Data, []byte("="))
		if !ok {
			results[i].Data = []byte("want key=value")
			continue
		}
		errs = append(errs, batch.Set(append([]byte("d"), key...), value, nil))
		results[i].Data = []byte("ok")
	}
	for _, kv := range b.Meta(results) { // after the results: they are part of it
		key := append([]byte("m"), kv.Key...)
		if kv.Value == nil {
			errs = append(errs, batch.Delete(key, nil))
		} else {
			errs = append(errs, batch.Set(key, kv.Value, nil))
		}
	}
	errs = append(errs, batch.Set([]byte(appliedKey), binary.BigEndian.AppendUint64(nil, uint64(b.Last)), nil))
	// Without a sync: what a crash takes, the log brings back. The engine calls Sync before it drops log.
	return errors.Join(append(errs, batch.Commit(pebble.NoSync))...)
}

func (s *store) Sync() error { return s.db.LogData(nil, pebble.Sync) }

func (s *store) Applied() (engine.Index, error) {
	value, err := s.get([]byte(appliedKey))
	if err != nil || value == nil {
		return 0, err
	}
	return engine.Index(binary.BigEndian.Uint64(value)), nil
}

func (s *store) LoadMeta(fn func(key, value []byte)) error {
	return each(s.db, "m", "n", func(key, value []byte) error { fn(key[1:], value); return nil })
}

func (s *store) Query(key []byte) ([]byte, error) { return s.get(append([]byte("d"), key...)) }

// get returns nil when there is no such key.
func (s *store) get(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// each calls fn for all that a reader has from first to before last, in order.
func each(r pebble.Reader, first, last string, fn func(key, value []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte(first), UpperBound: []byte(last)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = fn(it.Key(), it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}

// Snapshot notes where pebble stands; the pairs are written in the order of their keys while further ones are applied.
func (s *store) Snapshot() (engine.Snapshot, error) { return image{s.db.NewSnapshot()}, nil }

type image struct{ *pebble.Snapshot }

func (s image) WriteTo(w io.Writer) (n int64, err error) {
	out := bufio.NewWriter(w)
	err = each(s, "a", "z", func(key, value []byte) error {
		head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(key))), uint64(len(value)))
		k, err := out.Write(bytes.Join([][]byte{head, key, value}, nil))
		n += int64(k)
		return err
	})
	return n, errors.Join(err, out.Flush())
}

// Restore replaces everything in one batch. cmd/raftkv shows how to do that with a state larger than memory.
func (s *store) Restore(r io.Reader) error {
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }()
	if err := batch.DeleteRange([]byte("a"), []byte("z"), nil); err != nil {
		return err
	}
	for in := bufio.NewReader(r); ; {
		k, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return batch.Commit(pebble.Sync)
		}
		v, errValue := binary.ReadUvarint(in)
		if err = errors.Join(err, errValue); err != nil || k > 1<<20 || v > 16<<20 {
			return errors.Join(errors.New("not a snapshot"), err)
		}
		pair := make([]byte, k+v)
		if _, err := io.ReadFull(in, pair); err != nil {
			return err
		}
		if err := batch.Set(pair[:k], pair[k:], nil); err != nil {
			return err
		}
	}
}

type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kvdisk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "kvdisk")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, err := trio.Start(ctx, dir, func(dir string) (engine.StateMachine, error) { return open(dir, vfs.Default) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	session, err := nodes.Session(ctx)
	if err != nil {
		return err
	}
	result, err := session.Propose(ctx, []byte("greeting=hello"))
	if err != nil {
		return err
	}
	// Node 3 stops and starts again: its state is there before anybody tells it anything.
	if err := errors.Join(nodes.StopNode(3), nodes.StartNode(ctx, 3)); err != nil {
		return err
	}
	var value []byte
	err = nodes.Node(3).ReadWithin(ctx, engine.Stale, engine.ReadBound{MinIndex: result.Index}, func() (err error) {
		value, err = nodes.Node(3).Machine.Query([]byte("greeting"))
		return err
	})
	fmt.Fprintf(out, "greeting is %s\n", value)
	return err
}
