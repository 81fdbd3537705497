package oracle

import (
	"cmp"
	"slices"
	"strings"
)

// checkReads compares every read with the longest one and with what had happened
// before it.
func (l *list) checkReads() {
	slices.SortStableFunc(l.reads, func(a, b seen) int { return cmp.Compare(a.Start, b.Start) })
	ended := slices.Clone(l.reads) // the same, by end
	slices.SortStableFunc(ended, func(a, b seen) int { return cmp.Compare(a.End, b.End) })
	acked := slices.Clone(l.appends)
	slices.SortStableFunc(acked, func(a, b *write) int { return cmp.Compare(a.end, b.end) })

	latest := l.latestStarts()
	var before seen // the read that saw most, of those that ended before r began
	var owed *write // the write that stands furthest back, of those
	for _, r := range l.reads {
		for len(ended) > 0 && ended[0].End < r.Start {
			if ended[0].values > before.values {
				before = ended[0]
			}
			ended = ended[1:]
		}
		for len(acked) > 0 && acked[0].end < r.Start {
			if owed == nil || acked[0].place > owed.place {
				owed = acked[0]
			}
			acked = acked[1:]
		}
		k := r.values
		if r.Result != "" && r.Result != l.longest.Result && !(strings.HasPrefix(l.longest.Result, r.Result) && strings.HasSuffix(r.Result, Mark)) {
			l.checkStrange(r)
			continue
		}
		if k > 0 && latest[k-1] != nil && latest[k-1].Start > r.End {
			w := latest[k-1]
			l.report("phantom", r.logical, w.logical, "%v returns %q before %v began", r, w.Value, w)
		}
		if before.values > k {
			l.report("backwards", r.logical, before.logical, "%v sees %d values, %v had seen %d", r, k, before, before.values)
		}
		if owed != nil && owed.place >= k {
			check := "lost"
			if owed.Process == r.Process {
				check = "read-your-writes"
			}
			l.report(check, r.logical, owed.logical, "%v does not see %v", r, owed)
		}
	}
}

// checkStrange says what is wrong with a read that is no beginning of the longest.
func (l *list) checkStrange(r seen) {
	had := make(map[string]bool, r.values)
	for _, value := range r.split() {
		switch {
		case l.writes[value] == nil:
			l.report("phantom", r.logical, nil, "%v returns %q, which nobody appended", r, value)
			return
		case had[value]:
			l.report("duplicate", r.logical, l.writes[value].logical, "%v returns %q twice", r, value)
			return
		}
		had[value] = true
	}
	l.report("order", r.logical, l.longest.logical, "%v and %v: neither continues the other", r, l.longest)
}

// latestStarts has, for each number of values, the write among the first so many
// that began last.
func (l *list) latestStarts() []*write {
	out := make([]*write, len(l.values))
	var latest *write
	for i, value := range l.values {
		if w := l.writes[value]; w != nil && (latest == nil || w.Start > latest.Start) {
			latest = w
		}
		out[i] = latest
	}
	return out
}

// checkOrder compares the order of the values with that in which they were written.
func (l *list) checkOrder() {
	slices.SortStableFunc(l.appends, func(a, b *write) int { return cmp.Compare(a.place, b.place) })
	var latest *write                  // of those in front, the one that began last
	sessions := make(map[int64]*write) // of those in front, the highest serial
	for _, w := range l.appends {
		if latest != nil && w.end < latest.Start {
			if w.place == unseen {
				l.report("lost", w.logical, latest.logical, "%v is never seen; %v, which began later, is", w, latest)
			} else {
				l.report("order", w.logical, latest.logical, "%v stands behind %v, which began later", w, latest)
			}
		}
		if w.place == unseen {
			continue
		}
		if latest == nil || w.Start > latest.Start {
			latest = w
		}
		if w.Session == 0 {
			continue
		}
		if before := sessions[w.Session]; before != nil && before.Serial > w.Serial {
			l.report("order", w.logical, before.logical, "%v stands behind %v", w, before)
		} else {
			sessions[w.Session] = w
		}
	}
}
