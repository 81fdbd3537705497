package snapshot

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Options configures a Store. Zero values mean the defaults.
type Options struct {
	// Keep is how many images of a group stay, the newest ones. Those in use stay
	// longer. Default 2.
	Keep int
	// MaxPartials is how many transfers of a group can be resumed; the oldest goes.
	// Default 2: the leader's of before and of after an election.
	MaxPartials int
	// Interrupt, when set, is asked before each piece of work of a long writing or
	// checking: its error ends it. It runs on the goroutine of that work.
	Interrupt func() error
	// NoSync leaves out every sync: images survive the end of the process, not a power loss.
	NoSync bool
}

// Store is the snapshots of one host. Safe for concurrent use.
type Store struct {
	fs  wal.FS
	dir string
	o   Options

	mu     sync.Mutex
	groups map[raftpb.GroupID]*Group

	blocks sync.Pool // of *[]byte: what writers fill
}

// block returns an empty block, with room for its header and payload.
func (s *Store) block() []byte {
	if b, ok := s.blocks.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, blockHeader+blockBytes)
}

// category names these files to a file system that accounts for its writes.
const category = "raftwire-snapshot"

// New returns the store in dir, which is made when the first image is. The
// caller keeps other processes out.
func New(fs wal.FS, dir string, o Options) *Store {
	if o.Keep == 0 {
		o.Keep = 2
	}
	if o.MaxPartials == 0 {
		o.MaxPartials = 2
	}
	return &Store{fs: fs, dir: dir, o: o, groups: map[raftpb.GroupID]*Group{}}
}

// Group is the snapshots of one group.
type Group struct {
	store *Store
	id    raftpb.GroupID
	dir   string

	mu       sync.Mutex
	images   []*stored // by rising index, then term
	partials []string  // file names, the oldest first
	writing  map[string]bool
	aside    []string // file names of damaged images, the oldest first

	folder sync.Mutex // held while the folder is made
	made   bool
}

// stored is an image on disk.
type stored struct {
	name    string
	meta    Meta
	err     error // head or end is damaged
	damaged bool  // anything is, as Recover found
	refs    int
	gone    bool // to be removed when refs is 0
}

// Group returns the images of a group as they are on disk, and removes what a crash
// left of those that were being written.
func (s *Store) Group(id raftpb.GroupID) (*Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	g := &Group{
		store: s, id: id, dir: s.fs.PathJoin(s.dir, fmt.Sprintf("%016x", uint64(id))), writing: map[string]bool{},
	}
	if err := g.load(); err != nil {
		return nil, fmt.Errorf("snapshot: open group %d: %w", id, err)
	}
	s.groups[id] = g
	return g, nil
}

// Destroy removes all that there is of a group. Its Group must not be used any more.
func (s *Store) Destroy(id raftpb.GroupID) error {
	g, err := s.Group(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.groups, id)
	s.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.images, g.partials = nil, nil
	if err := s.fs.RemoveAll(g.dir); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("snapshot: destroy group %d: %w", id, err)
	}
	return nil
}

const (
	imageSuffix   = ".snap"
	partialSuffix = ".part"
	writeSuffix   = ".tmp"
	damagedSuffix = ".damaged"
)

func imageName(m *Meta) string { return fmt.Sprintf("%016x-%016x", uint64(m.Index), uint64(m.Term)) }

func (g *Group) path(name string) string { return g.store.fs.PathJoin(g.dir, name) }

// load reads the folder.
func (g *Group) load() error {
	names, err := g.store.fs.List(g.dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, writeSuffix):
			if err := g.store.fs.Remove(g.path(name)); err != nil {
				return err
			}
		case strings.HasSuffix(name, damagedSuffix):
			g.aside = append(g.aside, name)
		case strings.HasSuffix(name, partialSuffix):
			g.partials = append(g.partials, name)
		case strings.HasSuffix(name, imageSuffix):
			img := &stored{name: name}
			if _, err := fmt.Sscanf(name, "%016x-%016x.snap", &img.meta.Index, &img.meta.Term); err != nil {
				continue // not ours: left alone
			}
			if img.err = g.look(img); img.err != nil && !isDamage(img.err) {
				return img.err
			}
			g.images = append(g.images, img)
		}
	}
	g.sort()
	return g.prepare() // a process that died may have synced no name in it
}

func isDamage(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage)
}

func (g *Group) sort() {
	slices.SortFunc(g.images, func(a, b *stored) int { return strings.Compare(a.name, b.name) })
}

// look reads head and end of an image: what it is of, its size and identity.
func (g *Group) look(img *stored) error {
	f, err := g.store.fs.Open(g.path(img.name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	c := checker{r: f, path: g.path(img.name), size: st.Size(), group: g.id}
	m, err := c.describe()
	if err != nil {
		return err
	}
	if m.Index != img.meta.Index || m.Term != img.meta.Term {
		return c.damage(0, fmt.Sprintf("is an image of %d, term %d", m.Index, m.Term))
	}
	img.meta = m
	return nil
}

// Images describes the images, the oldest first. One that is damaged at its head or
// end has index and term only.
func (g *Group) Images() []Meta {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Meta
	for _, img := range g.images {
		out = append(out, img.meta)
	}
	return out
}

// Newest opens the newest image; ErrNoImage when there is none.
func (g *Group) Newest() (*Image, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.images) == 0 {
		return nil, ErrNoImage
	}
	return g.open(g.images[len(g.images)-1])
}

// Open opens the image of that index and term; ErrNoImage when there is none.
func (g *Group) Open(index raftpb.Index, term raftpb.Term) (*Image, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.find(&Meta{Index: index, Term: term}); s != nil {
		return g.open(s)
	}
	return nil, fmt.Errorf("%w: group %d, index %d, term %d", ErrNoImage, g.id, index, term)
}

// Drop takes an image that is damaged out of the group: it is not offered any more, and
// its file goes when nobody uses it.
func (g *Group) Drop(m Meta) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.find(&m); s != nil {
		g.images = slices.DeleteFunc(g.images, func(o *stored) bool { return o == s })
		s.gone = true
		s.refs++
		g.release(s)
	}
}

// Recover returns the newest image that is intact, all of it read and checked, and
// why newer ones are not. The log begins after floor: an image below it is of no use,
// and if there is none at floor or above, the state up to floor is lost here and the
// answer is an error. With floor 0 there may be no image: nil.
func (g *Group) Recover(floor raftpb.Index) (img *Image, damaged []error, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range slices.Backward(g.images) {
		if s.meta.Index < floor {
			break
		}
		img, err := g.open(s)
		if err == nil {
			err = img.Verify()
		}
		switch {
		case err == nil:
			return img, damaged, nil
		case !isDamage(err):
			return nil, damaged, err
		}
		if img != nil {
			g.release(s)
		}
		s.damaged = true
		damaged = append(damaged, err)
	}
	if floor > 0 {
		return nil, damaged, errors.Join(append(damaged,
			fmt.Errorf("%w: group %d: the log begins after %d and no intact image reaches so far", ErrNoImage, g.id, floor))...)
	}
	return nil, damaged, nil
}

// SetAside takes every image that is damaged, and that Recover found at floor or above,
// out of the way of an intact one of the same index. The newest such file is kept for
// people to look at.
func (g *Group) SetAside(floor raftpb.Index) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range slices.Clone(g.images) {
		if s.meta.Index < floor || !s.damaged {
			continue
		}
		name := strings.TrimSuffix(s.name, imageSuffix) + damagedSuffix
		if err := g.store.fs.Rename(g.path(s.name), g.path(name)); err != nil {
			return fmt.Errorf("snapshot: set aside: %w", err)
		}
		g.images = slices.DeleteFunc(g.images, func(o *stored) bool { return o == s })
		g.aside = append(slices.DeleteFunc(g.aside, func(o string) bool { return o == name }), name)
	}
	for len(g.aside) > 1 {
		if err := g.store.fs.Remove(g.path(g.aside[0])); err != nil {
			return fmt.Errorf("snapshot: set aside: %w", err)
		}
		g.aside = g.aside[1:]
	}
	return g.syncDir(g.dir)
}

// open pins s. mu is held.
func (g *Group) open(s *stored) (*Image, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.refs++
	return &Image{group: g, stored: s}, nil
}

// release lets go of s. mu is held.
func (g *Group) release(s *stored) {
	if s.refs--; s.refs == 0 && s.gone {
		_ = g.store.fs.Remove(g.path(s.name)) // load removes nothing: it is there again after a restart, and goes with the next image
	}
}

// publish gives the file tmp, complete and synced, its final name, makes that durable,
// and lets go of images that are too many.
func (g *Group) publish(tmp string, m Meta) error {
	name := imageName(&m) + imageSuffix
	if err := g.store.fs.Rename(g.path(tmp), g.path(name)); err != nil {
		return err
	}
	if err := g.syncDir(g.dir); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.images = slices.DeleteFunc(g.images, func(s *stored) bool { return s.name == name })
	g.images = append(g.images, &stored{name: name, meta: m})
	g.sort()
	g.outdate(m.Index)
	for len(g.images) > g.store.o.Keep {
		s := g.images[0]
		g.images = g.images[1:]
		s.gone = true
		s.refs++
		g.release(s)
	}
	return nil
}

// outdate removes the partials of images that are no newer than the one at index.
func (g *Group) outdate(index raftpb.Index) {
	g.partials = slices.DeleteFunc(g.partials, func(name string) bool {
		if name > imageName(&Meta{Index: index + 1}) {
			return false
		}
		_ = g.store.fs.Remove(g.path(name)) // if it stays, the next start lists it again
		return true
	})
}

// interrupted asks whether long work should end.
func (g *Group) interrupted() error {
	if g.store.o.Interrupt == nil {
		return nil
	}
	return g.store.o.Interrupt()
}

// find returns the image of that index and term. mu is held.
func (g *Group) find(m *Meta) *stored {
	for _, s := range g.images {
		if s.meta.Index == m.Index && s.meta.Term == m.Term {
			return s
		}
	}
	return nil
}

// prepare makes the folder, durably: once in the life of the process, for who made it
// before may have died before its name was on disk.
func (g *Group) prepare() error {
	g.folder.Lock()
	defer g.folder.Unlock()
	if g.made {
		return nil
	}
	fs := g.store.fs
	if err := fs.MkdirAll(g.dir, 0o700); err != nil {
		return err
	}
	for _, dir := range []string{g.dir, g.store.dir, fs.PathDir(g.store.dir)} {
		if err := g.syncDir(dir); err != nil {
			return err
		}
	}
	g.made = true
	return nil
}

func (g *Group) syncDir(dir string) error {
	if g.store.o.NoSync {
		return nil
	}
	d, err := g.store.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (g *Group) syncFile(f wal.File) error {
	if g.store.o.NoSync {
		return nil
	}
	return f.Sync()
}
