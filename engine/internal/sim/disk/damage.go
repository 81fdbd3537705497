package disk

// What follows is done to a disk while nobody uses it. It is durable at once, and no
// operation: Before is not told.

// Clone returns a copy of all that a reader sees now, on a disk on which all of it is
// durable. The two share their memory.
func (d *Disk) Clone() *Disk {
	return &Disk{root: d.root.clone(), memory: d.memory, locked: map[string]bool{}}
}

func (n *node) clone() *node {
	if !n.dir {
		return &node{content: n.content.clone()}
	}
	to := newDir()
	for name, child := range n.children {
		to.children[name] = child.clone()
	}
	return to
}

// Flip inverts one bit of a file, 0 <= bit < 8. It reports false when the file is not
// there or shorter.
func (d *Disk) Flip(name string, at int64, bit int) bool {
	n, err := d.lookup(name)
	if err != nil || n.dir || at < 0 || at >= int64(n.size) {
		return false
	}
	n.flip(d.memory, int(at), bit)
	return true
}
