package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-814fcd60/raftwire/engine"
)

// A snapshot is all that the database holds, in the order of its keys:
//
//	"raftkv 1\n"
//	key length (uvarint, at least 1), value length (uvarint), key, value    any number of times
//	0
//
// It does not depend on how pebble has laid the state out: members with equal states write equal bytes, so that
// a transfer to another member goes on when the leader changes, and so that their hashes can be compared.
const snapshotMagic = "raftkv 1\n"

// maxStoredBytes bounds a key or a value of a snapshot that is read: a pair's value, or what the engine keeps of a session.
const maxStoredBytes = 32 << 20

// Snapshot implements engine.StateMachine. It costs no more than noting where pebble stands.
func (s *Store) Snapshot() (engine.Snapshot, error) { return s.View() }

// WriteTo implements engine.Snapshot.
func (v *View) WriteTo(w io.Writer) (n int64, err error) {
	it, err := v.at.NewIter(nil)
	if err != nil {
		return 0, fmt.Errorf("store: snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	out := bufio.NewWriterSize(w, 64<<10)
	put := func(b []byte) {
		if err == nil {
			var k int
			k, err = out.Write(b)
			n += int64(k)
		}
	}
	put([]byte(snapshotMagic))
	var head []byte
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		value, failed := it.ValueAndErr()
		if failed != nil {
			return n, fmt.Errorf("store: snapshot: %w", failed)
		}
		head = binary.AppendUvarint(head[:0], uint64(len(it.Key())))
		head = binary.AppendUvarint(head, uint64(len(value)))
		put(head)
		put(it.Key())
		put(value)
	}
	put([]byte{0})
	if err = errors.Join(err, it.Error(), out.Flush()); err != nil {
		return n, fmt.Errorf("store: snapshot: %w", err)
	}
	return n, nil
}

// Restore implements engine.StateMachine. The snapshot becomes a database of its own, durable before the
// marker names it: a crash leaves the old state or the new one.
func (s *Store) Restore(r io.Reader) error {
	next := s.db.number + 1
	if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, databaseName(next))); err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	db, err := s.openDatabase(next)
	if err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	applied, err := fill(db, r)
	if err != nil {
		return errors.Join(fmt.Errorf("store: restore: %w", err), db.Close())
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return errors.Join(fmt.Errorf("store: restore: %w", err), db.Close())
	}
	if err := s.marker.Move(databaseName(next)); err != nil {
		return errors.Join(fmt.Errorf("store: restore: %w", err), db.Close())
	}
	s.mu.Lock()
	old := s.db
	s.db, s.applied = db, applied
	s.mu.Unlock()
	remove := func() error { return s.fs.RemoveAll(s.fs.PathJoin(s.dir, databaseName(old.number))) }
	if err := s.release(old, remove); err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	return nil
}

// fill writes a snapshot to an empty database and makes it durable.
func fill(db *database, r io.Reader) (engine.Index, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return 0, errors.Join(errors.New("not a snapshot of raftkv"), err)
	}
	batch := db.NewBatch()
	defer func() { _ = batch.Close() }()
	for {
		key, value, err := readPair(in)
		if err != nil {
			return 0, err
		}
		if len(key) == 0 {
			break
		}
		if err := batch.Set(key, value, nil); err != nil {
			return 0, err
		}
		if batch.Len() >= 4<<20 {
			if err := batch.Commit(pebble.NoSync); err != nil {
				return 0, err
			}
			batch.Reset()
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return 0, err
	}
	return readApplied(db)
}

// readPair reads one pair; its key is empty at the end.
func readPair(in *bufio.Reader) (key, value []byte, err error) {
	k, err := binary.ReadUvarint(in)
	if err != nil || k == 0 {
		return nil, nil, err
	}
	v, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, nil, err
	}
	if k > maxStoredBytes || v > maxStoredBytes {
		return nil, nil, fmt.Errorf("a pair of %d and %d bytes", k, v)
	}
	pair := make([]byte, k+v)
	if _, err := io.ReadFull(in, pair); err != nil {
		return nil, nil, err
	}
	return pair[:k], pair[k:], nil
}
