package oracle_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

// The operations that stories are made of: process, times, what and what came of it.
func put(p, start, end int64, key, value string) oracle.Op {
	return oracle.Op{Process: p, Kind: oracle.Put, Key: key, Value: value, Start: start, End: end, Status: oracle.OK}
}

func add(p, start, end int64, key, value string) oracle.Op {
	o := put(p, start, end, key, value)
	o.Kind = oracle.Append
	return o
}

func get(p, start, end int64, key, result string) oracle.Op {
	return oracle.Op{Process: p, Kind: oracle.Get, Key: key, Result: result, Found: result != "", Start: start, End: end, Status: oracle.OK}
}

func cas(p, start, end int64, key, from, to string, swapped bool) oracle.Op {
	return oracle.Op{
		Process: p, Kind: oracle.CAS, Key: key, Expect: from, ExpectAbsent: from == "", Value: to, Swapped: swapped,
		Start: start, End: end, Status: oracle.OK,
	}
}

func lost(o oracle.Op) oracle.Op { o.Status, o.End = oracle.Info, 0; return o }

func failed(o oracle.Op) oracle.Op { o.Status = oracle.Fail; return o }

func in(session, serial int64, o oracle.Op) oracle.Op {
	o.Session, o.Serial = session, serial
	return o
}

// histories maps the names of stories to histories and words of the complaint; "":
// there is none.
type histories map[string]struct {
	history []oracle.Op
	words   string
}

func (h histories) check(t *testing.T) {
	for name, x := range h {
		t.Run(name, func(t *testing.T) {
			report := oracle.Linearizable(x.history, oracle.Options{})
			switch {
			case x.words == "" && report.Verdict != oracle.Legal:
				t.Errorf("%s: %v", report.Verdict, report.Violation)
			case x.words != "" && report.Verdict != oracle.Illegal:
				t.Errorf("%s, want it to be illegal", report.Verdict)
			case x.words != "" && !strings.Contains(report.Violation.Error(), x.words):
				t.Errorf("the complaint is %q, want %q in it", report.Violation, x.words)
			}
		})
	}
}

func TestLinearizable(t *testing.T) {
	histories{
		"nothing happened": {},
		"a read of a key that nobody wrote": {history: []oracle.Op{
			get(1, 1, 2, "x", ""),
		}},
		"a read after a write": {history: []oracle.Op{
			put(1, 1, 2, "x", "a"), get(2, 3, 4, "x", "a"),
		}},
		"a stale read": {words: `leaves out: get "x" -> "a" by process 2, 5 to 6`, history: []oracle.Op{
			put(1, 1, 2, "x", "a"), put(1, 3, 4, "x", "b"), get(2, 5, 6, "x", "a"),
		}},
		"a read during a write may see either": {history: []oracle.Op{
			put(1, 1, 2, "x", "a"), put(1, 3, 9, "x", "b"), get(2, 4, 5, "x", "a"), get(3, 6, 7, "x", "b"),
		}},
		"but not first the new value and then the old one": {words: "no order of the 4 operations", history: []oracle.Op{
			put(1, 1, 2, "x", "a"), put(1, 3, 9, "x", "b"), get(2, 4, 5, "x", "b"), get(3, 6, 7, "x", "a"),
		}},
		"times that touch are concurrent": {history: []oracle.Op{
			put(1, 1, 5, "x", "a"), get(2, 5, 6, "x", ""),
		}},
		"a write without an answer happens late": {history: []oracle.Op{
			lost(put(1, 1, 0, "x", "a")), get(2, 100, 101, "x", ""), get(2, 200, 201, "x", "a"),
		}},
		"a write without an answer happens never": {history: []oracle.Op{
			lost(put(1, 1, 0, "x", "a")), get(2, 100, 101, "x", ""),
		}},
		"a write without an answer happens once": {words: "leaves out", history: []oracle.Op{
			lost(add(1, 1, 0, "x", "a")), get(2, 100, 101, "x", "aa"),
		}},
		"a failed write shows": {words: "leaves out", history: []oracle.Op{
			failed(put(1, 1, 2, "x", "a")), get(2, 3, 4, "x", "a"),
		}},
		"a swap from nothing": {history: []oracle.Op{
			cas(1, 1, 2, "x", "", "a", true), cas(1, 3, 4, "x", "", "b", false), cas(1, 5, 6, "x", "a", "b", true), get(1, 7, 8, "x", "b"),
		}},
		"two swaps from the same value": {words: "leaves out", history: []oracle.Op{
			put(1, 1, 2, "x", "a"), cas(1, 3, 9, "x", "a", "b", true), cas(2, 3, 9, "x", "a", "c", true),
		}},
		"a swap without an answer": {history: []oracle.Op{
			put(1, 1, 2, "x", "a"), lost(cas(2, 3, 0, "x", "a", "b", false)), get(1, 8, 9, "x", "b"),
		}},
		"keys are independent": {history: []oracle.Op{
			put(1, 1, 2, "x", "a"), get(2, 3, 4, "y", ""), put(1, 5, 6, "y", "b"), get(2, 7, 8, "x", "a"),
		}},
	}.check(t)
}

func TestRetriesAreOneOperation(t *testing.T) {
	histories{
		"a retried write is one write": {words: "leaves out", history: []oracle.Op{
			in(1, 1, lost(add(1, 1, 0, "x", "a"))), in(1, 1, add(1, 5, 6, "x", "a")), get(2, 8, 9, "x", "aa"),
		}},
		"a retried write may have happened at its first attempt": {history: []oracle.Op{
			in(1, 1, lost(add(1, 1, 0, "x", "a"))), get(2, 3, 4, "x", "a"), in(1, 1, add(1, 5, 6, "x", "a")), get(2, 8, 9, "x", "a"),
		}},
		"a retried write is complete with its first answer": {words: "leaves out", history: []oracle.Op{
			in(1, 1, add(1, 1, 2, "x", "a")), get(2, 3, 4, "x", ""), in(1, 1, add(1, 5, 6, "x", "a")),
		}},
		"a retried write is complete with the answer that came first": {words: "leaves out", history: []oracle.Op{
			in(1, 1, add(1, 1, 9, "x", "a")), in(1, 1, add(1, 2, 3, "x", "a")), get(2, 5, 6, "x", ""),
		}},
		"a retried write whose later answer came later": {words: "leaves out", history: []oracle.Op{
			in(1, 1, add(1, 1, 3, "x", "a")), in(1, 1, add(1, 2, 9, "x", "a")), get(2, 5, 6, "x", ""),
		}},
		"a write that is not known to have failed at every attempt": {history: []oracle.Op{
			in(1, 1, lost(add(1, 1, 0, "x", "a"))), in(1, 1, failed(add(1, 3, 4, "x", "a"))), get(2, 8, 9, "x", "a"),
		}},
		"a write that failed at every attempt": {words: "leaves out", history: []oracle.Op{
			in(1, 1, failed(add(1, 1, 2, "x", "a"))), in(1, 1, failed(add(1, 3, 4, "x", "a"))), get(2, 8, 9, "x", "a"),
		}},
		"a write that was answered and then refused": {words: "leaves out", history: []oracle.Op{
			in(1, 1, add(1, 1, 2, "x", "a")), in(1, 1, failed(add(1, 3, 4, "x", "a"))), get(2, 8, 9, "x", ""),
		}},
		"a write whose first attempt failed": {history: []oracle.Op{
			in(1, 1, failed(add(1, 1, 2, "x", "a"))), in(1, 1, lost(add(1, 3, 0, "x", "a"))), get(2, 8, 9, "x", "a"),
		}},
	}.check(t)
}

// TestHistoriesOfTheWrongForm: nonsense is never taken for a good history.
func TestHistoriesOfTheWrongForm(t *testing.T) {
	good := put(1, 5, 6, "x", "a")
	for words, spoil := range map[string]func(o *oracle.Op){
		`no operation is called "del"`: func(o *oracle.Op) { o.Kind = "del" },
		`no status is called ""`:       func(o *oracle.Op) { o.Status = "" },
		"before it starts":             func(o *oracle.Op) { o.End = 4 },
		"a serial above 0":             func(o *oracle.Op) { o.Session = 3 },
	} {
		o := good
		spoil(&o)
		report := oracle.Linearizable([]oracle.Op{good, o}, oracle.Options{})
		if report.Verdict != oracle.Illegal || report.Violation.Op != 1 || !strings.Contains(report.Violation.Sentence, words) {
			t.Errorf("%v: %s %v, want %q", o, report.Verdict, report.Violation, words)
		}
		var b bytes.Buffer
		if err := oracle.WriteHistory(&b, []oracle.Op{o}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v was written: %v", o, err)
		}
	}
}

// TestUndecided: what cannot be decided is not called good.
func TestUndecided(t *testing.T) {
	many := make([]oracle.Op, oracle.MaxOpsPerKey+1)
	for i := range many {
		many[i] = put(1, int64(i), int64(i), "x", "a")
	}
	report := oracle.Linearizable(many, oracle.Options{})
	if report.Verdict != oracle.Unknown || !strings.Contains(report.Violation.Sentence, "use more keys") {
		t.Errorf("%d operations on one key: %s, %v", len(many), report.Verdict, report.Violation)
	}

	report = oracle.Linearizable(many[1:], oracle.Options{})
	if report.Verdict != oracle.Legal {
		t.Errorf("%d operations on one key: %s, %v", len(many)-1, report.Verdict, report.Violation)
	}

	var hard []oracle.Op // 30 writes at once and a read that fits behind none of their orders
	for p := range int64(30) {
		hard = append(hard, add(p, 0, 100, "x", string(rune('a'+p))))
	}
	hard = append(hard, get(99, 101, 102, "x", strings.Repeat("z", 30)))
	report = oracle.Linearizable(hard, oracle.Options{Timeout: time.Millisecond})
	if report.Verdict != oracle.Unknown || !strings.Contains(report.Violation.Sentence, "could not be decided in 1ms") {
		t.Errorf("a hard history: %s, %v", report.Verdict, report.Violation)
	}
	for range 2 { // the same history needs the same number of steps
		report = oracle.Linearizable(hard, oracle.Options{Steps: 10_000})
		if report.Verdict != oracle.Unknown || !strings.Contains(report.Violation.Sentence, "could not be decided in 10000 steps") {
			t.Errorf("a hard history: %s, %v", report.Verdict, report.Violation)
		}
	}

	// the same value twice, so that a read does not tell which write it saw
	easy := []oracle.Op{put(1, 1, 2, "x", "b"), put(1, 3, 4, "x", "b"), get(1, 5, 6, "x", "b")}
	for steps, want := range map[int]oracle.Verdict{2: oracle.Unknown, 3: oracle.Legal} {
		if report = oracle.Linearizable(easy, oracle.Options{Steps: steps}); report.Verdict != want {
			t.Errorf("three operations in %d steps: %s, want %s", steps, report.Verdict, want)
		}
	}
	wrong := append(easy, get(1, 7, 8, "x", "a"))
	if report = oracle.Linearizable(wrong, oracle.Options{Steps: 100}); report.Verdict != oracle.Illegal {
		t.Errorf("a read of what was overwritten: %s within its limit", report.Verdict)
	}
	other := oracle.Options{Registers: func(key string) bool { return key != "x" }}
	if report = oracle.Linearizable(wrong, other); report.Verdict != oracle.Legal {
		t.Errorf("a key that is not to be checked is %s", report.Verdict)
	}
}

// TestWritesThatNobodySaw: writes that overlap and that no read shows may be in any
// order, and a CAS that failed may be between any two: one order is found at once.
func TestWritesThatNobodySaw(t *testing.T) {
	history := []oracle.Op{put(1, 1, 2, "x", "a"), get(1, 3, 4, "x", "a")}
	for p := range int64(40) {
		history = append(history,
			put(100+p, 5+p, 900+p, "x", fmt.Sprint("unseen ", p)),
			lost(put(200+p, 5+p, 0, "x", fmt.Sprint("lost ", p))),
			cas(300+p, 20*p+6, 20*p+9, "x", fmt.Sprint("unseen ", p%3), "never", false))
	}
	history = append(history, put(1, 400, 420, "x", "seen"), get(2, 410, 430, "x", "seen"), cas(3, 426, 435, "x", "seen", "too late", false),
		cas(4, 440, 450, "x", "seen", "next", false), get(2, 1000, 1001, "x", "lost 7"), get(2, 1002, 1003, "x", "lost 9"))
	if report := oracle.Linearizable(history, oracle.Options{Steps: 1}); report.Verdict != oracle.Legal {
		t.Errorf("%s, %v", report.Verdict, report.Violation)
	}
	history = append(history, get(2, 1004, 1005, "x", "a"))
	if report := oracle.Linearizable(history, oracle.Options{Steps: 10_000}); report.Verdict == oracle.Legal {
		t.Error("a value came back")
	}
}

// TestWritesThatNobodyNoticed: any number of writes without an answer may be under
// way; those that no read shows cost nothing.
func TestWritesThatNobodyNoticed(t *testing.T) {
	history := []oracle.Op{put(1, 1, 2, "x", "a")}
	for p := range int64(200) {
		history = append(history, lost(put(10+p, 3, 0, "x", fmt.Sprint("lost ", p))), get(1, 10*p+10, 10*p+11, "x", "a"))
	}
	history = append(history, get(1, 5000, 5001, "x", "never written"))
	if report := oracle.Linearizable(history, oracle.Options{Timeout: time.Minute}); report.Verdict != oracle.Illegal {
		t.Errorf("%s, %v", report.Verdict, report.Violation)
	}
}

func TestVisualize(t *testing.T) {
	var b bytes.Buffer
	history := []oracle.Op{put(7, 1, 2, "x", "a"), get(8, 3, 4, "x", "b"), get(6, -2, -1, "x", ""), cas(9, 5, 6, "x", "", "c", false), put(7, 3, 4, "x-other", "z")}
	if err := oracle.Visualize(&b, history, "x"); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"<html", `get \"x\" -\u003e \"b\" by process 8`, "1 bytes, "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "x-other") {
		t.Error("the page shows another key")
	}
	if err := oracle.Visualize(failingWriter{}, history, "x"); err == nil {
		t.Error("an error of the writer is swallowed")
	}
}
