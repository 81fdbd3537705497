package disk

import (
	"io"
	iofs "io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var _ vfs.FS = (*Disk)(nil)

// Create makes a new file, in place of an old one of that name.
func (d *Disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.before(Create, 0); err != nil {
		return nil, err
	}
	dir, base, err := d.find(name)
	if err != nil {
		return nil, err
	}
	d.change(dir, base)
	n := &node{}
	dir.children[base] = n
	return &file{d: d, n: n, name: name}, nil
}

// Open opens a file or directory for reading.
func (d *Disk) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	n, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	return &file{d: d, n: n, name: name}, nil
}

// OpenReadWrite opens a file for both, and makes it when it is not there.
func (d *Disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	n, err := d.lookup(name)
	if err != nil {
		return d.Create(name, c)
	}
	return &file{d: d, n: n, name: name}, nil
}

// OpenDir opens a directory for syncing.
func (d *Disk) OpenDir(name string) (vfs.File, error) { return d.Open(name) }

// Link gives a file a second name.
func (d *Disk) Link(oldname, newname string) error {
	if err := d.before(Create, 0); err != nil {
		return err
	}
	n, err := d.lookup(oldname)
	if err != nil {
		return err
	}
	dir, base, err := d.find(newname)
	if err != nil {
		return err
	}
	d.change(dir, base)
	dir.children[base] = n
	return nil
}

// Remove removes a file or an empty directory.
func (d *Disk) Remove(name string) error {
	if err := d.before(Remove, 0); err != nil {
		return err
	}
	dir, base, err := d.find(name)
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
	d.change(dir, base)
	delete(dir.children, base)
	return nil
}

// RemoveAll removes a file or directory with all that is in it.
func (d *Disk) RemoveAll(name string) error {
	if err := d.before(Remove, 0); err != nil {
		return err
	}
	if dir, base, err := d.find(name); err == nil {
		d.change(dir, base)
		delete(dir.children, base)
	}
	return nil
}

// Rename gives a file another name and drops what had it.
func (d *Disk) Rename(oldname, newname string) error {
	if err := d.before(Rename, 0); err != nil {
		return err
	}
	n, err := d.lookup(oldname)
	if err != nil {
		return err
	}
	from, oldbase, _ := d.find(oldname)
	to, newbase, err := d.find(newname)
	if err != nil {
		return err
	}
	d.change(from, oldbase)
	d.change(to, newbase)
	delete(from.children, oldbase)
	to.children[newbase] = n
	d.moves = append(d.moves, move{from, to, oldbase, newbase, n})
	return nil
}

// ReuseForWrite renames a file and opens it for writing, its content as it was.
func (d *Disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, c)
}

// MkdirAll makes a directory and those above it.
func (d *Disk) MkdirAll(name string, _ os.FileMode) error {
	if err := d.before(Mkdir, 0); err != nil {
		return err
	}
	dir := d.root
	for p := range strings.FieldsFuncSeq(clean(name), func(r rune) bool { return r == '/' }) {
		n := dir.children[p]
		if n == nil {
			d.change(dir, p)
			n = newDir()
			dir.children[p] = n
		}
		dir = n
	}
	return nil
}

type lock struct {
	d    *Disk
	name string
}

func (l *lock) Close() error {
	delete(l.d.locked, l.name)
	return nil
}

// Lock locks a name on this disk.
func (d *Disk) Lock(name string) (io.Closer, error) {
	if err := d.before(Lock, 0); err != nil {
		return nil, err
	}
	if d.locked[name] {
		return nil, syscall.EAGAIN
	}
	dir, base, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if dir.children[base] == nil {
		d.change(dir, base)
		dir.children[base] = &node{}
	}
	d.locked[name] = true
	return &lock{d, name}, nil
}

// List returns the names in a directory.
func (d *Disk) List(name string) ([]string, error) {
	n, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.children)), nil
}

// Stat describes a file.
func (d *Disk) Stat(name string) (vfs.FileInfo, error) {
	n, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// PathBase is path.Base.
func (d *Disk) PathBase(p string) string { return path.Base(p) }

// PathJoin is path.Join.
func (d *Disk) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir is path.Dir, but that the root stands for the current directory.
func (d *Disk) PathDir(p string) string {
	if dir := path.Dir(p); dir != "." {
		return dir
	}
	return "/"
}

// GetDiskUsage says that there is room, or none.
func (d *Disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.Full {
		return vfs.DiskUsage{TotalBytes: 1 << 41}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 41}, nil
}

// Unwrap returns nil: nothing is behind this file system.
func (d *Disk) Unwrap() vfs.FS { return nil }

type info struct {
	name string
	n    *node
}

func (i info) Name() string         { return i.name }
func (i info) Size() int64          { return int64(i.n.size) }
func (i info) Mode() os.FileMode    { return 0o600 }
func (i info) ModTime() time.Time   { return time.Time{} }
func (i info) IsDir() bool          { return i.n.dir }
func (i info) Sys() any             { return nil }
func (info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

// file is an open file.
type file struct {
	d    *Disk
	n    *node
	name string
	pos  int64
}

func (f *file) Close() error { return nil }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(f.n.size) {
		return 0, io.EOF
	}
	n := f.n.read(p, int(off))
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.before(Write, len(p)); err != nil {
		return 0, err
	}
	if len(f.n.undo) == 0 {
		f.d.wrote = append(f.d.wrote, f.n)
	}
	f.n.write(f.d.memory, p, int(off))
	f.d.Writes++
	f.d.Bytes += len(p)
	return len(p), nil
}

func (f *file) Sync() error {
	if f.n.dir {
		if err := f.d.before(SyncDir, 0); err != nil {
			return err
		}
		f.d.syncNames(f.n)
		return nil
	}
	if err := f.d.before(Sync, 0); err != nil {
		return err
	}
	f.d.Syncs++
	f.n.sync(f.d.memory)
	f.d.wrote = slices.DeleteFunc(f.d.wrote, func(n *node) bool { return n == f.n })
	return nil
}

func (f *file) SyncData() error                 { return f.Sync() }
func (f *file) SyncTo(int64) (bool, error)      { return false, nil }
func (f *file) Preallocate(_, _ int64) error    { return nil }
func (f *file) Prefetch(_ int64, _ int64) error { return nil }
func (f *file) Fd() uintptr                     { return vfs.InvalidFd }

func (f *file) Stat() (vfs.FileInfo, error) { return info{path.Base(f.name), f.n}, nil }
