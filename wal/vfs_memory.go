package wal

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// NewMemFS returns a file system in memory, empty. A log on it survives nothing.
func NewMemFS() FS { return vfs.NewMem() }

// CrashFS is a file system in memory that knows what was synced: for tests of
// what is left after a power loss. Safe for concurrent use.
type CrashFS struct {
	*vfs.MemFS
	power  sync.RWMutex // held shared by every sync
	broken atomic.Bool
	slow   atomic.Int64 // nanoseconds for each sync
}

// NewCrashFS returns an empty one.
func NewCrashFS() *CrashFS { return &CrashFS{MemFS: vfs.NewCrashableMem()} }

// Unwrap lets a log see that the files are in memory only.
func (c *CrashFS) Unwrap() FS { return c.MemFS }

// Freeze keeps every sync from completing until the function returned is called.
// Power that fails on several machines at once fails at one moment: freeze all
// their disks, take the images, thaw. Without it a later image knows of promises
// that an earlier one does not hold.
func (c *CrashFS) Freeze() (thaw func()) {
	c.power.Lock()
	return c.power.Unlock
}

// Slow makes every sync take d longer from now on.
func (c *CrashFS) Slow(d time.Duration) { c.slow.Store(int64(d)) }

// pause is what Slow asks for.
func (c *CrashFS) pause() {
	if d := c.slow.Load(); d > 0 {
		<-time.NewTimer(time.Duration(d)).C
	}
}

// Break makes every write and every sync fail from now on.
func (c *CrashFS) Break() { c.broken.Store(true) }

func (c *CrashFS) fault() error {
	if c.broken.Load() {
		return errBroken
	}
	return nil
}

var errBroken = errors.New("wal: crash file system: broken on purpose")

// Crash returns the file system as a power loss at this moment would leave it:
// everything synced, and of the rest each 4 KiB block and each directory entry with
// a chance of unsyncedPercent, drawn from seed. The original goes on undisturbed.
func (c *CrashFS) Crash(unsyncedPercent int, seed uint64) *CrashFS {
	return &CrashFS{MemFS: c.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: unsyncedPercent,
		RNG:                 rand.New(rand.NewPCG(seed, 1)),
	})}
}

func (c *CrashFS) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return crashFile{f, c}, nil
}

// Create implements FS.
func (c *CrashFS) Create(name string, category vfs.DiskWriteCategory) (File, error) {
	return c.wrap(c.MemFS.Create(name, category))
}

// Open implements FS.
func (c *CrashFS) Open(name string, opts ...vfs.OpenOption) (File, error) {
	return c.wrap(c.MemFS.Open(name, opts...))
}

// OpenReadWrite implements FS.
func (c *CrashFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (File, error) {
	return c.wrap(c.MemFS.OpenReadWrite(name, category, opts...))
}

// OpenDir implements FS.
func (c *CrashFS) OpenDir(name string) (File, error) { return c.wrap(c.MemFS.OpenDir(name)) }

// ReuseForWrite implements FS.
func (c *CrashFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (File, error) {
	return c.wrap(c.MemFS.ReuseForWrite(oldname, newname, category))
}

// crashFile syncs only while the power is on, and fails when the disk is broken.
type crashFile struct {
	File
	disk *CrashFS
}

func (f crashFile) Write(p []byte) (int, error) {
	if err := f.disk.fault(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f crashFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.disk.fault(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f crashFile) Sync() error {
	f.disk.pause()
	f.disk.power.RLock()
	defer f.disk.power.RUnlock()
	if err := f.disk.fault(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f crashFile) SyncData() error {
	f.disk.pause()
	f.disk.power.RLock()
	defer f.disk.power.RUnlock()
	if err := f.disk.fault(); err != nil {
		return err
	}
	return f.File.SyncData()
}
