package crashfs

import (
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

type file struct {
	fs  *FS
	n   *node
	pos int64
}

func (f *file) path() string {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.n.name
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
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
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
	if err := f.fs.hook(Op{Kind: Write, Path: f.path(), Off: off, Len: len(p)}); err != nil {
		n := 0
		if f.fs.ShortWrites {
			n = len(p) / 2
			f.put(p[:n], off)
		}
		return n, err
	}
	f.put(p, off)
	return len(p), nil
}

func (f *file) put(p []byte, off int64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.n
	if n.dataShared {
		n.data, n.dataShared = slices.Clone(n.data), false
	}
	if end := int(off) + len(p); end > len(n.data) {
		n.data = append(n.data, make([]byte, end-len(n.data))...)
	}
	copy(n.data[off:], p)
	for len(n.dirty) < sectors(len(n.data)) {
		n.dirty = append(n.dirty, true)
	}
	for s := int(off) / SectorBytes; s < sectors(int(off)+len(p)); s++ {
		n.dirty[s] = true
	}
}

func sectors(bytes int) int { return (bytes + SectorBytes - 1) / SectorBytes }

func (f *file) Sync() error {
	kind := Sync
	if f.n.dir {
		kind = SyncDir
	}
	err := f.fs.hook(Op{Kind: kind, Path: f.path()})
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err != nil {
		if f.fs.LoseOnFailedSync {
			clear(f.n.dirty)
		}
		return err
	}
	f.n.sync()
	return nil
}

func (n *node) sync() {
	if n.dir {
		n.kept = make(map[string]*node, len(n.children))
		for name, c := range n.children {
			n.kept[name] = c
		}
		return
	}
	if n.syncedShared {
		n.synced, n.syncedShared = slices.Clone(n.synced), false
	}
	if grow := len(n.data) - len(n.synced); grow > 0 {
		n.synced = append(n.synced, make([]byte, grow)...)
	}
	for s, dirty := range n.dirty {
		if dirty {
			at, end := s*SectorBytes, min((s+1)*SectorBytes, len(n.data))
			copy(n.synced[at:end], n.data[at:end])
		}
	}
	clear(n.dirty)
}

func (f *file) SyncData() error                 { return f.Sync() }
func (f *file) SyncTo(int64) (bool, error)      { return false, nil }
func (f *file) Preallocate(_, _ int64) error    { return nil }
func (f *file) Prefetch(_ int64, _ int64) error { return nil }
func (f *file) Fd() uintptr                     { return vfs.InvalidFd }

func (f *file) Stat() (vfs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return info{name: f.n.name, size: int64(len(f.n.data)), dir: f.n.dir}, nil
}

// Bytes returns a copy of a file's content, nil when it is not there.
func (f *FS) Bytes(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil
	}
	return append([]byte{}, n.data...)
}

// SetBytes replaces a file's content, on disk too: damage, not a write.
func (f *FS) SetBytes(name string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.find(name)
	if err != nil {
		panic(err)
	}
	dir.children[base] = &node{data: append([]byte{}, b...), synced: append([]byte{}, b...), dirty: make([]bool, sectors(len(b)))}
	dir.kept[base] = dir.children[base]
}

// Spoil flips bits of one byte under the nose of those who have the file open.
func (f *FS) Spoil(name string, at int, bits byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		panic(err)
	}
	if n.dataShared {
		n.data, n.dataShared = slices.Clone(n.data), false
	}
	n.data[at] ^= bits
	if at < len(n.synced) {
		if n.syncedShared {
			n.synced, n.syncedShared = slices.Clone(n.synced), false
		}
		n.synced[at] ^= bits
	}
}
