package crashfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Survival says what of the unsynced state a crash leaves on disk.
type Survival struct {
	// Percent of the unsynced sectors and directory entries that reach the disk:
	// 0 none, 100 all.
	Percent int
	// Pages keeps or drops whole 4 KiB pages instead of sectors.
	Pages bool
	// Prefix keeps the sectors of each file from the first one up to a random one.
	Prefix bool
	// Suffix keeps them from a random one to the last one.
	Suffix bool
}

// Survivals are the choices that crash tests try.
func Survivals() []Survival {
	return []Survival{
		{Percent: 0}, {Percent: 100}, {Percent: 50}, {Percent: 90}, {Percent: 10},
		{Percent: 50, Pages: true}, {Percent: 100, Prefix: true}, {Percent: 100, Suffix: true},
	}
}

// Image returns what the disk could hold if the power failed now. Everything in
// it is synced. It may be called from OnOp.
func (f *FS) Image(s Survival, rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := New()
	out.root = f.root.image(s, rng, map[*node]*node{})
	return out
}

// Clone returns a copy of everything as it is, synced and unsynced: what another
// process finds when this one dies.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := New()
	out.ShortWrites, out.LoseOnFailedSync = f.ShortWrites, f.LoseOnFailedSync
	out.root = f.root.clone(map[*node]*node{})
	return out
}

func (n *node) clone(seen map[*node]*node) *node {
	if c := seen[n]; c != nil {
		return c
	}
	c := &node{
		dir: n.dir, data: n.data, synced: n.synced, dirty: slices.Clone(n.dirty),
		dataShared: true, syncedShared: true,
	}
	n.dataShared, n.syncedShared = true, true
	seen[n] = c
	if n.dir {
		c.children, c.kept = map[string]*node{}, map[string]*node{}
		for name, child := range n.children {
			c.children[name] = child.clone(seen)
		}
		for name, child := range n.kept {
			c.kept[name] = child.clone(seen)
		}
	}
	return c
}

func (n *node) image(s Survival, rng *rand.Rand, seen map[*node]*node) *node {
	if c := seen[n]; c != nil {
		return c
	}
	c := &node{dir: n.dir}
	seen[n] = c
	if !n.dir {
		c.data = n.survivors(s, rng)
		c.synced = c.data
		c.dataShared, c.syncedShared = true, true
		c.dirty = make([]bool, sectors(len(c.data)))
		return c
	}
	names := maps.Clone(n.kept)
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if n.kept[name] != n.children[name] && rng.IntN(100) < s.Percent {
			names[name] = n.children[name] // made or replaced, and it reached the disk
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.kept)) {
		if n.children[name] == nil && rng.IntN(100) < s.Percent {
			delete(names, name)
		}
	}
	c.children = map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.children[name] = names[name].image(s, rng, seen)
	}
	c.kept = maps.Clone(c.children)
	return c
}

// survivors returns the synced content with some of the unsynced sectors over it.
func (n *node) survivors(s Survival, rng *rand.Rand) []byte {
	var dirty []int
	for i, d := range n.dirty {
		if d {
			dirty = append(dirty, i)
		}
	}
	if len(dirty) == 0 {
		n.syncedShared = true
		return n.synced
	}
	out := slices.Clone(n.synced)
	lo, hi := 0, len(dirty)
	if s.Prefix {
		hi = rng.IntN(len(dirty) + 1)
	}
	if s.Suffix {
		lo = rng.IntN(len(dirty) + 1)
	}
	page, keepPage := -1, false
	for _, sector := range dirty[lo:hi] {
		keep := rng.IntN(100) < s.Percent
		if s.Pages {
			if p := sector / 8; p != page {
				page, keepPage = p, keep
			}
			keep = keepPage
		}
		if !keep {
			continue
		}
		at, end := sector*SectorBytes, min((sector+1)*SectorBytes, len(n.data))
		if end > len(out) {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[at:end], n.data[at:end])
	}
	return out
}
