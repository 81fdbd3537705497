package oracle

import (
	"fmt"
	"math"
	"strings"
)

// Mark ends every value that Lists looks at and appears nowhere else in it, so that
// what a key holds can be taken apart: "3.1;7.1;3.2;".
const Mark = ";"

// Lists checks the keys to which clients only append, each value once, and which
// they read. It finds, for each key:
//
//	form        a value that cannot be told apart from others
//	phantom     a value that nobody appended, or that failed, or not yet then
//	duplicate   a value that is there twice
//	order       two reads of which neither continues the other; values against the
//	            order in which they were written, one after the other was complete,
//	            or in a session one with a lower serial
//	backwards   a read that sees less than an earlier one had seen
//	lost        a write that was acknowledged and that a later read does not see
//
// Keys with other operations are passed over. Together these are as strict as
// linearizability. Violations come in the order of the keys.
func Lists(history []Op) []Violation {
	ops := merge(history)
	keys, byKey := partition(ops)
	var out []Violation
	for _, key := range keys {
		l := list{key: key, writes: make(map[string]*write)}
		if l.collect(ops, byKey[key]) {
			l.arrange()
			l.checkReads()
			l.checkOrder()
		}
		out = append(out, l.found...)
	}
	return out
}

// list is one key.
type list struct {
	key     string
	writes  map[string]*write
	appends []*write // in the order of the history
	reads   []seen
	longest seen
	values  []string // of longest
	found   []Violation
}

// write is an append. Values that no read saw stand behind all others.
type write struct {
	*logical
	place int
	end   int64 // when it was acknowledged; never, if it was not
}

// seen is a read and how many values it returned, a broken one counted too.
type seen struct {
	*logical
	values int
}

// split takes apart what the read returned.
func (s seen) split() []string {
	values := strings.SplitAfter(s.Result, Mark)
	if k := len(values) - 1; values[k] == "" {
		values = values[:k]
	}
	return values
}

const (
	unseen = math.MaxInt
	never  = math.MaxInt64
)

func (l *list) report(check string, o, other *logical, format string, args ...any) {
	v := Violation{Check: check, Sentence: fmt.Sprintf(format, args...), Key: l.key, Process: o.Process, Op: o.at, Other: -1}
	if other != nil {
		v.Other = other.at
	}
	l.found = append(l.found, v)
}

// collect sorts the operations into writes and reads; false: this is not a list.
func (l *list) collect(ops []logical, at []int) bool {
	for _, i := range at {
		if k := ops[i].Kind; k != Append && k != Get {
			return false
		}
	}
	for _, i := range at {
		switch o := &ops[i]; {
		case o.Kind == Append:
			if other := l.writes[o.Value]; other != nil || strings.Index(o.Value, Mark) != len(o.Value)-1 {
				l.report("form", o, nil, "the value of %v was used before, or does not end with its only %q", o, Mark)
				return false
			}
			w := &write{logical: o, place: unseen, end: never}
			if o.Status == OK {
				w.end = o.End
			}
			l.writes[o.Value] = w
			l.appends = append(l.appends, w)
		case o.Status == OK:
			values := strings.Count(o.Result, Mark)
			if o.Result != "" && !strings.HasSuffix(o.Result, Mark) {
				values++
			}
			l.reads = append(l.reads, seen{o, values})
		}
	}
	return true
}

// arrange takes the longest read for the order of the values.
func (l *list) arrange() {
	for _, r := range l.reads {
		if r.values > l.longest.values {
			l.longest = r
		}
	}
	if l.longest.logical == nil {
		return
	}
	l.values = l.longest.split()
	for place, value := range l.values {
		w := l.writes[value]
		switch {
		case w == nil:
			l.report("phantom", l.longest.logical, nil, "%v returns %q, which nobody appended", l.longest, value)
		case w.place != unseen:
			l.report("duplicate", l.longest.logical, w.logical, "%v returns %q twice, at %d and %d", l.longest, value, w.place, place)
		case w.Status == Fail:
			l.report("phantom", l.longest.logical, w.logical, "%v returns %q, whose append failed", l.longest, value)
		}
		if w != nil && w.place == unseen {
			w.place = place
		}
	}
}

// String shows the read.
func (s seen) String() string { return s.logical.String() }
