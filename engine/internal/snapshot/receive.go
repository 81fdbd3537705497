package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/wal"
)

// Partial is an image that is being received, in order. What has arrived stays on
// disk when the transfer or the process ends, and Receive goes on from there.
type Partial struct {
	group *Group
	meta  Meta
	name  string
	file  wal.File
	at    int64
	dirty int64
}

// Receive begins or resumes the transfer of the image that m describes, whose size and
// identity count. Of an earlier transfer of the same image, the blocks that are whole
// stay: that needs them read. Another transfer under way ends.
func (g *Group) Receive(m Meta) (*Partial, error) {
	if m.Index <= 0 || m.Term <= 0 || len(m.SnapshotID) != idBytes || len(m.Sha256) < idBytes || m.SizeBytes < minImageBytes ||
		string(m.Sha256[:idBytes]) != string(m.SnapshotID) {
		return nil, ErrMeta
	}
	g.mu.Lock()
	if s := g.find(&m); s != nil && s.err == nil && string(s.meta.SnapshotID) == string(m.SnapshotID) {
		g.mu.Unlock()
		return nil, ErrExists
	}
	g.mu.Unlock()
	p := &Partial{group: g, meta: m, name: fmt.Sprintf("%s-%x%s", imageName(&m), m.SnapshotID, partialSuffix)}
	if err := g.prepare(); err != nil {
		return nil, fmt.Errorf("snapshot: receive: %w", err)
	}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("snapshot: receive: %w", err)
	}
	g.evict(p.name)
	return p, nil
}

// evict makes name the newest of the partials and removes those that are too many.
func (g *Group) evict(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.partials = slices.DeleteFunc(g.partials, func(n string) bool { return n == name })
	g.partials = append(g.partials, name)
	for len(g.partials) > g.store.o.MaxPartials {
		_ = g.store.fs.Remove(g.path(g.partials[0])) // if it stays, the next start lists it again
		g.partials = g.partials[1:]
	}
}

// open finds how much of the image is there.
func (p *Partial) open() error {
	fs, path := p.group.store.fs, p.group.path(p.name)
	if whole, err := p.whole(); err != nil {
		return err
	} else {
		p.at = whole
	}
	if p.at == 0 { // nothing of use: begin anew, so that nothing of it is left
		f, err := fs.Create(path, category)
		p.file = f
		return err
	}
	f, err := fs.OpenReadWrite(path, category)
	p.file = f
	return err
}

// whole returns the length of the prefix that is intact.
func (p *Partial) whole() (int64, error) {
	f, err := p.group.store.fs.Open(p.group.path(p.name))
	if err != nil {
		return 0, nil // not there
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() > p.meta.SizeBytes {
		return 0, nil
	}
	c := checker{r: f, path: p.group.path(p.name), size: st.Size(), group: p.group.id}
	m, err := c.head()
	if err != nil || m.Index != p.meta.Index || m.Term != p.meta.Term {
		return 0, ignoreDamage(err)
	}
	at, _, err := c.prefix(min(c.size, p.meta.SizeBytes-endBytes))
	return at, ignoreDamage(err)
}

func ignoreDamage(err error) error {
	if isDamage(err) {
		return nil
	}
	return err
}

// Meta describes the image.
func (p *Partial) Meta() Meta { return p.meta }

// Offset is where the next piece must begin.
func (p *Partial) Offset() int64 { return p.at }

// Write adds the piece at off. An *OffsetError says that another one is wanted, and
// nothing was written. A *WriteError left what was there as it was: Close, to go on with
// it another time. After any other error the partial must be discarded.
func (p *Partial) Write(off int64, data []byte) error {
	if off != p.at {
		return &OffsetError{Have: p.at, Got: off}
	}
	if off+int64(len(data)) > p.meta.SizeBytes {
		return ErrMeta
	}
	if _, err := p.file.WriteAt(data, off); err != nil {
		return &WriteError{err}
	}
	p.at += int64(len(data))
	if p.dirty += int64(len(data)); p.dirty >= syncEvery {
		p.dirty = 0
		if err := p.group.syncFile(p.file); err != nil {
			return fmt.Errorf("snapshot: receive: %w", err)
		}
	}
	return nil
}

// Complete reports whether all of the image has arrived.
func (p *Partial) Complete() bool { return p.at == p.meta.SizeBytes }

// Commit syncs the image, reads all of it back, checks every byte against the identity
// that was announced, and gives it its final name: only then it counts. Whatever it
// answers, the partial has ended; after an error nothing of it is left.
func (p *Partial) Commit() (Meta, error) {
	err := p.group.syncFile(p.file)
	err = errors.Join(err, p.file.Close())
	var m Meta
	if err == nil {
		m, err = p.check()
	}
	if err == nil {
		err = p.group.publish(p.name, m)
	}
	if err != nil {
		p.remove()
		return Meta{}, fmt.Errorf("snapshot: receive: %w", err)
	}
	p.forget()
	return m, nil
}

// check reads the file back.
func (p *Partial) check() (Meta, error) {
	path := p.group.path(p.name)
	f, err := p.group.store.fs.Open(path)
	if err != nil {
		return Meta{}, err
	}
	defer func() { _ = f.Close() }()
	c := checker{r: f, path: path, size: p.at, group: p.group.id, stop: p.group.interrupted}
	m, err := c.verify()
	if err != nil {
		return Meta{}, err
	}
	if m.Index != p.meta.Index || m.Term != p.meta.Term || string(m.Sha256[:idBytes]) != string(p.meta.SnapshotID) {
		return Meta{}, c.damage(0, "not the image that was announced")
	}
	m.SnapshotID, m.Sha256 = slices.Clone(m.SnapshotID), slices.Clone(m.Sha256)
	return m, nil
}

// Close ends the transfer; what has arrived stays for the next.
func (p *Partial) Close() error { return p.file.Close() }

// Discard ends the transfer and removes what has arrived.
func (p *Partial) Discard() {
	_ = p.file.Close() // what it held goes
	p.remove()
}

func (p *Partial) remove() {
	_ = p.group.store.fs.Remove(p.group.path(p.name)) // if it stays, the next transfer begins with it
	p.forget()
}

func (p *Partial) forget() {
	g := p.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.partials = slices.DeleteFunc(g.partials, func(n string) bool { return n == p.name })
}
