package main

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	raftwal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
	etcdwal "go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// hashicorpStore is either log store of hashicorp/raft.
type hashicorpStore struct {
	log interface {
		raft.LogStore
		Close() error
	}
	logs     []raft.Log
	pointers []*raft.Log
}

func openRaftWAL(dir string) (store, error) {
	l, err := raftwal.Open(dir)
	if err != nil {
		return nil, err
	}
	return &hashicorpStore{log: l}, nil
}

func openBolt(dir string) (store, error) {
	l, err := raftboltdb.New(raftboltdb.Options{
		Path:                    filepath.Join(dir, "raft.db"),
		BoltOptions:             &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: time.Second},
		MsgpackUseNewTimeFormat: true,
	})
	if err != nil {
		return nil, err
	}
	return &hashicorpStore{log: l}, nil
}

func (h *hashicorpStore) append(first uint64, bodies [][]byte) error {
	if len(h.logs) < len(bodies) {
		h.logs = make([]raft.Log, len(bodies))
		h.pointers = make([]*raft.Log, len(bodies))
		for i := range h.logs {
			h.pointers[i] = &h.logs[i]
		}
	}
	for i, b := range bodies {
		h.logs[i] = raft.Log{Index: first + uint64(i), Term: 1, Type: raft.LogCommand, Data: b}
	}
	return h.log.StoreLogs(h.pointers[:len(bodies)])
}

func (h *hashicorpStore) close() error { return h.log.Close() }

// etcdStore is the log of the etcd server.
type etcdStore struct{ w *etcdwal.WAL }

func openEtcdWAL(dir string) (store, error) {
	w, err := etcdwal.Create(zap.NewNop(), filepath.Join(dir, "wal"), nil)
	if err != nil {
		return nil, err
	}
	if err := w.SaveSnapshot(&walpb.Snapshot{Index: new(uint64(0)), Term: new(uint64(0))}); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &etcdStore{w}, nil
}

// append makes the entries anew, as raft does: each scalar is a pointer.
func (e *etcdStore) append(first uint64, bodies [][]byte) error {
	entries := make([]*raftpb.Entry, len(bodies))
	for i, b := range bodies {
		entries[i] = &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Term: new(uint64(1)), Index: new(first + uint64(i)), Data: b}
	}
	return e.w.Save(nil, entries)
}

func (e *etcdStore) close() error { return e.w.Close() }

// pebbleStore keeps each entry under a key of group and index.
type pebbleStore struct {
	db    *pebble.DB
	value []byte
	lives uint64 // of appenders
}

func openPebble(dir string) (store, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20, Logger: quietLogger{},
	})
	if err != nil {
		return nil, err
	}
	return &pebbleStore{db: db}, nil
}

func (p *pebbleStore) append(first uint64, bodies [][]byte) error {
	b := p.db.NewBatch()
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], 1)
	for i, body := range bodies {
		binary.BigEndian.PutUint64(key[8:], first+uint64(i))
		p.value = append(binary.LittleEndian.AppendUint64(p.value[:0], 1), body...)
		if err := b.Set(key[:], p.value, nil); err != nil {
			return err
		}
	}
	return errors.Join(b.Commit(pebble.Sync), b.Close())
}

func (p *pebbleStore) close() error { return p.db.Close() }

type quietLogger struct{}

func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}
func (quietLogger) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}
