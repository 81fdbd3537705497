package runtime

import "github.com/seed-814fcd60/raftwire/engine/internal/raft"

// timers is a binary heap of groups by the time their cores want to be called.
// A group knows its place (timerAt), so that a change costs O(log n).
type timers struct {
	heap []*Group
}

// next returns the earliest time anyone waits for.
func (t *timers) next() raft.Time {
	if len(t.heap) == 0 {
		return raft.Never
	}
	return t.heap[0].timer
}

// due returns a group whose time has come, or nil.
func (t *timers) due(now raft.Time) *Group {
	if len(t.heap) == 0 || t.heap[0].timer > now {
		return nil
	}
	return t.heap[0]
}

// set moves g to the time at; raft.Never takes it out.
func (t *timers) set(g *Group, at raft.Time) {
	switch {
	case at == raft.Never:
		t.remove(g)
	case g.timerAt < 0:
		g.timer, g.timerAt = at, len(t.heap)
		t.heap = append(t.heap, g)
		t.up(g.timerAt)
	case at != g.timer:
		g.timer = at
		t.up(g.timerAt)
		t.down(g.timerAt)
	}
}

func (t *timers) remove(g *Group) {
	i := g.timerAt
	if i < 0 {
		return
	}
	last := len(t.heap) - 1
	t.swap(i, last)
	t.heap[last] = nil
	t.heap = t.heap[:last]
	g.timerAt = -1
	if i < last {
		t.up(i)
		t.down(i)
	}
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t.heap[parent].timer <= t.heap[i].timer {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			return
		}
		if right := child + 1; right < len(t.heap) && t.heap[right].timer < t.heap[child].timer {
			child = right
		}
		if t.heap[i].timer <= t.heap[child].timer {
			return
		}
		t.swap(i, child)
		i = child
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].timerAt, t.heap[j].timerAt = i, j
}
