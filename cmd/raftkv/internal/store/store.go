// Package store is the state machine of raftkv: an ordered map of bytes to bytes, kept in pebble.
//
// One pebble database holds everything: the pairs, how far the log is applied, and what the engine keeps
// of sessions. One atomic batch per Apply changes them together, so that a crash leaves none of them ahead of another.
//
//	0x00 "a"          how far the log is applied, 8 bytes, big endian
//	0x00 "m" key      a key of engine.Batch.Meta
//	0x01 key          a pair
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/seed-814fcd60/raftwire/engine"
)

var appliedKey = []byte{0, 'a'}

const (
	metaPrefix = "\x00m"
	dataPrefix = "\x01"
	dataEnd    = "\x02"
)

// Store implements engine.DiskStateMachine. The engine calls the methods of that interface, one at a time; View may be called
// from anywhere at any time.
type Store struct {
	fs  vfs.FS
	dir string

	// Of whoever calls the methods of engine.DiskStateMachine:
	applied engine.Index
	marker  *atomicfs.Marker // names the database in use

	mu sync.Mutex // held for a look at what follows, never over I/O
	db *database  // nil: closed
}

var _ engine.DiskStateMachine = (*Store)(nil)

// Open opens the store in dir, which is created when it is missing. fs nil: the disk.
func Open(dir string, fs vfs.FS) (*Store, error) {
	if fs == nil {
		fs = vfs.Default
	}
	s := &Store{fs: fs, dir: dir}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open: %w", err), s.Close())
	}
	return s, nil
}

// open opens the database that the marker names and removes all others: Restore left them.
func (s *Store) open() error {
	marker, name, err := atomicfs.LocateMarker(s.fs, s.dir, "current")
	if err != nil {
		return err
	}
	s.marker = marker
	number := 0
	if name == "" {
		if err := marker.Move(databaseName(0)); err != nil {
			return err
		}
	} else if number, err = parseDatabaseName(name); err != nil {
		return err
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, other := range names {
		if n, err := parseDatabaseName(other); err == nil && n != number {
			if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, other)); err != nil {
				return err
			}
		}
	}
	if s.db, err = s.openDatabase(number); err != nil {
		return err
	}
	for _, dir := range []string{s.dir, s.fs.PathDir(s.dir)} { // what a power loss must not take: that they are there
		if err := syncDir(s.fs, dir); err != nil {
			return err
		}
	}
	s.applied, err = readApplied(s.db)
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close closes the store. What Apply has taken and Sync has not made durable, the log brings back.
func (s *Store) Close() error {
	s.mu.Lock()
	db := s.db
	s.db = nil
	s.mu.Unlock()
	var errs []error
	if db != nil {
		errs = append(errs, s.release(db, nil))
	}
	if s.marker != nil {
		errs = append(errs, s.marker.Close())
		s.marker = nil
	}
	return errors.Join(errs...)
}

// Applied implements engine.DiskStateMachine.
func (s *Store) Applied() (engine.Index, error) { return s.applied, nil }

// Sync implements engine.DiskStateMachine: batches are written without a sync, and one sync covers all before it.
func (s *Store) Sync() error {
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("store: sync: %w", err)
	}
	return nil
}

// LoadMeta implements engine.DiskStateMachine.
func (s *Store) LoadMeta(fn func(key, value []byte)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(metaPrefix), UpperBound: []byte("\x00n")})
	if err != nil {
		return fmt.Errorf("store: load meta: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		fn(it.Key()[len(metaPrefix):], it.Value())
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("store: load meta: %w", err)
	}
	return nil
}

// get returns the value of a key in what reader sees, and whether there is one.
func get(reader pebble.Reader, key []byte) ([]byte, bool, error) {
	value, closer, err := reader.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	out := append([]byte{}, value...)
	return out, true, closer.Close()
}

func readApplied(reader pebble.Reader) (engine.Index, error) {
	value, ok, err := get(reader, appliedKey)
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("applied index has %d bytes", len(value))
	}
	return engine.Index(binary.BigEndian.Uint64(value)), nil
}

// dataKey returns the database's key of a pair.
func dataKey(key []byte) []byte { return append([]byte(dataPrefix), key...) }

// database is a pebble database. It is closed when the store has another one and no view of it is left.
type database struct {
	*pebble.DB
	number int
	users  int          // views, and the store; under Store.mu
	after  func() error // runs once it is closed; nil: nothing
}

func (s *Store) openDatabase(number int) (*database, error) {
	db, err := pebble.Open(s.fs.PathJoin(s.dir, databaseName(number)), &pebble.Options{
		FS: s.fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}, MemTableSize: 32 << 20, CacheSize: 64 << 20,
	})
	if err != nil {
		return nil, err
	}
	return &database{DB: db, number: number, users: 1}, nil
}

// use returns the database, which stays open until release; nil: the store is closed.
func (s *Store) use() *database {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.db.users++
	}
	return s.db
}

// release lets go of db; the last one closes it. after, when set, runs once that is done.
func (s *Store) release(db *database, after func() error) error {
	s.mu.Lock()
	db.users--
	if after != nil {
		db.after = after
	}
	last := db.users == 0
	s.mu.Unlock()
	if !last {
		return nil
	}
	err := db.Close()
	if db.after != nil {
		err = errors.Join(err, db.after())
	}
	return err
}

// databaseName is the name of a database in the store's directory.
func databaseName(number int) string { return fmt.Sprintf("kv-%06d", number) }

func parseDatabaseName(name string) (number int, err error) {
	if _, err := fmt.Sscanf(name, "kv-%d", &number); err != nil || databaseName(number) != name {
		return 0, fmt.Errorf("%q is not the name of a database", name)
	}
	return number, nil
}

// quiet keeps pebble from writing to standard error. Errors come back from its methods.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("pebble: "+format, args...))
}
