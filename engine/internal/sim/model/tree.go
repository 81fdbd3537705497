package model

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// id names an entry in the tree; 0 is the root, position 0 of every log.
type id int32

const none id = -1

// slot is where an entry stands: by log matching no two entries share one.
type slot struct {
	index raftpb.Index
	term  raftpb.Term
}

// treeEntry is one entry. jump points further back than parent, such that any
// ancestor is O(log n) steps away (Myers' skew-binary jump pointers).
type treeEntry struct {
	at           slot
	kind         raftpb.EntryKind
	hash         uint64
	parent, jump id
	config       int32 // the configuration in force when a log ends here
	configAt     id    // the entry that brought it
}

type tree struct {
	entries []treeEntry
	bySlot  map[slot]id
	configs []members
}

func (t *tree) plant() {
	t.entries = []treeEntry{{}}
	t.bySlot = map[slot]id{{}: 0}
}

func (t *tree) last(log id) raftpb.Index     { return t.entries[log].at.index }
func (t *tree) lastTerm(log id) raftpb.Term  { return t.entries[log].at.term }
func (t *tree) config(log id) members        { return t.configs[t.entries[log].config] }
func (t *tree) configAt(log id) raftpb.Index { return t.last(t.entries[log].configAt) }
func (t *tree) contains(log, e id) bool      { return e != none && t.at(log, t.last(e)) == e }
func (t *tree) find(i raftpb.Index, term raftpb.Term) id {
	if e, ok := t.bySlot[slot{i, term}]; ok {
		return e
	}
	return none
}

// at returns the entry at position i of a log, none if the log does not reach it.
func (t *tree) at(log id, i raftpb.Index) id {
	if i < 0 || i > t.last(log) {
		return none
	}
	for t.last(log) > i {
		if e := &t.entries[log]; t.last(e.jump) >= i {
			log = e.jump
		} else {
			log = e.parent
		}
	}
	return log
}

// same reports whether e is what stands in the tree.
func (t *tree) same(in id, e *Entry) bool {
	return t.entries[in].kind == e.Kind && t.entries[in].hash == e.Hash && (e.Config != nil) == (t.entries[in].configAt == in)
}

// fork returns the last entry that two logs share.
func (t *tree) fork(a, b id) id {
	a, b = t.at(a, min(t.last(a), t.last(b))), t.at(b, min(t.last(a), t.last(b)))
	for a != b {
		if t.entries[a].jump != t.entries[b].jump {
			a, b = t.entries[a].jump, t.entries[b].jump
		} else {
			a, b = t.entries[a].parent, t.entries[b].parent
		}
	}
	return a
}

// grow adds an entry behind parent and returns it.
func (t *tree) grow(parent id, e *Entry, config int32) id {
	p := &t.entries[parent]
	c := treeEntry{
		at: slot{p.at.index + 1, e.Term}, kind: e.Kind, hash: e.Hash, parent: parent, jump: parent,
		config: p.config, configAt: p.configAt,
	}
	if j := &t.entries[p.jump]; p.at.index-j.at.index == j.at.index-t.last(j.jump) {
		c.jump = j.jump
	}
	child := id(len(t.entries))
	if config >= 0 {
		c.config, c.configAt = config, child
	}
	t.entries = append(t.entries, c)
	t.bySlot[c.at] = child
	return child
}
