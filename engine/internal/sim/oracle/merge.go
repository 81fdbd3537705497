package oracle

import "slices"

// logical is an operation as its client meant it: all attempts with the same serial
// of a session are one. at is its first attempt in the history.
type logical struct {
	*Op // of the history, or a copy
	at  int
}

// command names an operation of a session.
type command struct{ session, serial int64 }

// merge puts attempts together. One answer is enough: the operation ends with the
// first one. It failed if every attempt did.
func merge(history []Op) []logical {
	out := make([]logical, 0, len(history))
	first := make(map[command]int)
	for i := range history {
		o := &history[i]
		if o.Session == 0 {
			out = append(out, logical{o, i})
			continue
		}
		c := command{o.Session, o.Serial}
		k, again := first[c]
		if !again {
			first[c] = len(out)
			out = append(out, logical{o, i})
			continue
		}
		was := &out[k]
		start := min(was.Start, o.Start)
		if o.Status == OK && (was.Status != OK || o.End < was.End) || o.Status == Info && was.Status == Fail {
			was.Op = o
		}
		if was.Start != start {
			both := *was.Op
			both.Start, was.Op = start, &both
		}
	}
	return out
}

// partition groups operations by key, in order of the keys.
func partition(ops []logical) (keys []string, byKey map[string][]int) {
	byKey = make(map[string][]int)
	for i := range ops {
		if _, ok := byKey[ops[i].Key]; !ok {
			keys = append(keys, ops[i].Key)
		}
		byKey[ops[i].Key] = append(byKey[ops[i].Key], i)
	}
	slices.Sort(keys)
	return keys, byKey
}
