package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// FileCatalog keeps the catalog in one file of appended batches, all of it in
// memory. It starts no goroutine, so that a single-threaded simulation can run a
// whole log; it is meant for catalogs of a few megabytes.
//
//	batch: "RWCB" | u32 crc32c of the rest | u32 bytes of the changes | changes
//	change: u32 bytes of key | u32 bytes of value, 0xffffffff to remove | key | value
func FileCatalog(fs FS, dir string, _ *slog.Logger) (Catalog, error) {
	c := &fileCatalog{fs: fs, dir: dir, keys: map[string][]byte{}}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("wal: open catalog: %w", err)
	}
	// What was read may be only in the page cache, or end in a torn batch: a new
	// file is the same state on disk, whole.
	if err := c.rewrite(); err != nil {
		return nil, fmt.Errorf("wal: open catalog: %w", err)
	}
	return c, nil
}

const (
	batchMagic     = "RWCB"
	batchHead      = 12
	catalogFile    = "CATALOG"
	catalogTemp    = "CATALOG.new"
	changeRemoved  = ^uint32(0)
	catalogGarbage = 1 << 20 // bytes of dead batches that are worth a rewrite
)

type fileCatalog struct {
	fs     FS
	dir    string
	f      File
	keys   map[string][]byte
	sorted []string // of keys; nil: it is to be made again
	bytes  int      // written to f
	live   int      // of it, what a rewrite would keep, about
	failed error
}

func (c *fileCatalog) load() error {
	f, err := c.fs.Open(c.fs.PathJoin(c.dir, catalogFile))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for len(b) > 0 {
		n := wholeBatch(b)
		if n == 0 {
			return tornOrDamaged(b)
		}
		if !c.replay(b[batchHead:n]) {
			return errors.New("catalog holds a change that is none")
		}
		b = b[n:]
	}
	return nil
}

// wholeBatch returns the length of the batch at the front of b, 0 if it is not whole.
func wholeBatch(b []byte) int {
	if len(b) < batchHead || string(b[:4]) != batchMagic {
		return 0
	}
	n := int64(le32(b[8:])) + batchHead
	if n > int64(len(b)) || le32(b[4:]) != crc32.Checksum(b[8:n], castagnoli) {
		return 0
	}
	return int(n)
}

// tornOrDamaged judges a batch that is not whole: as the last one it was not
// synced, and the catalog can do without it; in front of others it is damaged, and
// what is behind it must not be forgotten.
func tornOrDamaged(b []byte) error {
	for at := 1; at < len(b); at++ {
		next := bytes.Index(b[at:], []byte(batchMagic))
		if next < 0 {
			return nil
		}
		if at += next; wholeBatch(b[at:]) > 0 {
			return errors.New("catalog is damaged")
		}
	}
	return nil
}

func (c *fileCatalog) replay(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 8 {
			return false
		}
		k, v := int64(le32(b)), int64(le32(b[4:]))
		removed := uint32(v) == changeRemoved
		if removed {
			v = 0
		}
		if 8+k+v > int64(len(b)) {
			return false
		}
		key := string(b[8 : 8+k])
		if removed {
			delete(c.keys, key)
		} else {
			c.keys[key] = slices.Clone(b[8+k : 8+k+v])
		}
		b = b[8+k+v:]
	}
	return true
}

func encodeChanges(changes []CatalogChange) []byte {
	b := append(make([]byte, 0, 128), batchMagic+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for _, ch := range changes {
		var h [8]byte
		put32(h[:], uint32(len(ch.Key)))
		put32(h[4:], uint32(len(ch.Value)))
		if ch.Value == nil {
			put32(h[4:], changeRemoved)
		}
		b = append(append(append(b, h[:]...), ch.Key...), ch.Value...)
	}
	put32(b[8:], uint32(len(b)-batchHead))
	put32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b
}

func (c *fileCatalog) Scan(prefix []byte, fn func(key, value []byte) error) error {
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.keys))
	}
	from, _ := slices.BinarySearch(c.sorted, string(prefix))
	for _, k := range c.sorted[from:] {
		if !strings.HasPrefix(k, string(prefix)) {
			break
		}
		if err := fn([]byte(k), c.keys[k]); err != nil {
			return err
		}
	}
	return nil
}

func (c *fileCatalog) Apply(changes []CatalogChange, sync bool) error {
	if c.failed != nil {
		return c.failed
	}
	b := encodeChanges(changes)
	if _, err := c.f.Write(b); err != nil {
		return c.fail(err)
	}
	if sync {
		if err := c.f.SyncData(); err != nil {
			return c.fail(err)
		}
	}
	c.bytes += len(b)
	for _, ch := range changes {
		if ch.Value == nil {
			delete(c.keys, string(ch.Key))
			c.sorted = nil
			continue
		}
		if c.keys[string(ch.Key)] == nil {
			c.sorted = nil
		}
		c.keys[string(ch.Key)] = slices.Clone(ch.Value)
	}
	if c.bytes-c.live > catalogGarbage && c.bytes > 2*c.live {
		if err := c.rewrite(); err != nil {
			return c.fail(err)
		}
	}
	return nil
}

// fail is sticky: after a failed write or sync nobody knows what the file holds.
func (c *fileCatalog) fail(err error) error {
	c.failed = fmt.Errorf("wal: write catalog: %w", err)
	return c.failed
}

// rewrite puts the current state into a new file and switches to it.
func (c *fileCatalog) rewrite() error {
	temp, name := c.fs.PathJoin(c.dir, catalogTemp), c.fs.PathJoin(c.dir, catalogFile)
	f, err := c.fs.Create(temp, categoryCatalog)
	if err != nil {
		return err
	}
	n := 0
	for _, k := range slices.Sorted(maps.Keys(c.keys)) {
		b := encodeChanges([]CatalogChange{{Key: []byte(k), Value: c.keys[k]}})
		if _, err := f.Write(b); err != nil {
			return errors.Join(err, f.Close())
		}
		n += len(b)
	}
	err = f.Sync()
	if err == nil {
		err = c.fs.Rename(temp, name)
	}
	if err == nil {
		err = syncDir(c.fs, c.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if c.f != nil {
		_ = c.f.Close() // replaced; nothing in it counts any more
	}
	c.f, c.bytes, c.live = f, n, n
	return nil
}

func (c *fileCatalog) Close() error {
	if err := c.f.Close(); err != nil {
		return fmt.Errorf("wal: close catalog: %w", err)
	}
	return nil
}
