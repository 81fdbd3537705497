package oracle_test

import (
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

// lists maps the names of stories to histories and the checks that complain, in
// order.
type lists map[string]struct {
	history []oracle.Op
	want    []string
}

func (l lists) check(t *testing.T) {
	for name, x := range l {
		t.Run(name, func(t *testing.T) { wantChecks(t, oracle.Lists(x.history), x.want) })
	}
}

func TestValuesInLists(t *testing.T) {
	lists{
		"a list grows": {history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), get(2, 3, 4, "l", "a;"), add(2, 5, 6, "l", "b;"), get(1, 7, 8, "l", "a;b;"), get(1, 9, 10, "empty", ""),
		}},
		"times that touch are concurrent": {history: []oracle.Op{
			add(1, 1, 8, "l", "a;"), get(2, 5, 6, "l", ""), get(3, 6, 8, "l", "b;a;"), get(4, 8, 9, "l", "b;"), add(5, 5, 8, "l", "b;"),
			add(6, 1, 5, "m", "c;"), add(7, 5, 9, "m", "d;"), get(8, 9, 10, "m", "d;c;"),
		}},
		"nobody wrote it": {want: []string{"phantom"}, history: []oracle.Op{
			get(1, 1, 2, "l", "a;"),
		}},
		"nobody wrote it, says one of two reads": {want: []string{"phantom"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(1, 3, 4, "l", "b;"), get(1, 5, 6, "l", "a;b;"), get(2, 5, 6, "l", "z;"),
		}},
		"half a value": {want: []string{"phantom", "read-your-writes"}, history: []oracle.Op{
			add(1, 1, 2, "l", "abc;"), get(1, 3, 4, "l", "ab"),
		}},
		"its append failed": {want: []string{"phantom"}, history: []oracle.Op{
			failed(add(1, 1, 2, "l", "a;")), get(1, 3, 4, "l", "a;"),
		}},
		"it is there before it is written": {want: []string{"phantom"}, history: []oracle.Op{
			get(2, 1, 2, "l", "a;"), add(1, 3, 4, "l", "a;"),
		}},
		"it is there twice": {want: []string{"duplicate"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), get(1, 3, 4, "l", "a;a;"),
		}},
		"it is there twice, says one of two reads": {want: []string{"duplicate"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(1, 1, 2, "l", "b;"), get(1, 3, 4, "l", "a;b;"), get(2, 3, 4, "l", "b;b;"),
		}},
	}.check(t)
}

func TestOrderInLists(t *testing.T) {
	lists{
		"reads of two histories": {want: []string{"order"}, history: []oracle.Op{
			add(1, 1, 9, "l", "a;"), add(2, 1, 9, "l", "b;"), get(3, 10, 11, "l", "a;b;"), get(4, 10, 11, "l", "b;a;"),
		}},
		"one client's values against its order": {want: []string{"order"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(1, 3, 4, "l", "b;"), get(3, 10, 11, "l", "b;a;"),
		}},
		"two clients' values against the clock": {want: []string{"order"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(2, 3, 4, "l", "b;"), get(3, 10, 11, "l", "b;a;"),
		}},
		"a session's values against their serials": {want: []string{"order"}, history: []oracle.Op{
			in(5, 1, lost(add(1, 1, 0, "l", "a;"))), in(5, 2, add(1, 3, 4, "l", "b;")), get(3, 10, 11, "l", "b;a;"),
		}},
		"a later read sees less": {want: []string{"backwards", "lost"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(1, 3, 4, "l", "b;"), get(3, 5, 6, "l", "a;b;"), get(4, 7, 8, "l", "a;"),
		}},
		"a later read sees less of what nobody was promised": {want: []string{"backwards"}, history: []oracle.Op{
			lost(add(1, 1, 0, "l", "a;")), get(3, 5, 6, "l", "a;"), get(3, 7, 8, "l", ""),
		}},
		"an acknowledged value is lost": {want: []string{"lost"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), get(3, 5, 6, "l", ""),
		}},
		"a client does not see its own value": {want: []string{"read-your-writes"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), get(1, 5, 6, "l", ""),
		}},
		"a value is lost before a later one": {want: []string{"lost"}, history: []oracle.Op{
			get(3, 1, 20, "l", "b;"), add(1, 2, 3, "l", "a;"), add(2, 4, 5, "l", "b;"),
		}},
		"a value without an answer may be lost": {history: []oracle.Op{
			lost(add(1, 1, 0, "l", "a;")), add(1, 3, 4, "l", "b;"), get(3, 5, 6, "l", "b;"),
		}},
		"a retried value is one value": {history: []oracle.Op{
			in(5, 1, lost(add(1, 1, 0, "l", "a;"))), in(5, 1, add(1, 3, 4, "l", "a;")), in(5, 1, add(1, 5, 6, "l", "a;")), get(3, 7, 8, "l", "a;"),
		}},
		"a retried value is there twice": {want: []string{"duplicate"}, history: []oracle.Op{
			in(5, 1, lost(add(1, 1, 0, "l", "a;"))), in(5, 1, add(1, 3, 4, "l", "a;")), get(3, 7, 8, "l", "a;a;"),
		}},
	}.check(t)
}

func TestKeysThatAreNoLists(t *testing.T) {
	lists{
		"two appends of one value cannot be told apart": {want: []string{"form"}, history: []oracle.Op{
			add(1, 1, 2, "l", "a;"), add(2, 1, 2, "l", "a;"),
		}},
		"a value without its mark": {want: []string{"form"}, history: []oracle.Op{add(1, 1, 2, "l", "a")}},
		"a value with two marks":   {want: []string{"form"}, history: []oracle.Op{add(1, 1, 2, "l", "a;b;")}},
		"a key that is no list": {history: []oracle.Op{
			put(1, 1, 2, "x", "a"), get(1, 3, 4, "x", "b"),
		}},
		"faults come by key": {want: []string{"phantom", "lost"}, history: []oracle.Op{
			add(1, 1, 2, "z", "a;"), get(3, 5, 6, "z", ""), get(1, 7, 8, "b", "q;"),
		}},
	}.check(t)
}

func wantChecks(t *testing.T, found []oracle.Violation, want []string) {
	t.Helper()
	var got []string
	for i := range found {
		got = append(got, found[i].Check)
		if found[i].Sentence == "" || found[i].Error() == "" {
			t.Errorf("%v says nothing", found[i])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v:\n%v", got, want, found)
	}
}

func TestSessions(t *testing.T) {
	a, b := in(5, 1, add(1, 1, 2, "l", "a;")), in(5, 2, add(1, 3, 4, "l", "b;"))
	answered := func(o oracle.Op, result string) oracle.Op { o.Result = result; return o }
	done := func(serial int64, result string) oracle.Effect {
		return oracle.Effect{Session: 5, Serial: serial, Result: result}
	}
	effects := func(e ...oracle.Effect) []oracle.Effect { return append([]oracle.Effect{}, e...) }
	for name, x := range map[string]struct {
		history []oracle.Op
		effects []oracle.Effect
		want    []string
	}{
		"each once": {history: []oracle.Op{a, b}, effects: effects(done(1, ""), done(2, ""))},
		"a repeated command has the same answer": {
			history: []oracle.Op{answered(a, "1"), answered(a, "1"), lost(a)}, effects: effects(done(1, "1")),
		},
		"a repeated command has another answer": {
			history: []oracle.Op{answered(a, "1"), answered(a, "2")}, effects: effects(done(1, "1")), want: []string{"retry"},
		},
		"an answer is not that of the effect": {
			history: []oracle.Op{answered(a, "1")}, effects: effects(done(1, "2")), want: []string{"result"},
		},
		"twice": {history: []oracle.Op{a}, effects: effects(done(1, ""), done(1, "")), want: []string{"duplicate"}},
		"never": {history: []oracle.Op{a, lost(b)}, effects: effects(), want: []string{"lost"}},
		"a read needs no effect": {
			history: []oracle.Op{in(5, 1, get(1, 1, 2, "l", ""))}, effects: effects(),
		},
		"nobody sent it": {history: []oracle.Op{a}, effects: effects(done(1, ""), done(2, "")), want: []string{"phantom"}},
		"it failed":      {history: []oracle.Op{failed(a)}, effects: effects(done(1, "")), want: []string{"phantom"}},
		"it failed once and was sent again": {
			history: []oracle.Op{failed(a), lost(a)}, effects: effects(done(1, "")),
		},
		"in the wrong order": {history: []oracle.Op{a, b}, effects: effects(done(2, ""), done(1, "")), want: []string{"order"}},
		"one number for two commands": {
			history: []oracle.Op{a, in(5, 1, add(1, 3, 4, "l", "b;"))}, want: []string{"form"},
		},
		"operations without a session are others' business": {history: []oracle.Op{add(1, 1, 2, "l", "a;")}, effects: effects()},
		"without effects the answers are compared":          {history: []oracle.Op{a, answered(a, "x")}, want: []string{"retry"}},
	} {
		t.Run(name, func(t *testing.T) { wantChecks(t, oracle.Sessions(x.history, x.effects), x.want) })
	}
}

// TestAttemptsAreAlike: whatever two attempts of one command differ in is reported,
// with the place where it happened.
func TestAttemptsAreAlike(t *testing.T) {
	first := in(5, 1, cas(7, 1, 2, "k", "a", "b", true))
	for check, spoil := range map[string][]func(o *oracle.Op){
		"form": {
			func(o *oracle.Op) { o.Kind = oracle.Put },
			func(o *oracle.Op) { o.Key = "other" },
			func(o *oracle.Op) { o.Value = "other" },
			func(o *oracle.Op) { o.Expect = "other" },
			func(o *oracle.Op) { o.ExpectAbsent = true },
		},
		"retry": {
			func(o *oracle.Op) { o.Result = "other" },
			func(o *oracle.Op) { o.Found = true },
			func(o *oracle.Op) { o.Swapped = false },
		},
	} {
		for i, f := range spoil {
			second := first
			f(&second)
			found := oracle.Sessions([]oracle.Op{first, second}, nil)
			if len(found) != 1 || found[0].Check != check || found[0].Op != 1 || found[0].Key != second.Key || found[0].Process != 7 {
				t.Errorf("%s %d: found %+v", check, i, found)
			}
		}
	}
	found := oracle.Sessions([]oracle.Op{first}, []oracle.Effect{})
	if len(found) != 1 || found[0].Check != "lost" || found[0].Op != 0 || found[0].Key != "k" || found[0].Process != 7 {
		t.Errorf("found %+v, want operation 0 to be lost", found)
	}
}
