package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/seed-814fcd60/raftwire/wal"
)

// syncEvery is how much of a file is written before it is synced in between: a sync of
// everything at the end would hold up the log's, on the same disk, for too long.
const syncEvery = 8 << 20

// maxNameBytes bounds the name of a file in an image.
const maxNameBytes = 4096

// Writer writes an image: facts of the engine, then the machine's state, then files.
// Its first error stays. Commit or Abort ends it.
type Writer struct {
	group *Group
	meta  Meta
	tmp   string
	file  wal.File
	sum   hash.Hash
	at    int64
	dirty int64
	buf   []byte // a block being filled; its header first
	kind  Kind
	count uint32
	err   error
	ended bool
}

// Create begins an image of the state at m.Index; of m, size and identity are not
// looked at. ErrExists: there is one, or one is being written.
func (g *Group) Create(m Meta) (*Writer, error) {
	if m.Index <= 0 || m.Term <= 0 {
		return nil, ErrMeta
	}
	w := &Writer{group: g, meta: m, tmp: imageName(&m) + writeSuffix, sum: sha256.New()}
	g.mu.Lock()
	s := g.find(&m)
	if (s != nil && s.err == nil) || g.writing[w.tmp] {
		g.mu.Unlock()
		return nil, ErrExists
	}
	g.writing[w.tmp] = true
	g.mu.Unlock()
	err := g.prepare()
	if err == nil {
		w.file, err = g.store.fs.Create(g.path(w.tmp), category)
	}
	if err != nil {
		w.forget()
		return nil, fmt.Errorf("snapshot: create: %w", err)
	}
	head := appendHead(nil, g.id, &m)
	if len(head) > headerBytes+maxMetaBytes {
		w.Abort()
		return nil, ErrMeta
	}
	w.put(head)
	return w, nil
}

// forget ends the writer: nobody writes this image any more.
func (w *Writer) forget() {
	if b := w.buf; b != nil {
		w.buf, w.kind = nil, 0
		w.group.store.blocks.Put(&b)
	}
	w.group.mu.Lock()
	delete(w.group.writing, w.tmp)
	w.group.mu.Unlock()
}

// put writes bytes of the image.
func (w *Writer) put(b []byte) {
	if w.err == nil {
		w.err = w.group.interrupted()
	}
	if w.err != nil {
		return
	}
	w.sum.Write(b) // before: a file system may use b as its scratch
	if _, w.err = w.file.Write(b); w.err != nil {
		return
	}
	w.at += int64(len(b))
	if w.dirty += int64(len(b)); w.dirty >= syncEvery {
		w.dirty = 0
		w.err = w.group.syncFile(w.file)
	}
}

// begin starts a section.
func (w *Writer) begin(kind Kind) {
	w.finish()
	w.kind = kind
	if w.buf == nil {
		w.buf = w.group.store.block()
	}
	w.buf = w.buf[:blockHeader]
}

// finish ends the section under way.
func (w *Writer) finish() {
	if w.kind != 0 {
		w.flush(true)
		w.kind = 0
	}
}

func (w *Writer) flush(last bool) {
	putBlock(w.buf, w.kind, last, w.at)
	w.put(w.buf)
	w.count++
	w.buf = w.buf[:blockHeader]
}

// Write adds to the section under way: io.Writer of the machine's state, after Machine
// or File.
func (w *Writer) Write(p []byte) (int, error) {
	if w.kind == 0 && w.err == nil {
		w.err = errors.New("snapshot: write: no section was begun")
	}
	for rest := p; len(rest) > 0 && w.err == nil; {
		if len(w.buf) == cap(w.buf) {
			w.flush(false)
		}
		n := min(cap(w.buf)-len(w.buf), len(rest))
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Engine writes the engine's facts. Equal states must give them in equal order.
func (w *Writer) Engine(facts []KeyValue) {
	w.begin(Engine)
	var b []byte
	for _, kv := range facts {
		b = appendKeyValue(b[:0], kv)
		if _, err := w.Write(b); err != nil {
			return
		}
	}
	w.finish()
}

// Machine begins the machine's state: what is written next.
func (w *Writer) Machine() { w.begin(Machine) }

// File begins a file: what is written next.
func (w *Writer) File(name string) {
	if len(name) > maxNameBytes {
		w.err = fmt.Errorf("snapshot: write: name of %d bytes, at most %d", len(name), maxNameBytes)
		return
	}
	w.begin(kindFileName)
	_, _ = w.Write([]byte(name)) // the error stays
	w.begin(File)
}

// Commit makes the image durable, then known, and returns its whole description. On an
// error nothing is left of it.
func (w *Writer) Commit() (Meta, error) {
	if w.ended {
		return Meta{}, errors.New("snapshot: commit: ended before")
	}
	w.finish()
	e := end{size: w.at + endBytes, blocks: w.count}
	copy(e.sha256[:], w.sum.Sum(nil))
	w.put(e.append(nil))
	if w.err == nil {
		w.err = w.group.syncFile(w.file)
	}
	w.err = errors.Join(w.err, w.file.Close())
	w.file = nil
	if w.err == nil {
		m := &w.meta
		m.Format, m.SizeBytes, m.SnapshotID, m.Sha256 = formatVersion, e.size, e.sha256[:idBytes:idBytes], e.sha256[:]
		w.err = w.group.publish(w.tmp, *m)
	}
	if w.err != nil {
		err := w.err
		w.Abort()
		return Meta{}, fmt.Errorf("snapshot: commit: %w", err)
	}
	w.ended = true
	w.forget()
	return w.meta, nil
}

// Abort gives the image up. Idempotent, and harmless after Commit.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	if w.file != nil {
		_ = w.file.Close() // what it held goes
	}
	_ = w.group.store.fs.Remove(w.group.path(w.tmp)) // if it stays, the next start removes it
	w.forget()
}
