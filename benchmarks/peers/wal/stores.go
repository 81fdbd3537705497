package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	raftwire "github.com/seed-814fcd60/raftwire/wal"
)

// The names of the logs.
const (
	ours       = "raftwire"
	raw        = "raw"
	rawAligned = "raw-4k"
	raftWAL    = "raft-wal"
	etcdWAL    = "etcd-wal"
	pebbleDB   = "pebble"
	boltDB     = "raft-boltdb"
)

type opener struct {
	name string
	open func(dir string) (store, error)
}

func openers() []opener {
	return []opener{
		{raw, func(dir string) (store, error) { return openRaw(dir, 1) }},
		{rawAligned, func(dir string) (store, error) { return openRaw(dir, 4096) }},
		{ours, openOurs},
		{raftWAL, openRaftWAL},
		{etcdWAL, openEtcdWAL},
		{pebbleDB, openPebble},
		{boltDB, openBolt},
	}
}

// segmentBytes is the size of our segments and of the raw file: large enough that
// zeros for the next one are written between turns rather than within them.
const segmentBytes = 256 << 20

// rawFile is the least that any log does: one write and one fdatasync over blocks
// that were written before, around and around in one file.
type rawFile struct {
	f     *os.File
	at    int64
	align int
	buf   []byte
}

func openRaw(dir string, align int) (store, error) {
	f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	zero := make([]byte, 1<<20)
	for at := int64(0); at < segmentBytes; at += int64(len(zero)) {
		if _, err := f.WriteAt(zero, at); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return &rawFile{f: f, align: align}, f.Sync()
}

func (r *rawFile) append(_ uint64, bodies [][]byte) error {
	r.buf = r.buf[:0]
	for _, b := range bodies {
		r.buf = append(r.buf, b...)
	}
	for len(r.buf)%r.align != 0 {
		r.buf = append(r.buf, make([]byte, r.align-len(r.buf)%r.align)...)
	}
	if r.at+int64(len(r.buf)) > segmentBytes {
		r.at = 0
	}
	if _, err := r.f.WriteAt(r.buf, r.at); err != nil {
		return err
	}
	r.at += int64(len(r.buf))
	return unix.Fdatasync(int(r.f.Fd()))
}

func (r *rawFile) close() error { return r.f.Close() }

// ourLog is package wal of this repository. Checksums of bodies are computed where
// an entry is born, so they are part of an append here.
type ourLog struct {
	l       *raftwire.Log
	batch   raftwire.Batch
	entries []raftpb.Entry
}

func openOurs(dir string) (store, error) {
	l, _, err := raftwire.Open(dir, raftwire.Options{
		Identity:     raftwire.Identity{Cluster: "bench", Node: 1},
		SegmentBytes: segmentBytes, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if d := l.Durability(); d != "fsync" {
		return nil, errors.Join(fmt.Errorf("directory %s gives durability %q, not fsync", dir, d), l.Close())
	}
	return &ourLog{l: l}, nil
}

func (o *ourLog) append(first uint64, bodies [][]byte) error {
	o.entries = o.entries[:0]
	for _, b := range bodies {
		const kind = raftpb.EntryKindCommand
		o.entries = append(o.entries, raftpb.Entry{Term: 1, Kind: kind, Body: b, Crc32c: raftwire.EntryChecksum(kind, b)})
	}
	o.batch.Reset()
	o.batch.Append(1, raftpb.Index(first), o.entries)
	return o.l.Write(&o.batch)
}

func (o *ourLog) close() error { return o.l.Close() }
