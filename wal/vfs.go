package wal

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system a log lives on: pebble's interface, so that its
// in-memory, crashing and error-injecting file systems can stand in for a disk.
type FS = vfs.FS

// File is an open file of an FS.
type File = vfs.File

// DefaultFS returns the operating system's file system, as Options.FS means it by default.
func DefaultFS() FS { return defaultFS() }

// defaultFS is the operating system's file system.
func defaultFS() FS { return vfs.Default }

// openAt opens a file for reads here and there.
func (l *Log) openAt(name string) (File, error) { return l.fs.Open(name, vfs.RandomReadsOption) }

// openThrough opens a file to be read from front to back.
func (l *Log) openThrough(name string) (File, error) {
	return l.fs.Open(name, vfs.SequentialReadsOption)
}

const (
	categoryLog     vfs.DiskWriteCategory = "raftwire-wal"
	categorySpare   vfs.DiskWriteCategory = "raftwire-spare"
	categoryCatalog vfs.DiskWriteCategory = "raftwire-catalog"
)

// onlyInMemory reports whether nothing of fs ever reaches a disk.
func onlyInMemory(fs FS) bool {
	_, ok := vfs.Root(fs).(*vfs.MemFS)
	return ok
}

// noSpaceError reports whether a disk is full.
func noSpaceError(err error) bool { return vfs.IsNoSpaceError(err) }

// syncCounter counts the calls of fsync and fdatasync that reach the kernel, and those
// of all that failed.
type syncCounter struct{ calls, errors atomic.Int64 }

func (c *syncCounter) result(err error) error {
	if err != nil {
		c.errors.Add(1)
	}
	return err
}

// countingFS counts every sync made through it: segments, directories and the
// catalog's database alike, so that the figure agrees with strace.
type countingFS struct {
	FS
	syncs *syncCounter
}

func (c *countingFS) Unwrap() vfs.FS { return c.FS }

func (c *countingFS) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &countingFile{File: f, syncs: c.syncs}, nil
}

func (c *countingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return c.wrap(c.FS.Create(name, category))
}

func (c *countingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return c.wrap(c.FS.Open(name, opts...))
}

func (c *countingFS) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	return c.wrap(c.FS.OpenReadWrite(name, category, opts...))
}

func (c *countingFS) OpenDir(name string) (vfs.File, error) {
	return c.wrap(c.FS.OpenDir(name))
}

func (c *countingFS) ReuseForWrite(
	oldname, newname string, category vfs.DiskWriteCategory,
) (vfs.File, error) {
	return c.wrap(c.FS.ReuseForWrite(oldname, newname, category))
}

type countingFile struct {
	File
	syncs *syncCounter
}

// count adds a call unless the file has no descriptor: then nothing reaches the kernel.
func (f *countingFile) count() {
	if f.Fd() != vfs.InvalidFd {
		f.syncs.calls.Add(1)
	}
}

func (f *countingFile) Sync() error {
	f.count()
	return f.syncs.result(f.File.Sync())
}

func (f *countingFile) SyncData() error {
	f.count()
	return f.syncs.result(f.File.SyncData())
}

func (f *countingFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	if full {
		f.count()
	}
	return full, f.syncs.result(err)
}

// syncDir makes the names in dir durable.
func syncDir(fs FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}
