// Package disk is a simulated disk: a file system in memory that knows of every
// sector of 512 bytes and of every name whether it was synced, and that can lose
// power. It is made to be fast: a sync costs what was written since the last one, a
// power loss what was not synced, and nothing is copied as a whole.
//
// It belongs to one goroutine at a time.
package disk

import (
	iofs "io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// SectorBytes is what a disk writes whole or not at all.
const SectorBytes = 512

// Disk is the file system. It implements the FS of package wal. The zero Disk is not
// usable: call New.
type Disk struct {
	// Before is told of each operation that changes something, before it happens; what
	// it returns is the operation's answer, which is then not done. It may call
	// PowerLoss.Strike. nil: everything succeeds.
	Before func(op Op, bytes int) error
	// Full makes the disk report that it has no room left.
	Full bool

	memory *Memory
	root   *node
	locked map[string]bool
	names  []*node // directories with names that are not synced
	moves  []move  // renames that are not synced, the oldest first
	wrote  []*node // files with sectors that are not synced, in the order in which they were written

	Writes, Syncs int // so far
	Bytes         int
}

// Op names an operation that changes something.
type Op uint8

// The operations.
const (
	Create Op = iota + 1
	Write
	Sync
	SyncDir
	Rename
	Remove
	Mkdir
	Lock
)

// Errors that a faulty disk gives.
var (
	ErrIO      error = syscall.EIO
	ErrNoSpace error = syscall.ENOSPC
)

// node is a file or a directory.
type node struct {
	// Of a directory.
	children map[string]*node
	was      map[string]*node // names changed since its last sync, as of then; nil in it: nothing had the name
	dir      bool

	content // of a file
}

// New returns an empty disk.
func New() *Disk { return NewIn(&Memory{}) }

// NewIn returns an empty disk that takes its pages from m.
func NewIn(m *Memory) *Disk {
	return &Disk{root: newDir(), memory: m, locked: map[string]bool{}}
}

func newDir() *node { return &node{dir: true, children: map[string]*node{}} }

func (d *Disk) before(op Op, bytes int) error {
	if d.Before == nil {
		return nil
	}
	return d.Before(op, bytes)
}

// clean is name as path.Clean has it, but without slashes at its ends. Nearly all names
// are clean already.
func clean(name string) string {
	for i := range len(name) {
		if first := i == 0 || name[i-1] == '/'; first && (name[i] == '.' || name[i] == '/' && i > 0) {
			name = path.Clean("/" + name)
			break
		}
	}
	return strings.Trim(name, "/")
}

func missing(name string) error {
	return &iofs.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
}

// find returns the directory of name and name's last part.
func (d *Disk) find(name string) (dir *node, base string, err error) {
	base, dir = clean(name), d.root
	for {
		i := strings.IndexByte(base, '/')
		if i < 0 {
			return dir, base, nil
		}
		n := dir.children[base[:i]]
		if n == nil || !n.dir {
			return nil, "", missing(name)
		}
		dir, base = n, base[i+1:]
	}
}

func (d *Disk) lookup(name string) (*node, error) {
	dir, base, err := d.find(name)
	if err != nil || base == "" {
		return dir, err
	}
	if n := dir.children[base]; n != nil {
		return n, nil
	}
	return nil, missing(name)
}

// change prepares dir for a change of one of its names: it remembers what has the name,
// if that is synced.
func (d *Disk) change(dir *node, name string) {
	if len(dir.was) == 0 {
		d.names = append(d.names, dir)
		if dir.was == nil {
			dir.was = map[string]*node{}
		}
	}
	if _, changed := dir.was[name]; !changed {
		dir.was[name] = dir.children[name]
	}
}

// move is a rename. A file system with a journal does it as a whole or not at all, and
// in the order of the renames: a file never has both names after a crash, or none.
type move struct {
	from, to     *node
	old, current string
	n            *node
}

// settle makes a rename durable.
func (m *move) settle() {
	if len(m.from.was) > 0 {
		m.from.was[m.old] = nil
	}
	if len(m.to.was) > 0 {
		m.to.was[m.current] = m.n
	}
}

// undo takes a rename back.
func (m *move) undo() {
	m.from.revert(m.old)
	m.to.revert(m.current)
}

// revert makes a name what it was as of the last sync.
func (n *node) revert(name string) {
	was, changed := n.was[name]
	switch {
	case was != nil:
		n.children[name] = was
	case changed:
		delete(n.children, name)
	}
}

// syncNames makes the names in dir durable, and the renames that led to them.
func (d *Disk) syncNames(dir *node) {
	last := -1
	for i := range d.moves {
		if d.moves[i].from == dir || d.moves[i].to == dir {
			last = i
		}
	}
	for i := range last + 1 {
		d.moves[i].settle()
	}
	d.moves = slices.Delete(d.moves, 0, last+1)
	clear(dir.was)
	d.names = slices.DeleteFunc(d.names, func(n *node) bool { return n == dir })
}

// crashMoves lets some of the renames happen, the older ones first.
func (d *Disk) crashMoves(how Survival, s *schedule.Stream) {
	k := 0
	for ; k < len(d.moves) && s.Chance(how.Keep); k++ {
		d.moves[k].settle()
	}
	for i := len(d.moves) - 1; i >= k; i-- {
		d.moves[i].undo()
	}
	d.moves = d.moves[:0]
}

// Survival says what of the unsynced state a power loss leaves.
type Survival struct {
	// Keep is the chance of each unsynced sector and name to be on the disk.
	Keep float64
	// Pages decides for 4 KiB at a time.
	Pages bool
}

// Crash is a loss of power now: of what was not synced, a part drawn from s is on the
// disk. Open files are to be forgotten; nothing is locked any more.
func (d *Disk) Crash(how Survival, s *schedule.Stream) {
	clear(d.locked)
	d.crashMoves(how, s)
	for _, dir := range d.names {
		dir.crashNames(how, s)
	}
	d.names = d.names[:0]
	for _, n := range d.wrote {
		n.crash(d.memory, how, s)
	}
	d.wrote = d.wrote[:0]
}

func (n *node) crashNames(how Survival, s *schedule.Stream) {
	changed := slices.Sorted(maps.Keys(n.was))
	for _, name := range changed {
		now, was := n.children[name], n.was[name]
		if now != nil && now != was && !s.Chance(how.Keep) { // made or replaced, and it did not reach the disk
			n.revert(name)
			delete(n.was, name)
		}
	}
	for _, name := range changed {
		if was := n.was[name]; was != nil && n.children[name] == nil && !s.Chance(how.Keep) {
			n.children[name] = was
		}
	}
	clear(n.was)
}
