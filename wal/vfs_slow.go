package wal

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SlowFS is a file system whose syncs take longer when that is asked for: to find out
// what a slow disk does to a cluster. Safe for concurrent use.
type SlowFS struct {
	FS
	slow atomic.Int64 // nanoseconds for each sync
}

// NewSlowFS returns fs, as fast as it is.
func NewSlowFS(fs FS) *SlowFS { return &SlowFS{FS: fs} }

// Slow makes every sync take d longer from now on. Not positive: as long as it takes.
func (s *SlowFS) Slow(d time.Duration) { s.slow.Store(int64(d)) }

// Unwrap lets a log see what file system it is on.
func (s *SlowFS) Unwrap() FS { return s.FS }

func (s *SlowFS) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{f, s}, nil
}

// Create implements FS.
func (s *SlowFS) Create(name string, category vfs.DiskWriteCategory) (File, error) {
	return s.wrap(s.FS.Create(name, category))
}

// OpenReadWrite implements FS.
func (s *SlowFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (File, error) {
	return s.wrap(s.FS.OpenReadWrite(name, category, opts...))
}

// OpenDir implements FS.
func (s *SlowFS) OpenDir(name string) (File, error) { return s.wrap(s.FS.OpenDir(name)) }

// ReuseForWrite implements FS.
func (s *SlowFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (File, error) {
	return s.wrap(s.FS.ReuseForWrite(oldname, newname, category))
}

// slowFile waits before it syncs.
type slowFile struct {
	File
	disk *SlowFS
}

func (f slowFile) pause() {
	if d := time.Duration(f.disk.slow.Load()); d > 0 {
		<-time.NewTimer(d).C
	}
}

// Sync implements File.
func (f slowFile) Sync() error {
	f.pause()
	return f.File.Sync()
}

// SyncData implements File.
func (f slowFile) SyncData() error {
	f.pause()
	return f.File.SyncData()
}

// SyncTo implements File.
func (f slowFile) SyncTo(length int64) (fullSync bool, err error) {
	f.pause()
	return f.File.SyncTo(length)
}
