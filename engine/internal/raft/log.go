package raft

// tail is the end of the log that stays in memory: a ring of entries with the
// running sum of their sizes, so that the bytes of any range are one subtraction.
//
//	index      lo            hi-1
//	buf    ... [e][e][e][e][e][e] ...    position = index & (len(buf)-1)
//	sum        bytes of all entries ever appended, up to and with this one
type tail struct {
	buf    []Entry
	sum    []uint64
	lo, hi Index  // half open
	base   uint64 // sum before lo
}

func entrySize(e *Entry) int { return len(e.Body) + entryOverhead }

func (t *tail) at(i Index) *Entry { return &t.buf[int(i)&(len(t.buf)-1)] }

func (t *tail) has(i Index) bool { return t.lo <= i && i < t.hi }

// upTo is the running sum of everything below i, lo <= i <= hi.
func (t *tail) upTo(i Index) uint64 {
	if i == t.lo {
		return t.base
	}
	return t.sum[int(i-1)&(len(t.sum)-1)]
}

// bytes is the size of [lo, hi), as far as it is in the tail.
func (t *tail) bytes(lo, hi Index) int {
	lo, hi = max(lo, t.lo), min(hi, t.hi)
	if lo >= hi {
		return 0
	}
	return int(t.upTo(hi) - t.upTo(lo))
}

// fit returns the highest end of a range that begins at lo, ends at or before hi
// and is no bigger than maxBytes; but it holds at least one entry.
func (t *tail) fit(lo, hi Index, maxBytes int) Index {
	if t.bytes(lo, hi) <= maxBytes {
		return hi
	}
	small, big := lo+1, hi // [lo, small) is in, [lo, big) is too much
	for small+1 < big {
		mid := small + (big-small)/2
		if t.bytes(lo, mid) <= maxBytes {
			small = mid
		} else {
			big = mid
		}
	}
	return small
}

// append adds entries, at least one, at hi.
func (t *tail) append(entries []Entry) {
	if need := int(t.hi-t.lo) + len(entries); need > len(t.buf) {
		t.grow(need)
	}
	mask := len(t.buf) - 1
	at := int(t.hi) & mask
	if k := copy(t.buf[at:], entries); k < len(entries) {
		copy(t.buf, entries[k:])
	}
	sum := t.upTo(t.hi)
	for i := range entries {
		sum += uint64(entrySize(&entries[i]))
		t.sum[(at+i)&mask] = sum
	}
	t.hi += Index(len(entries))
}

// grow makes room for need entries; the length stays a power of two.
func (t *tail) grow(need int) {
	size := max(64, len(t.buf))
	for size < need {
		size *= 2
	}
	bigger := tail{buf: make([]Entry, size), sum: make([]uint64, size)}
	mask := size - 1
	for i := t.lo; i < t.hi; i++ {
		bigger.buf[int(i)&mask], bigger.sum[int(i)&mask] = *t.at(i), t.sum[int(i)&(len(t.sum)-1)]
	}
	t.buf, t.sum = bigger.buf, bigger.sum
}

// drop forgets everything below i, and so lets go of its bodies.
func (t *tail) drop(i Index) {
	if i = min(i, t.hi); i <= t.lo {
		return
	}
	base := t.upTo(i)
	for ; t.lo < i; t.lo++ {
		*t.at(t.lo) = Entry{}
	}
	t.base = base
}

// truncate forgets everything from i on. Below lo it leaves an empty tail at i.
func (t *tail) truncate(i Index) {
	if i <= t.lo {
		t.base = 0
		for ; t.lo < t.hi; t.lo++ {
			*t.at(t.lo) = Entry{}
		}
		t.lo, t.hi = i, i
		return
	}
	for t.hi > i {
		t.hi--
		*t.at(t.hi) = Entry{}
	}
}

// copyTo appends the entries of [lo, hi), which must be here, to dst: at least one.
func (t *tail) copyTo(dst []Entry, lo, hi Index) []Entry {
	from, end := int(lo)&(len(t.buf)-1), int(hi-1)&(len(t.buf)-1)+1
	if from < end {
		return append(dst, t.buf[from:end]...)
	}
	dst = append(dst, t.buf[from:]...)
	return append(dst, t.buf[:end]...)
}

// raftLog joins the tail in memory and the store below it into one log. Where it
// begins is decided here: the store follows, later.
//
//	base+1                        last
//	  |  in the store only  | tail  |
//	        applied <= commit       |      durable: this node's own writes
//	                 durable -------+      completed up to here
//
// The first failure of the store stays in err; lookups answer zero from then on.
type raftLog struct {
	mutation
	store    Log
	tail     tail
	base     Index // a snapshot covers everything up to here, or 0
	baseTerm Term
	last     Index
	lastTerm Term

	commit  Index
	applied Index
	durable Index // <= last; falls at a truncation only

	keepBytes    int // of what is persisted and applied
	unappliedMax int // of what is persisted and not applied
	marks        *Marks
	damaged      Span // what could not be read, and nobody was told of
	err          error
}

func (l *raftLog) mark(m Mark) {
	if l.marks != nil {
		l.marks[m]++
	}
}

func (l *raftLog) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// term returns the term of position i; false if i is not in the log (the position
// just below the first is; 0 has term 0).
func (l *raftLog) term(i Index) (Term, bool) {
	switch {
	case i == l.last:
		return l.lastTerm, true
	case i == l.base:
		if i > 0 {
			l.mark(MarkTermAtFloor)
		}
		if l.mutated(mutFloorWithoutTerm) {
			return 0, true
		}
		return l.baseTerm, true
	case l.tail.has(i):
		return l.tail.at(i).Term, true
	case i < l.base || i > l.last:
		return 0, false
	}
	l.mark(MarkTermFromStore)
	t, err := l.store.Term(i)
	if err != nil {
		l.fail(&StoreError{Op: "term", Index: i, Err: err})
		return 0, false
	}
	return t, true
}

// lastWithTerm returns the highest position in [low, high] whose term is at most
// t; low when there is none. Terms never fall along a log, so it searches.
func (l *raftLog) lastWithTerm(low, high Index, t Term) Index {
	for low < high && l.err == nil {
		mid := low + (high-low+1)/2
		if got, ok := l.term(mid); ok && got <= t {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// endsBefore reports whether a log with this last entry is ahead of this one: the
// term decides first, then the length.
func (l *raftLog) endsBefore(index Index, term Term) bool {
	return l.lastTerm < term || (l.lastTerm == term && l.last < index)
}

// append adds entries, at least one, behind the last one.
func (l *raftLog) append(entries []Entry) {
	l.tail.append(entries)
	l.last += Index(len(entries))
	l.lastTerm = entries[len(entries)-1].Term
}

// truncate removes everything from i on, commit < i <= last.
func (l *raftLog) truncate(i Index) {
	t, _ := l.term(i - 1) // 0: the store failed, and with it the node
	if i <= l.tail.lo {
		l.mark(MarkCutBelowTail)
	}
	l.tail.truncate(i)
	l.last, l.lastTerm = i-1, t
	l.durable = min(l.durable, i-1)
}

// entries appends [lo, hi) to dst, at most maxBytes but at least one. The part
// in the store and the part in the tail come in separate calls.
func (l *raftLog) entries(dst []Entry, lo, hi Index, maxBytes int) []Entry {
	if hi = min(hi, l.last+1); lo >= hi {
		return dst
	}
	if lo >= l.tail.lo {
		return l.tail.copyTo(dst, lo, l.tail.fit(lo, hi, maxBytes))
	}
	hi = min(hi, l.tail.lo, lo+1+Index(maxBytes/entryOverhead))
	had := len(dst)
	l.mark(MarkEntriesFromStore)
	dst, err := l.store.Entries(dst, lo, hi, maxBytes)
	if err == nil && len(dst) == had {
		err = broken("the store returned nothing of [%d, %d)", lo, hi)
	}
	if err != nil {
		if !l.unreadable(err) {
			l.fail(&StoreError{Op: "entries", Index: lo, Err: err})
		}
		return dst[:had]
	}
	end, bytes := had, 0
	for ; end < len(dst); end++ {
		if bytes += entrySize(&dst[end]); bytes > maxBytes && end > had {
			l.mark(MarkEntriesCutBySize)
			break
		}
	}
	return dst[:end]
}

// backlog is the bytes that are not committed or not durable here.
func (l *raftLog) backlog() int {
	return l.tail.bytes(min(l.commit, l.durable)+1, l.last+1)
}

// trim lets go of the tail's oldest entries while it is over its limits. What is
// not durable always stays: the store cannot read it yet.
func (l *raftLog) trim() {
	t := &l.tail
	over := t.bytes(t.lo, t.hi) - l.keepBytes
	if over <= 0 {
		return
	}
	end := min(l.durable, l.applied) + 1
	if t.bytes(t.lo, end) < over {
		excess := t.bytes(end, min(l.durable+1, t.hi)) - l.unappliedMax
		for ; excess > 0 && end <= l.durable; end++ {
			l.mark(MarkTailOverLimit)
			excess -= t.bytes(end, end+1)
		}
		t.drop(end)
		return
	}
	if over > 0 {
		l.mark(MarkTailTrimmed)
		t.drop(t.fit(t.lo, end, over))
	}
}
