// Package crashfs is an in-memory file system for tests of what survives a crash.
// It knows, for every 512-byte sector and every directory entry, whether it was
// synced, shows every mutating operation to a hook that may refuse it, and makes
// images of what a disk could hold if the power failed now.
package crashfs

import (
	"io"
	iofs "io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SectorBytes is what a disk writes whole or not at all.
const SectorBytes = 512

// Kind names an operation that changes something.
type Kind string

// The operations that the hook sees.
const (
	Create  Kind = "create"
	Write   Kind = "write"
	Sync    Kind = "sync"
	SyncDir Kind = "sync-dir"
	Rename  Kind = "rename"
	Remove  Kind = "remove"
	Mkdir   Kind = "mkdir"
	Link    Kind = "link"
	Lock    Kind = "lock"
)

// Op is one operation about to happen.
type Op struct {
	Kind Kind
	Path string
	Off  int64
	Len  int
}

// FS is the file system. It is safe for concurrent use. It is not a *vfs.MemFS,
// so a log takes it for a disk.
type FS struct {
	// OnOp is called before each operation that changes something; what it returns
	// is the answer of the operation, which is then not done. Set it while nobody
	// else uses the file system. It may call Image.
	OnOp func(Op) error
	// ShortWrites lets a refused write put its first half into the file.
	ShortWrites bool
	// LoseOnFailedSync makes a refused sync of a file forget that its sectors were
	// dirty, as kernels do: they read back, and no later sync writes them.
	LoseOnFailedSync bool

	mu    sync.Mutex
	root  *node
	locks map[string]bool
}

var _ vfs.FS = (*FS)(nil)

type node struct {
	dir      bool
	children map[string]*node // of a directory
	kept     map[string]*node // of a directory, as of its last sync
	data     []byte
	synced   []byte
	dirty    []bool // per sector of data
	name     string // of a file: the newest one

	// Images share bytes with the file system they were made of until one of them
	// changes.
	dataShared, syncedShared bool
}

// New returns an empty file system.
func New() *FS { return &FS{root: newDir(), locks: map[string]bool{}} }

func newDir() *node { return &node{dir: true, children: map[string]*node{}, kept: map[string]*node{}} }

func (f *FS) hook(op Op) error {
	if f.OnOp == nil {
		return nil
	}
	return f.OnOp(op)
}

func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// find returns the directory of name and name's last part. mu is held.
func (f *FS) find(name string) (dir *node, base string, err error) {
	parts := split(name)
	if len(parts) == 0 {
		return f.root, "", nil
	}
	dir = f.root
	for _, p := range parts[:len(parts)-1] {
		n := dir.children[p]
		if n == nil || !n.dir {
			return nil, "", &iofs.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		}
		dir = n
	}
	return dir, parts[len(parts)-1], nil
}

func (f *FS) lookup(name string) (*node, error) {
	dir, base, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if base == "" {
		return dir, nil
	}
	if n := dir.children[base]; n != nil {
		return n, nil
	}
	return nil, &iofs.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
}

// Create makes a new file, in place of an old one of that name.
func (f *FS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.hook(Op{Kind: Create, Path: name}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.find(name)
	if err != nil {
		return nil, err
	}
	n := &node{name: name}
	dir.children[base] = n
	return &file{fs: f, n: n}, nil
}

// Open opens a file or directory for reading.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	n.name = name
	return &file{fs: f, n: n}, nil
}

// OpenReadWrite opens a file for both, and makes it when it is not there.
func (f *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	f.mu.Lock()
	n, err := f.lookup(name)
	f.mu.Unlock()
	if err != nil {
		return f.Create(name, c)
	}
	n.name = name
	return &file{fs: f, n: n}, nil
}

// OpenDir opens a directory for syncing.
func (f *FS) OpenDir(name string) (vfs.File, error) { return f.Open(name) }

// Link gives a file a second name.
func (f *FS) Link(oldname, newname string) error {
	if err := f.hook(Op{Kind: Link, Path: newname}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(oldname)
	if err != nil {
		return err
	}
	dir, base, err := f.find(newname)
	if err != nil {
		return err
	}
	dir.children[base] = n
	return nil
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	if err := f.hook(Op{Kind: Remove, Path: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.find(name)
	if err != nil {
		return err
	}
	n := dir.children[base]
	switch {
	case n == nil:
		return &iofs.PathError{Op: "remove", Path: name, Err: os.ErrNotExist}
	case len(n.children) > 0:
		return &iofs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	delete(dir.children, base)
	return nil
}

// RemoveAll removes a file or directory with all that is in it.
func (f *FS) RemoveAll(name string) error {
	if err := f.hook(Op{Kind: Remove, Path: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if dir, base, err := f.find(name); err == nil {
		delete(dir.children, base)
	}
	return nil
}

// Rename gives a file another name and drops what had it.
func (f *FS) Rename(oldname, newname string) error {
	if err := f.hook(Op{Kind: Rename, Path: newname}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(oldname)
	if err != nil {
		return err
	}
	from, oldbase, _ := f.find(oldname)
	to, newbase, err := f.find(newname)
	if err != nil {
		return err
	}
	delete(from.children, oldbase)
	to.children[newbase] = n
	n.name = newname
	return nil
}

// ReuseForWrite renames a file and opens it for writing, its content as it was.
func (f *FS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(newname, c)
}

// MkdirAll makes a directory and those above it.
func (f *FS) MkdirAll(name string, _ os.FileMode) error {
	if err := f.hook(Op{Kind: Mkdir, Path: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir := f.root
	for _, p := range split(name) {
		n := dir.children[p]
		if n == nil {
			n = newDir()
			dir.children[p] = n
		}
		dir = n
	}
	return nil
}

type lock struct {
	fs   *FS
	name string
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// Lock locks a name within this file system.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.hook(Op{Kind: Lock, Path: name}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] {
		return nil, syscall.EAGAIN
	}
	dir, base, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if dir.children[base] == nil {
		dir.children[base] = &node{}
	}
	f.locks[name] = true
	return &lock{fs: f, name: name}, nil
}

// List returns the names in a directory.
func (f *FS) List(name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.children)), nil
}

// Stat describes a file.
func (f *FS) Stat(name string) (vfs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	return info{name: path.Base(name), size: int64(len(n.data)), dir: n.dir}, nil
}

// PathBase is path.Base.
func (f *FS) PathBase(p string) string { return path.Base(p) }

// PathJoin is path.Join.
func (f *FS) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir is path.Dir, but that the root stands for the current directory.
func (f *FS) PathDir(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return "/"
}

// GetDiskUsage says that there is room.
func (f *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 41}, nil
}

// Unwrap returns nil: nothing is behind this file system.
func (f *FS) Unwrap() vfs.FS { return nil }

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) Mode() os.FileMode      { return 0o644 }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
