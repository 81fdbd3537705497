package main

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The set behaves like a map of numbers, and stays in its one normal form.
func TestSpansAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		twin := map[uint64]bool{}
		for _, n := range rapid.SliceOf(rapid.Uint64Range(0, 40)).Draw(t, "numbers") {
			if s.add(n) == twin[n] {
				t.Fatalf("add(%d) to %v: new = %t", n, s, twin[n])
			}
			twin[n] = true
			if s.count() != uint64(len(twin)) {
				t.Fatalf("count of %v: %d, want %d", s, s.count(), len(twin))
			}
			for i, r := range s {
				if r.Lo >= r.Hi || i > 0 && s[i-1].Hi >= r.Lo {
					t.Fatalf("not in normal form: %v", s)
				}
			}
		}
		for n := range twin {
			if _, missing := s.missing(spans{{n, n + 1}}); missing != 0 {
				t.Fatalf("%v lacks %d", s, n)
			}
		}
		parsed, err := parseSpans(string(s.appendText(nil)))
		if err != nil || !slices.Equal(parsed, s) {
			t.Fatalf("%v came back as %v, %v", s, parsed, err)
		}
	})
}

func TestSpansMissing(t *testing.T) {
	tests := map[string]struct {
		have, want   string
		first, count uint64
	}{
		"equal":            {"1..5 7..9", "1..5 7..9", 0, 0},
		"more than wanted": {"1..100", "1..5 7..9", 0, 0},
		"nothing there":    {"", "3..5", 3, 2},
		"nothing wanted":   {"1..5", "", 0, 0},
		"a gap":            {"1..3 4..9", "1..9", 3, 1},
		"two gaps":         {"2..3 5..6", "1..9", 1, 6},
		"tail":             {"1..5", "1..9", 5, 4},
		"between spans":    {"1..3 10..12", "4..6", 4, 2},
		"one over several": {"1..3 4..6 7..9", "2..5 8..10", 3, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			have, err1 := parseSpans(test.have)
			want, err2 := parseSpans(test.want)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			first, count := have.missing(want)
			if first != test.first || count != test.count {
				t.Errorf("missing: %d numbers from %d on, want %d from %d on", count, first, test.count, test.first)
			}
		})
	}
}

func TestParseSpansRefusesNonsense(t *testing.T) {
	for _, text := range []string{"1", "1..", "..2", "2..2", "3..1", "1..3 3..5", "5..6 1..2", "a..b", "-1..2"} {
		if s, err := parseSpans(text); err == nil {
			t.Errorf("%q was read as %v", text, s)
		}
	}
}
