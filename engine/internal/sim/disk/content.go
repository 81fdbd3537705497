package disk

import (
	"bytes"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// pageBytes is what the content of files is kept in: 8 sectors.
const (
	pageBytes   = 4096
	pageSectors = pageBytes / SectorBytes
)

type page [pageBytes]byte

// zeroPage is what a page that does not exist reads as.
//
//nolint:gochecknoglobals // nothing is ever written to it
var zeroPage page

// Memory is what disks take their pages from, so that those of the next world need none of
// their own. The zero Memory is empty. It belongs to one goroutine at a time.
type Memory struct {
	slabs [][]page
	slab  int // the one that pages are taken from
	taken int // of it
	free  []*page
}

// A slab holds twice as many pages as the one before it, up to a limit. Reset keeps so many.
const (
	firstPages = 8
	doublings  = 5
	keptSlabs  = 64
)

// take returns a page with anything in it.
func (m *Memory) take() *page {
	if k := len(m.free); k > 0 {
		p := m.free[k-1]
		m.free = m.free[:k-1]
		return p
	}
	if m.slab < len(m.slabs) && m.taken == len(m.slabs[m.slab]) {
		m.slab, m.taken = m.slab+1, 0
	}
	if m.slab == len(m.slabs) {
		m.slabs = append(m.slabs, make([]page, firstPages<<min(len(m.slabs), doublings)))
	}
	m.taken++
	return &m.slabs[m.slab][m.taken-1]
}

// Reset takes all pages back. The disks that have them must not be used any more.
func (m *Memory) Reset() {
	if len(m.slabs) > keptSlabs {
		clear(m.slabs[keptSlabs:])
		m.slabs = m.slabs[:keptSlabs]
	}
	m.slab, m.taken, m.free = 0, 0, m.free[:0]
}

// content is the bytes of a file, and what a loss of power would make of them.
//
//	write   the page of the sync stays where it is, in undo; a new one takes its place
//	sync    undo is forgotten
//	crash   of each sector that was written, by lot: stays, or comes out of undo again
//
// What is behind the end of the file is zero in its last page.
type content struct {
	pages  []slot
	size   int
	synced int // its size as of the last sync
	undo   []old
}

// slot is a page of a file.
type slot struct {
	p      *page // nil: zeros
	undo   int32 // 1 + which one of content.undo is about it; 0: it is as it was synced
	shared bool  // another disk has p, too: it must not change any more
}

// old is a page that was written since the last sync.
type old struct {
	page    int
	was     *page // nil: zeros
	shared  bool
	sectors uint8 // those that were written
}

// read copies what stands at off. It returns less than asked for at the end.
func (c *content) read(p []byte, off int) (n int) {
	p = p[:min(len(p), max(0, c.size-off))]
	for n < len(p) {
		from := &zeroPage
		if k := (off + n) / pageBytes; k < len(c.pages) && c.pages[k].p != nil {
			from = c.pages[k].p
		}
		n += copy(p[n:], from[(off+n)%pageBytes:])
	}
	return n
}

// write puts p at off.
func (c *content) write(m *Memory, p []byte, off int) {
	if len(p) == 0 {
		return
	}
	c.size = max(c.size, off+len(p))
	last := (off + len(p) - 1) / pageBytes
	for len(c.pages) <= last {
		c.pages = append(c.pages, slot{})
	}
	for k := off / pageBytes; k <= last; k++ {
		at := off - k*pageBytes
		n := min(len(p), pageBytes-at)
		c.writePage(m, k, p[:n], at)
		p, off = p[n:], off+n
	}
}

// writePage puts p at a place in page k.
func (c *content) writePage(m *Memory, k int, p []byte, at int) {
	s := &c.pages[k]
	fresh := s.undo == 0
	if fresh {
		c.undo = append(c.undo, old{page: k, was: s.p, shared: s.shared})
		s.undo = int32(len(c.undo))
	}
	first, last := at/SectorBytes, (at+len(p)-1)/SectorBytes
	c.undo[s.undo-1].sectors |= uint8(1<<(last+1) - 1<<first)
	if s.p == nil && bytes.Equal(p, zeroPage[:len(p)]) {
		return
	}
	if fresh || s.p == nil || s.shared {
		was := s.p
		s.p, s.shared = m.take(), false
		if was == nil {
			was = &zeroPage
		}
		if len(p) < pageBytes {
			copy(s.p[:at], was[:at])
			copy(s.p[at+len(p):], was[at+len(p):])
		}
	}
	copy(s.p[at:], p)
}

// sync makes the content durable.
func (c *content) sync(m *Memory) {
	for i := range c.undo {
		u := &c.undo[i]
		s := &c.pages[u.page]
		s.undo = 0
		if u.was != nil && u.was != s.p && !u.shared {
			m.free = append(m.free, u.was)
		}
	}
	c.undo, c.synced = c.undo[:0], c.size
}

// crash undoes a part of what was written since the last sync. What stays is durable
// then.
func (c *content) crash(m *Memory, how Survival, s *schedule.Stream) {
	if len(c.undo) == 0 {
		return
	}
	order := slices.Clone(c.undo)
	slices.SortFunc(order, func(a, b old) int { return a.page - b.page })
	end := c.synced
	for i := range order {
		u := &order[i]
		keep := how.Pages && s.Chance(how.Keep)
		for k := range pageSectors {
			if u.sectors>>k&1 == 0 {
				continue
			}
			if !how.Pages {
				keep = s.Chance(how.Keep)
			}
			if at := u.page*pageBytes + k*SectorBytes; keep {
				end = max(end, min(at+SectorBytes, c.size))
			} else {
				c.restore(m, u, k)
			}
		}
	}
	c.size = end
	c.sync(m)
}

// restore makes a sector what it was.
func (c *content) restore(m *Memory, u *old, k int) {
	s := &c.pages[u.page]
	was, now := u.was, s.p
	if was == nil {
		was = &zeroPage
	}
	if now == nil {
		now = &zeroPage
	}
	from, to := k*SectorBytes, (k+1)*SectorBytes
	if was == now || bytes.Equal(was[from:to], now[from:to]) {
		return
	}
	copy(c.own(m, s)[from:to], was[from:to])
}

// own returns a page that may be changed.
func (c *content) own(m *Memory, s *slot) *page {
	switch {
	case s.p == nil:
		s.p = m.take()
		*s.p = zeroPage
	case s.shared:
		was := s.p
		s.p, s.shared = m.take(), false
		*s.p = *was
	}
	return s.p
}

// clone returns a copy of what a reader sees, all of it durable.
func (c *content) clone() content {
	to := content{pages: slices.Clone(c.pages), size: c.size, synced: c.size}
	for i := range c.pages {
		s := &c.pages[i]
		s.shared = s.p != nil
		to.pages[i] = slot{p: s.p, shared: s.shared}
	}
	return to
}

// flip inverts one bit.
func (c *content) flip(m *Memory, at, bit int) {
	c.own(m, &c.pages[at/pageBytes])[at%pageBytes] ^= 1 << bit
}
