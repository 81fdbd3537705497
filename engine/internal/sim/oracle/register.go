package oracle

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verdict on a history.
type Verdict string

// The verdicts.
const (
	Legal   Verdict = "legal"
	Illegal Verdict = "illegal"
	Unknown Verdict = "unknown" // out of time, or too much for one key: counts as a failure of the test
)

// MaxOpsPerKey bounds the operations on one key: memory grows with their square,
// 128 MiB at this bound.
const MaxOpsPerKey = 1 << 15

// Options of Linearizable.
type Options struct {
	Timeout time.Duration // per key; 0: as long as it takes
	// Steps is how many operations may be tried on one key, in any order, until the
	// verdict is Unknown: a limit that, unlike time, depends on the history alone. Memory
	// grows with it, by about 200 bytes a step. 0: as many as it takes.
	Steps int
	// Registers tells by its name whether a key is to be checked. nil: each is.
	Registers func(key string) bool
}

// Report is what Linearizable found.
type Report struct {
	Verdict   Verdict
	Keys, Ops int
	Violation *Violation // unless the verdict is Legal
}

// Linearizable checks each key as a register on its own: a history is linearizable
// if and only if each of its keys is. It stops at the first key that is not. Keys
// are checked in order, so that equal histories give equal reports. An operation
// that does not validate makes the history illegal.
func Linearizable(history []Op, o Options) Report {
	report := Report{Verdict: Legal, Ops: len(history)}
	for i := range history {
		if text := history[i].validate(); text != "" {
			report.Verdict = Illegal
			report.Violation = &Violation{Check: "form", Sentence: text, Key: history[i].Key, Process: history[i].Process, Op: i, Other: -1}
			return report
		}
	}
	logical := merge(history)
	keys, byKey := partition(logical)
	report.Keys = len(keys)
	for _, key := range keys {
		if o.Registers != nil && !o.Registers(key) {
			continue
		}
		calls := prepare(logical, byKey[key])
		if report.Verdict, report.Violation = checkKey(key, calls, &o); report.Verdict != Legal {
			return report
		}
	}
	return report
}

// Visualize writes an HTML page that shows the operations on one key and how far
// they can be ordered.
func Visualize(w io.Writer, history []Op, key string) error {
	logical := merge(history)
	_, byKey := partition(logical)
	m := model()
	_, info := porcupine.CheckOperationsVerbose(m, operations(prepare(logical, byKey[key])), 0)
	if err := porcupine.Visualize(m, info, w); err != nil {
		return fmt.Errorf("oracle: visualize: %w", err)
	}
	return nil
}

// call is an operation made ready: texts as sums, times as porcupine wants them.
type call struct {
	op     *logical
	end    int64
	value  text
	expect text
	result text
}

// prepare drops what says nothing: failed operations, reads without an answer, and
// writes without an answer that nobody can have noticed.
func prepare(history []logical, at []int) []call {
	noticed, overwrites := make(map[string]bool), true
	for _, i := range at {
		o := &history[i]
		noticed[o.Result] = noticed[o.Result] || o.Kind == Get && o.Status == OK && o.Found
		overwrites = overwrites && (o.Kind == Get || o.Kind == Put)
	}
	var calls []call
	for _, i := range at {
		o := &history[i]
		switch {
		case o.Status == Fail, o.Status == Info && o.Kind == Get:
			continue
		case o.Status == Info && overwrites && !noticed[o.Value]:
			continue // no read returned it: without it the others fit as well
		}
		c := call{op: o, end: o.End, value: textOf(o.Value), expect: textOf(o.Expect), result: textOf(o.Result)}
		if o.Status == Info {
			c.end = math.MaxInt64 // it may take effect at any time, or after everything else, which is never
		}
		c.expect.present, c.result.present = !o.ExpectAbsent, o.Found
		if o.ExpectAbsent {
			c.expect = text{}
		}
		if !o.Found {
			c.result = text{}
		}
		calls = append(calls, c)
	}
	return calls
}

func operations(calls []call) []porcupine.Operation {
	processes := make(map[int64]int) // porcupine counts them from 0
	out := make([]porcupine.Operation, len(calls))
	for i := range calls {
		c := &calls[i]
		p, ok := processes[c.op.Process]
		if !ok {
			p = len(processes)
			processes[c.op.Process] = p
		}
		out[i] = porcupine.Operation{ClientId: p, Input: c, Call: c.op.Start, Output: c, Return: c.end}
	}
	return out
}

func checkKey(key string, calls []call, o *Options) (Verdict, *Violation) {
	if len(calls) > MaxOpsPerKey {
		return Unknown, &Violation{
			Check: "linearizable", Key: key, Op: -1, Other: -1,
			Sentence: fmt.Sprintf("key %q has %d operations, at most %d can be checked: use more keys", key, len(calls), MaxOpsPerKey),
		}
	}
	if explained(calls) {
		return Legal, nil
	}
	ops, steps, limit := operations(calls), 0, fmt.Sprint(o.Timeout)
	m := model()
	if o.Steps > 0 {
		m.Step = func(state, input, _ any) (bool, any) {
			if steps++; steps > o.Steps {
				return false, state // nothing fits any more: the search ends soon
			}
			return step(state, input)
		}
	}
	switch porcupine.CheckOperationsTimeout(m, ops, o.Timeout) {
	case porcupine.Ok:
		return Legal, nil
	case porcupine.Illegal:
		if o.Steps == 0 || steps <= o.Steps {
			return Illegal, explain(key, calls, ops)
		}
		limit = fmt.Sprintf("%d steps", o.Steps)
	case porcupine.Unknown:
	}
	return Unknown, &Violation{
		Check: "linearizable", Key: key, Op: -1, Other: -1,
		Sentence: fmt.Sprintf("key %q with %d operations could not be decided in %s", key, len(calls), limit),
	}
}

// explain names the operation that fits in nowhere: of those that the longest
// possible order leaves out, the one that ended first.
func explain(key string, calls []call, ops []porcupine.Operation) *Violation {
	_, info := porcupine.CheckOperationsVerbose(model(), ops, 0)
	var longest []int
	for _, order := range info.PartialLinearizations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	left := make([]int, 0, len(calls))
	for i := range calls {
		if !slices.Contains(longest, i) {
			left = append(left, i)
		}
	}
	worst := slices.MinFunc(left, func(a, b int) int { return cmp.Compare(calls[a].end, calls[b].end) })
	c := calls[worst]
	return &Violation{
		Check: "linearizable", Key: key, Process: c.op.Process, Op: c.op.at, Other: -1,
		Sentence: fmt.Sprintf("no order of the %d operations on key %q explains all answers; one that explains %d leaves out: %v",
			len(calls), key, len(longest), c.op),
	}
}

// text is a value, by its sums: two of 64 bits and the length. Appending to it needs
// only what is appended.
type text struct {
	present bool
	size    int
	a, b    uint64
}

func textOf(s string) text { return text{present: true}.with(s) }

func (t text) with(s string) text {
	for i := range len(s) {
		t.a = (t.a ^ uint64(s[i])) * 0x00000100000001B3
		t.a ^= t.a >> 29
		t.b = t.b*0x9E3779B97F4A7C15 + uint64(s[i]) + 1
	}
	t.present = true
	t.size += len(s)
	return t
}

// model is a register that begins empty.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return text{} },
		Step: func(state, input, _ any) (bool, any) { return step(state, input) },
		Hash: func(state any) uint64 {
			t, _ := state.(text)
			return t.a ^ t.b<<1
		},
		DescribeOperation: func(input, _ any) string {
			c, _ := input.(*call)
			return c.op.String()
		},
		DescribeState: func(state any) string {
			t, _ := state.(text)
			if !t.present {
				return "nothing"
			}
			return fmt.Sprintf("%d bytes, %08x", t.size, uint32(t.a^t.b))
		},
	}
}

func step(state, input any) (bool, any) {
	was, _ := state.(text)
	c, _ := input.(*call)
	possible, is := c.step(was)
	if is == was {
		return possible, state // as it is, without a copy
	}
	return possible, is
}

// step reports whether the operation may happen to a register that holds was, and
// what it holds then.
func (c *call) step(was text) (possible bool, is text) {
	switch c.op.Kind {
	case Get:
		return c.result == was, was
	case Put:
		return true, c.value
	case Append:
		return true, was.with(c.op.Value)
	case CAS:
	}
	equal := c.expect == was
	is = was
	if equal {
		is = c.value
	}
	return c.op.Status == Info || equal == c.op.Swapped, is
}
