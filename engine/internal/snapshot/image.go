package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	iofs "io/fs"
	"sync"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Image is an image of a group that is in use: it stays on disk until Close.
type Image struct {
	group  *Group
	stored *stored
	once   sync.Once

	mem []byte // of an image that is not on disk

	mu     sync.Mutex
	file   wal.File
	closed bool
}

// Meta describes the image.
func (i *Image) Meta() Meta { return i.stored.meta }

// Close lets go of the image. Idempotent.
func (i *Image) Close() error {
	var err error
	i.once.Do(func() {
		i.mu.Lock()
		i.closed = true
		if i.file != nil {
			err = i.file.Close()
			i.file = nil
		}
		i.mu.Unlock()
		i.group.mu.Lock()
		i.group.release(i.stored)
		i.group.mu.Unlock()
	})
	return err
}

func (i *Image) open() (wal.File, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, iofs.ErrClosed
	}
	if i.file == nil {
		f, err := i.group.store.fs.Open(i.group.path(i.stored.name))
		if err != nil {
			return nil, err
		}
		i.file = f
	}
	return i.file, nil
}

// ReadAt reads a piece of the image as it is on disk, for sending. The receiver checks it.
func (i *Image) ReadAt(p []byte, off int64) (int, error) {
	if i.mem != nil {
		return bytes.NewReader(i.mem).ReadAt(p, off)
	}
	f, err := i.open()
	if err != nil {
		return 0, err
	}
	return f.ReadAt(p, off)
}

func (i *Image) checker() checker {
	return checker{r: i, stop: i.group.interrupted, path: i.group.path(i.stored.name), size: i.stored.meta.SizeBytes, group: i.group.id}
}

// Verify reads all of the image and checks every byte of it. A *DamageError says what
// is wrong.
func (i *Image) Verify() error {
	c := i.checker()
	m, err := c.verify()
	if err != nil {
		return err
	}
	if string(m.SnapshotID) != string(i.stored.meta.SnapshotID) {
		return c.damage(0, "another image")
	}
	return nil
}

// Hollow returns an image in memory with the same index, term and configuration, and no
// state: all that a witness needs.
func (i *Image) Hollow() *Image {
	m := i.stored.meta
	b := appendHead(nil, i.group.id, &m)
	e := end{size: int64(len(b)) + endBytes, sha256: sha256.Sum256(b)}
	m.SizeBytes, m.SnapshotID, m.Sha256 = e.size, e.sha256[:idBytes:idBytes], e.sha256[:]
	return &Image{group: i.group, stored: &stored{meta: m, refs: 1}, mem: e.append(b)}
}

// Hollow reports whether the image that m describes holds no state.
func Hollow(m *Meta) bool { return m.SizeBytes == int64(len(appendHead(nil, 0, m)))+endBytes }

// errEnough ends a reading early.
var errEnough = errors.New("snapshot: enough")

// Facts calls fn for each fact of the engine, and reads no more.
func (i *Image) Facts(fn func(KeyValue) error) error {
	enough := func(io.Reader) error { return errEnough }
	if err := i.Read(fn, enough, nil); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// Read calls the functions for what is in the image, in the order of the file: engine
// for each fact, machine once, file for each file. Every byte was checked before
// they see it. A nil function skips; what one leaves unread is skipped. An error of a
// function ends the reading and is returned.
func (i *Image) Read(engine func(KeyValue) error, machine func(io.Reader) error, file func(name string, r io.Reader) error) error {
	c := i.checker()
	m, err := c.describe()
	if err != nil {
		return err
	}
	at := c.begin
	for at < m.SizeBytes-endBytes {
		s := section{c: &c, at: at}
		if err := s.fill(); err != nil {
			return err
		}
		switch {
		case s.kind == Engine && engine != nil:
			var all []byte
			if all, err = io.ReadAll(&s); err == nil {
				err = parseKeyValues(all, engine)
			}
		case s.kind == Machine && machine != nil:
			err = machine(&s)
		case s.kind == kindFileName:
			name := string(s.rest)
			s = section{c: &c, at: s.at}
			if err = s.fill(); err == nil && file != nil {
				err = file(name, &s)
			}
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, &s); err != nil {
			return err
		}
		at = s.at
	}
	return nil
}

// section reads the payload of blocks up to the last one of their section.
type section struct {
	c    *checker
	kind Kind
	at   int64 // of the next block
	rest []byte
	last bool
	err  error
}

// fill takes the next block.
func (s *section) fill() error {
	k, payload, err := s.c.block(s.at, s.c.size-endBytes)
	if err != nil {
		s.err = err
		return err
	}
	if s.kind != 0 && k.kind != s.kind {
		s.err = s.c.damage(s.at, "section without an end")
		return s.err
	}
	s.kind, s.last, s.rest = k.kind, k.last, payload
	s.at += int64(blockHeader + len(payload))
	return nil
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if s.last {
			return 0, io.EOF
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// checker reads an image and believes nothing of it.
type checker struct {
	r     io.ReaderAt
	path  string
	size  int64
	group raftpb.GroupID
	stop  func() error // asked by verify before each block; nil: never
	begin int64        // of the first block, once described
	sum   hash.Hash    // over what head and prefix read; nil: not wanted
	buf   []byte
}

func (c *checker) damage(at int64, reason string) error {
	return &DamageError{Path: c.path, Offset: at, Reason: reason}
}

// read returns n bytes at off, valid until the next read.
func (c *checker) read(off int64, n int) ([]byte, error) {
	if off+int64(n) > c.size {
		return nil, c.damage(off, "the file ends")
	}
	if n > cap(c.buf) {
		c.buf = make([]byte, max(n, blockHeader+blockBytes))
	}
	b := c.buf[:n]
	got, err := c.r.ReadAt(b, off)
	switch {
	case got == n:
		return b, nil
	case errors.Is(err, io.EOF):
		return nil, c.damage(off, "the file ends")
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("snapshot: read %s: %w", c.path, err)
}

func (c *checker) add(b []byte) {
	if c.sum != nil {
		c.sum.Write(b)
	}
}

// head reads header and description.
func (c *checker) head() (Meta, error) {
	b, err := c.read(0, headerBytes)
	if err != nil {
		return Meta{}, err
	}
	h, reason := parseHeader(b)
	if reason == "" && h.group != c.group {
		reason = fmt.Sprintf("is an image of group %d", h.group)
	}
	if reason != "" {
		return Meta{}, c.damage(0, reason)
	}
	c.add(b)
	if b, err = c.read(headerBytes, h.metaBytes); err != nil {
		return Meta{}, err
	}
	c.add(b)
	m, reason := parseMeta(h, b)
	if reason != "" {
		return Meta{}, c.damage(headerBytes, reason)
	}
	c.begin = int64(headerBytes + h.metaBytes)
	return m, nil
}

// describe reads head and end and returns the whole description.
func (c *checker) describe() (Meta, error) {
	m, err := c.head()
	if err != nil {
		return m, err
	}
	at := c.size - endBytes
	if at < c.begin {
		return m, c.damage(c.begin, "the file ends")
	}
	b, err := c.read(at, endBytes)
	if err != nil {
		return m, err
	}
	e, reason := parseEnd(b)
	if reason == "" && e.size != c.size {
		reason = fmt.Sprintf("the file has %d bytes, its end says %d", c.size, e.size)
	}
	if reason != "" {
		return m, c.damage(at, reason)
	}
	m.SizeBytes, m.SnapshotID, m.Sha256 = e.size, e.sha256[:idBytes], e.sha256[:]
	return m, nil
}

// block reads and checks the block at off, which must end at or before limit. The
// payload is valid until the next read.
func (c *checker) block(off, limit int64) (block, []byte, error) {
	if off+blockHeader > limit {
		return block{}, nil, c.damage(off, "block cut off")
	}
	n := int(min(limit-off, blockHeader+blockBytes))
	b, err := c.read(off, n)
	if err != nil {
		return block{}, nil, err
	}
	k, reason := parseBlock(b, off)
	if reason == "" && blockHeader+k.bytes > n {
		reason = "block cut off"
	}
	if reason == "" && blockChecksum(b[:16], b[blockHeader:blockHeader+k.bytes]) != k.crc {
		reason = "checksum of the block"
	}
	if reason != "" {
		return k, nil, c.damage(off, reason)
	}
	c.add(b[:blockHeader+k.bytes])
	return k, b[blockHeader : blockHeader+k.bytes], nil
}

// prefix returns how far blocks are whole, at most up to limit, and how many they are.
func (c *checker) prefix(limit int64) (int64, uint32, error) {
	at, blocks := c.begin, uint32(0)
	for at < limit {
		if c.stop != nil {
			if err := c.stop(); err != nil {
				return at, blocks, err
			}
		}
		_, payload, err := c.block(at, limit)
		if err != nil {
			return at, blocks, err
		}
		at += int64(blockHeader + len(payload))
		blocks++
	}
	return at, blocks, nil
}

// verify reads everything, once.
func (c *checker) verify() (Meta, error) {
	c.sum = sha256.New()
	m, err := c.describe()
	if err != nil {
		return m, err
	}
	at, blocks, err := c.prefix(c.size - endBytes)
	if err != nil {
		return m, err
	}
	b, err := c.read(at, endBytes)
	if err != nil {
		return m, err
	}
	if e, _ := parseEnd(b); e.blocks != blocks {
		return m, c.damage(at, fmt.Sprintf("%d blocks, the end says %d", blocks, e.blocks))
	}
	if string(c.sum.Sum(nil)) != string(m.Sha256) {
		return m, c.damage(0, "hash of the whole")
	}
	return m, nil
}
