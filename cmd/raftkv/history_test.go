package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Outcomes of an operation, in the words of Jepsen's histories.
const (
	happened   = "ok"
	happensNot = "fail"
	unknown    = "info"
)

// event is one operation of a client, as a line of the history.
type event struct {
	Process  int    `json:"process"`
	Op       string `json:"op"` // get, put, del, cas, append
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`    // written
	Expected string `json:"expected,omitempty"` // of a cas; "" means that the key must not exist
	Mode     string `json:"mode,omitempty"`     // of a get
	Start    int64  `json:"start"`              // monotonic, in nanoseconds
	End      int64  `json:"end"`
	Outcome  string `json:"outcome"`
	Answer   reply  `json:"answer,omitzero"`
}

// reply is what the store said.
type reply struct {
	Found   bool   `json:"found,omitempty"` // get, put, del: there was a value
	Value   string `json:"value,omitempty"`
	Swapped bool   `json:"swapped,omitempty"`
	Length  int64  `json:"length,omitempty"`
}

// history collects the events of all clients and writes them to a file as they end. It is safe for concurrent use.
type history struct {
	begun time.Time

	mu     sync.Mutex
	file   *os.File
	out    *bufio.Writer
	events []event
	count  map[string]int // by outcome
}

func newHistory(path string) (*history, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &history{begun: time.Now(), file: f, out: bufio.NewWriter(f), count: map[string]int{}}, nil
}

func (h *history) now() int64 { return int64(time.Since(h.begun)) }

func (h *history) add(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	h.count[e.Outcome]++
	_, err = h.out.Write(append(line, '\n'))
	return err
}

func (h *history) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.out.Flush(); err != nil {
		return err
	}
	return h.file.Close()
}

// value is what a key has; nil: nothing.
type value = *string

// step is the store's model for one key: what e does to a value, and whether it could have got its answer.
func step(before value, e *event) (possible bool, after value) {
	text := func() string {
		if before == nil {
			return ""
		}
		return *before
	}
	lost := e.Outcome == unknown // no answer to be held to
	switch e.Op {
	case "get":
		return lost || e.Answer.Found == (before != nil) && e.Answer.Value == text(), before
	case "put":
		return lost || e.Answer.Found == (before != nil), &e.Value
	case "del":
		return lost || e.Answer.Found == (before != nil), nil
	case "append":
		joined := text() + e.Value
		return lost || e.Answer.Length == int64(len(joined)), &joined
	case "cas":
		fits := text() == e.Expected && (before != nil) == (e.Expected != "")
		if !lost && e.Answer.Swapped != fits {
			return false, before
		}
		if fits {
			return true, &e.Value
		}
		return true, before
	}
	return false, before
}

// model is the store for porcupine: keys do not touch each other.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			byKey, order := map[string][]porcupine.Operation{}, []string{}
			for _, o := range all {
				key := o.Input.(*event).Key
				if byKey[key] == nil {
					order = append(order, key)
				}
				byKey[key] = append(byKey[key], o)
			}
			out := [][]porcupine.Operation{}
			for _, key := range order {
				out = append(out, byKey[key])
			}
			return out
		},
		Init: func() any { return value(nil) },
		Step: func(state, input, _ any) (bool, any) {
			ok, after := step(state.(value), input.(*event))
			return ok, after
		},
		Equal: func(a, b any) bool {
			x, y := a.(value), b.(value)
			return x == y || x != nil && y != nil && *x == *y
		},
		DescribeOperation: func(input, _ any) string {
			e := input.(*event)
			return fmt.Sprintf("%s %s %q %q -> %s %+v", e.Op, e.Key, e.Expected, e.Value, e.Outcome, e.Answer)
		},
		DescribeState: func(state any) string {
			if v := state.(value); v != nil {
				return fmt.Sprintf("%q", *v)
			}
			return "nothing"
		},
	}
}

// operations are the events that may have happened. What has an unknown outcome may happen at any time after it began: it never
// returns.
func operations(events []event) (out []porcupine.Operation) {
	never := int64(0)
	for i := range events {
		never = max(never, events[i].End+1)
	}
	for i := range events {
		e := &events[i]
		o := porcupine.Operation{ClientId: e.Process, Input: e, Call: e.Start, Return: e.End}
		switch {
		case e.Outcome == happensNot, e.Op == "get" && e.Outcome == unknown:
			continue
		case e.Outcome == unknown:
			o.Return = never
		}
		out = append(out, o)
	}
	return out
}

// The checker itself: what it has to refuse, it refuses.
func TestTheCheckerSeesWhatIsWrong(t *testing.T) {
	put := func(start, end int64, v string) event {
		return event{Process: 1, Op: "put", Key: "k", Value: v, Start: start, End: end, Outcome: happened}
	}
	get := func(start, end int64, v string) event {
		return event{Process: 2, Op: "get", Key: "k", Start: start, End: end, Outcome: happened, Answer: reply{Found: v != "", Value: v}}
	}
	over := func(e event) event { e.Answer.Found = true; return e }
	lost := func(e event) event { e.Outcome = unknown; return e }
	failed := func(e event) event { e.Outcome = happensNot; return e }
	for name, c := range map[string]struct {
		events []event
		want   bool
	}{
		"in order":                   {[]event{put(0, 1, "a"), get(2, 3, "a")}, true},
		"stale":                      {[]event{put(0, 1, "a"), over(put(2, 3, "b")), get(4, 5, "a")}, false},
		"lost write":                 {[]event{put(0, 1, "a"), get(2, 3, "")}, false},
		"unknown, seen":              {[]event{lost(put(0, 1, "a")), get(2, 3, "a")}, true},
		"unknown, not seen":          {[]event{lost(put(0, 1, "a")), get(2, 3, "")}, true},
		"unknown, seen late":         {[]event{lost(put(0, 1, "a")), get(2, 3, ""), get(4, 5, "a")}, true},
		"unknown, seen, then gone":   {[]event{lost(put(0, 1, "a")), get(2, 3, "a"), get(4, 5, "")}, false},
		"failed, and seen":           {[]event{failed(put(0, 1, "a")), get(2, 3, "a")}, false},
		"concurrent":                 {[]event{put(0, 9, "a"), get(1, 2, ""), get(3, 4, "a")}, true},
		"concurrent, back and forth": {[]event{put(0, 9, "a"), get(1, 2, "a"), get(3, 4, "")}, false},
	} {
		if got := porcupine.CheckOperations(model(), operations(c.events)); got != c.want {
			t.Errorf("%s: linearizable %v, want %v", name, got, c.want)
		}
	}
}
