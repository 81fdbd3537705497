// Package oracle judges what clients saw. It knows nothing of Raft: a history of
// operations, each with its beginning, its end and its answer, is all it looks at.
//
//	history := []oracle.Op{
//		{Process: 1, Kind: oracle.Put, Key: "x", Value: "1", Start: 10, End: 20, Status: oracle.OK},
//		{Process: 2, Kind: oracle.Get, Key: "x", Found: false, Start: 30, End: 40, Status: oracle.OK},
//	}
//	report := oracle.Linearizable(history, oracle.Options{})
//	// report.Verdict == oracle.Illegal: at 30 the write was complete, and the read
//	// does not see it
//
// Linearizable asks porcupine, key by key, whether some order of the operations
// explains every answer. Lists and Sessions know more of what clients do, values
// that are unique, numbered commands, and say more precisely what went wrong: an
// entry that nobody wrote, one that is there twice, one that is lost. Hunt compares
// read indexes with what had been acknowledged. WriteHistory and ReadHistory keep
// histories in files, one JSON object per line.
//
//	process 1   |---put x 1---| ok
//	process 2                      |--get x--| not found       illegal
//	process 3        |---put x 2- - - - - - - - - - - -        no answer: info
package oracle

import "fmt"

// Kind is what a client asked for.
type Kind string

// The operations. A key holds a text or nothing.
const (
	Get    Kind = "get"    // answers Found and Result
	Put    Kind = "put"    // Value
	CAS    Kind = "cas"    // Value, if the key holds Expect (or nothing, with ExpectAbsent); answers Swapped
	Append Kind = "append" // Value, behind what is there
)

// Status is what a client knows of its operation.
type Status string

// The outcomes.
const (
	OK   Status = "ok"   // it took effect and this is its answer
	Fail Status = "fail" // it did not and never will take effect
	Info Status = "info" // nobody knows; it may still take effect
)

// Op is one operation of a history, or one attempt if Session is set. Times are
// nanoseconds of one clock that all processes share. A process has at most one
// operation at a time.
type Op struct {
	Process      int64  `json:"process"`
	Kind         Kind   `json:"op"`
	Key          string `json:"key"`
	Value        string `json:"value,omitempty"`
	Expect       string `json:"expect,omitempty"`
	ExpectAbsent bool   `json:"expect_absent,omitempty"`
	Found        bool   `json:"found,omitempty"`
	Result       string `json:"result,omitempty"`
	Swapped      bool   `json:"swapped,omitempty"`
	Start        int64  `json:"start"`
	End          int64  `json:"end,omitempty"` // of no meaning with Info
	Status       Status `json:"status"`
	Session      int64  `json:"session,omitempty"` // 0: none
	Serial       int64  `json:"serial,omitempty"`
}

// String is the operation as one reads it.
func (o *Op) String() string {
	var what string
	switch o.Kind {
	case Get:
		what = fmt.Sprintf("get %q", o.Key)
		if o.Status == OK && o.Found {
			what += fmt.Sprintf(" -> %q", shorten(o.Result))
		} else if o.Status == OK {
			what += " -> nothing"
		}
	case Put, Append:
		what = fmt.Sprintf("%s %q %q", o.Kind, o.Key, shorten(o.Value))
	case CAS:
		expect := fmt.Sprintf("%q", shorten(o.Expect))
		if o.ExpectAbsent {
			expect = "nothing"
		}
		what = fmt.Sprintf("cas %q %s to %q", o.Key, expect, shorten(o.Value))
		if o.Status == OK {
			what += fmt.Sprintf(" -> %v", o.Swapped)
		}
	default:
		what = fmt.Sprintf("%q of %q", string(o.Kind), o.Key)
	}
	if o.Session != 0 {
		what += fmt.Sprintf(" (session %d, serial %d)", o.Session, o.Serial)
	}
	if o.Status == Info {
		return fmt.Sprintf("%s by process %d, from %d, no answer", what, o.Process, o.Start)
	}
	return fmt.Sprintf("%s by process %d, %d to %d, %s", what, o.Process, o.Start, o.End, o.Status)
}

// shorten keeps what distinguishes long texts: their ends.
func shorten(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return "..." + s[len(s)-limit:]
}

// validate says what is wrong with an operation, or "".
func (o *Op) validate() string {
	switch o.Kind {
	case Get, Put, CAS, Append:
	default:
		return fmt.Sprintf("no operation is called %q", string(o.Kind))
	}
	switch o.Status {
	case OK, Fail:
		if o.End < o.Start {
			return fmt.Sprintf("it ends at %d, before it starts at %d", o.End, o.Start)
		}
	case Info:
	default:
		return fmt.Sprintf("no status is called %q", string(o.Status))
	}
	if o.Session != 0 && o.Serial <= 0 {
		return "a command of a session has a serial above 0"
	}
	return ""
}

// Violation is something that clients may not see. Op is the operation that shows
// it, Other one that it contradicts, if there is one: positions in the history, -1
// for none.
type Violation struct {
	Check     string // what was checked: "linearizable", "duplicate", "lost", ...
	Sentence  string
	Key       string
	Process   int64
	Op, Other int
}

// Error makes a violation an error.
func (v *Violation) Error() string {
	return fmt.Sprintf("oracle: %s: %s", v.Check, v.Sentence)
}
