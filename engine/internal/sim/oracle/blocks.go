package oracle

import (
	"cmp"
	"math"
	"slices"
)

// explained looks for an order of the operations on one register that explains every
// answer, without trying many. Where each write has a value of its own, a read names the
// write it saw, and all that surely happened while the register held one value stands
// together (Gibbons and Korach, "Testing Shared Memories", 1997):
//
//	put a | get a | get a | cas a to b | get b      one block: a CAS that swapped follows
//	put c | get c                                   what it found at once
//	put d                                           nobody saw it: alone
//
// A block comes before another if one of its operations ended before one of the other's
// began; so two times of a block, its earliest end and its latest start, say all of it. A
// CAS that found something else than it expected belongs to no block: it goes in as soon
// as its time has come and the register does not hold what it expected.
//
// What it finds is checked, so that true means legal. False means nothing: porcupine
// tries all orders then. That is rarely needed, which matters, because the number of
// orders doubles with each operation without an answer and each write that nobody saw.
func explained(calls []call) bool {
	blocks, surprises, ok := blocksOf(calls)
	if !ok {
		return false
	}
	for _, hurry := range []func(*block) int64{
		func(b *block) int64 { return b.end },   // what must be over first
		func(b *block) int64 { return b.start }, // what began first
	} {
		if fits(calls, arrange(calls, blocks, surprises, hurry)) {
			return true
		}
	}
	return false
}

// fits reports whether the operations may happen in this order: all that were answered
// are there, once, none is before one that had ended when it began, and every answer is
// the register's.
func fits(calls []call, order []int) bool {
	seen := make([]bool, len(calls))
	var is text
	for _, i := range order {
		possible, next := calls[i].step(is)
		if seen[i] || !possible {
			return false
		}
		seen[i], is = true, next
	}
	for i := range calls {
		if !seen[i] && calls[i].op.Status == OK {
			return false
		}
	}
	end := int64(math.MaxInt64) // of those that come later
	for _, i := range slices.Backward(order) {
		if end < calls[i].op.Start {
			return false
		}
		end = min(end, calls[i].end)
	}
	return true
}

// block is a run of operations that stand together.
type block struct {
	calls    []int // in their order, a write first; but the first block, of an empty register
	end      int64 // the earliest end of one of them
	start    int64 // the latest start of one of them
	optional bool  // a write without an answer that nobody saw
}

// blocksOf groups the calls. The first block is what happened while the register was
// empty. ok is false where values do not name their writes.
func blocksOf(calls []call) (blocks []*block, surprises []int, ok bool) {
	writers, readers := make(map[text]int), make(map[text][]int)
	var needed []text
	for i := range calls {
		c := &calls[i]
		switch {
		case c.op.Kind == Append:
			return nil, nil, false
		case c.op.Kind == Get:
			readers[c.result] = append(readers[c.result], i)
			needed = append(needed, c.result)
			continue
		case c.op.Kind == CAS && c.op.Status == OK && !c.op.Swapped:
			surprises = append(surprises, i)
			continue
		case c.op.Status == OK:
			needed = append(needed, c.value)
		}
		if _, again := writers[c.value]; again {
			return nil, nil, false
		}
		writers[c.value] = i
	}
	next := make(map[text]int) // the CAS that found this value
	seen := make(map[text]bool)
	for len(needed) > 0 {
		value := needed[len(needed)-1]
		needed = needed[:len(needed)-1]
		if seen[value] || !value.present {
			continue
		}
		seen[value] = true
		w, written := writers[value]
		if !written {
			return nil, nil, false
		}
		if c := &calls[w]; c.op.Kind == CAS {
			if _, again := next[c.expect]; again {
				return nil, nil, false
			}
			next[c.expect] = w
			needed = append(needed, c.expect)
		}
	}
	blocks = append(blocks, chain(calls, nil, text{}, readers, next))
	for i := range calls {
		if c := &calls[i]; c.op.Kind == Put {
			b := chain(calls, []int{i}, c.value, readers, next)
			b.optional = !seen[c.value]
			blocks = append(blocks, b)
		}
	}
	return blocks, surprises, true
}

// chain is a block: the write, who read its value, the CAS that found it, who read
// that one's value, and so on.
func chain(calls []call, write []int, value text, readers map[text][]int, next map[text]int) *block {
	b := &block{calls: write}
	for {
		from := len(b.calls)
		b.calls = append(b.calls, readers[value]...)
		slices.SortFunc(b.calls[from:], func(x, y int) int { return cmp.Compare(calls[x].op.Start, calls[y].op.Start) })
		swap, found := next[value]
		if !found || len(b.calls) > len(calls) { // longer: a ring of CASes
			break
		}
		b.calls = append(b.calls, swap)
		value = calls[swap].value
	}
	b.end, b.start = math.MaxInt64, math.MinInt64
	for _, i := range b.calls {
		b.end, b.start = min(b.end, calls[i].end), max(b.start, calls[i].op.Start)
	}
	return b
}

// arrangement is an order in the making.
type arrangement struct {
	calls     []call
	order     []int
	is        text  // what the register holds
	byEnd     []int // the calls that are to be placed; those before first are
	first     int
	placed    []bool
	surprises []int    // those that are not placed, by their start
	blocks    []*block // likewise, by their latest start
	deadlines []*block // likewise, but with some that are placed, by their earliest end
	taken     map[*block]bool
	hurry     func(*block) int64
}

// arrange puts the blocks into an order, and the surprises between them. It leaves out
// what it finds no place for.
func arrange(calls []call, blocks []*block, surprises []int, hurry func(*block) int64) []int {
	a := arrangement{
		calls: calls, placed: make([]bool, len(calls)), surprises: slices.Clone(surprises),
		blocks: slices.Clone(blocks[1:]), deadlines: slices.Clone(blocks[1:]), taken: make(map[*block]bool), hurry: hurry,
	}
	for _, b := range blocks {
		if !b.optional {
			a.byEnd = append(a.byEnd, b.calls...)
		}
	}
	a.byEnd = append(a.byEnd, surprises...)
	slices.SortFunc(a.byEnd, func(x, y int) int { return cmp.Compare(calls[x].end, calls[y].end) })
	slices.SortFunc(a.surprises, func(x, y int) int { return cmp.Compare(calls[x].op.Start, calls[y].op.Start) })
	slices.SortStableFunc(a.blocks, func(x, y *block) int { return cmp.Compare(x.start, y.start) })
	slices.SortStableFunc(a.deadlines, func(x, y *block) int { return cmp.Compare(x.end, y.end) })

	for b := blocks[0]; b != nil; b = a.choose() {
		for _, i := range b.calls {
			a.settle()
			a.place(i)
		}
	}
	a.settle()
	return a.order
}

func (a *arrangement) place(i int) {
	_, a.is = a.calls[i].step(a.is)
	a.order = append(a.order, i)
	a.placed[i] = true
	for a.first < len(a.byEnd) && a.placed[a.byEnd[a.first]] {
		a.first++
	}
}

// due is the earliest end of what is to be placed: what starts later is not yet.
func (a *arrangement) due() int64 {
	if a.first == len(a.byEnd) {
		return math.MaxInt64
	}
	return a.calls[a.byEnd[a.first]].end
}

// settle places the surprises whose time has come, if the register surprises them.
func (a *arrangement) settle() {
	for k := 0; k < len(a.surprises); {
		c := &a.calls[a.surprises[k]]
		if c.op.Start > a.due() {
			return
		}
		if c.expect == a.is {
			k++
			continue
		}
		a.place(a.surprises[k])
		a.surprises = slices.Delete(a.surprises, k, k+1)
		k = 0 // more may be due now
	}
}

// choose takes the next block: one that none of the others must precede. If surprises
// wait for the register to change, it is one that begins before the first of them ended,
// if need be an optional one; otherwise those wait, for they may be last as well.
func (a *arrangement) choose() *block {
	for len(a.deadlines) > 0 && a.taken[a.deadlines[0]] {
		a.deadlines = a.deadlines[1:]
	}
	ends := [2]int64{math.MaxInt64, math.MaxInt64} // the two earliest
	for k, found := 0, 0; k < len(a.deadlines) && found < 2; k++ {
		if !a.taken[a.deadlines[k]] {
			ends[found] = a.deadlines[k].end
			found++
		}
	}
	waiting := int64(math.MaxInt64)
	for _, i := range a.surprises {
		if a.calls[i].op.Start > a.due() {
			break
		}
		waiting = min(waiting, a.calls[i].end)
	}
	best, rank := -1, 0
	for k, b := range a.blocks {
		if b.start > ends[1] {
			break
		}
		if b.start > ends[0] && b.end != ends[0] {
			continue
		}
		r := 1
		switch late := a.calls[b.calls[0]].op.Start > waiting; {
		case b.optional && (late || waiting == math.MaxInt64):
			continue
		case late:
			r = 3
		case b.optional:
			r = 2
		}
		if best < 0 || r < rank || r == rank && a.hurry(b) < a.hurry(a.blocks[best]) {
			best, rank = k, r
		}
	}
	if best < 0 {
		return nil
	}
	b := a.blocks[best]
	a.taken[b] = true
	a.blocks = slices.Delete(a.blocks, best, best+1)
	return b
}
