package wal

import (
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// NewMemFS returns a file system in memory, empty. A log on it survives nothing.
func NewMemFS() FS { return vfs.NewMem() }

// CrashFS is a file system in memory that knows what was synced: for tests of
// what is left after a power loss. Safe for concurrent use.
type CrashFS struct {
	*vfs.MemFS
	power sync.RWMutex // held shared by every sync
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
	return crashFile{f, &c.power}, nil
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

// crashFile syncs only while the power is on.
type crashFile struct {
	File
	power *sync.RWMutex
}

func (f crashFile) Sync() error {
	f.power.RLock()
	defer f.power.RUnlock()
	return f.File.Sync()
}

func (f crashFile) SyncData() error {
	f.power.RLock()
	defer f.power.RUnlock()
	return f.File.SyncData()
}
