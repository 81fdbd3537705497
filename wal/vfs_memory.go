package wal

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// NewMemFS returns a file system in memory, empty. A log on it survives nothing.
func NewMemFS() FS { return vfs.NewMem() }

// CrashFS is a file system in memory that knows what was synced: for tests of
// what is left after a power loss.
type CrashFS struct{ *vfs.MemFS }

// NewCrashFS returns an empty one.
func NewCrashFS() *CrashFS { return &CrashFS{vfs.NewCrashableMem()} }

// Unwrap lets a log see that the files are in memory only.
func (c *CrashFS) Unwrap() FS { return c.MemFS }

// Crash returns the file system as a power loss at this moment would leave it:
// everything synced, and of the rest each 4 KiB block and each directory entry with
// a chance of unsyncedPercent, drawn from seed. The original goes on undisturbed;
// Crash may be called while it is in use.
func (c *CrashFS) Crash(unsyncedPercent int, seed uint64) *CrashFS {
	return &CrashFS{c.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: unsyncedPercent,
		RNG:                 rand.New(rand.NewPCG(seed, 1)),
	})}
}
