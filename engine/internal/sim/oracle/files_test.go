package oracle_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// everyField is a history in which each field of an operation has a value.
func everyField() []oracle.Op {
	return []oracle.Op{
		in(3, 9, put(1, 10, 20, "x", "ä\n<\"")),
		get(2, 30, 40, "x", "ä"),
		cas(-1, -5, 0, "", "old", "new", true),
		cas(1, 1, 2, "y", "", "new", false),
		lost(add(4, 50, 0, "l", "a;")),
		failed(add(4, 60, 61, "l", "b;")),
	}
}

func TestHistoriesInFiles(t *testing.T) {
	var b bytes.Buffer
	if err := oracle.WriteHistory(&b, everyField()); err != nil {
		t.Fatal(err)
	}
	const first = `{"process":1,"op":"put","key":"x","value":"ä\n<\"","start":10,"end":20,"status":"ok","session":3,"serial":9}` + "\n"
	if !strings.HasPrefix(b.String(), first) {
		t.Errorf("the file begins with\n%s, want\n%s", b.String(), first)
	}
	file := b.String() + "\n" + b.String() // two histories, joined, with an empty line
	long := put(1, 1, 2, "x", strings.Repeat("y", oracle.MaxLineBytes-100))
	if err := oracle.WriteHistory(&b, []oracle.Op{long}); err != nil {
		t.Fatal(err)
	}
	if back, err := oracle.ReadHistory(&b); err != nil || back[len(back)-1] != long {
		t.Errorf("a long line: %v", err)
	}
	back, err := oracle.ReadHistory(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Concat(everyField(), everyField()); !slices.Equal(back, want) {
		t.Errorf("came back as\n%v, want\n%v", back, want)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	good := `{"process":1,"op":"get","key":"x","start":1,"end":2,"status":"ok"}` + "\n"
	for name, x := range map[string]struct {
		line  string
		words string
	}{
		"no JSON":          {`{"process":`, "unexpected EOF"},
		"an unknown field": {`{"process":1,"op":"get","key":"x","start":1,"end":2,"status":"ok","node":3}`, `unknown field "node"`},
		"two objects":      {`{"process":1,"op":"get","key":"x","start":1,"end":2,"status":"ok"} {}`, "more than one object"},
		"bad form":         {`{"process":1,"op":"get","key":"x","start":1,"end":0,"status":"ok"}`, "before it starts"},
		"a number too big": {`{"process":1e99,"op":"get","key":"x","start":1,"status":"ok"}`, "1e99"},
		"a line too long":  {`{"key":"` + strings.Repeat("x", oracle.MaxLineBytes) + `"}`, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oracle.ReadHistory(strings.NewReader(good + x.line + "\n" + good))
			var at *oracle.LineError
			if !errors.As(err, &at) || at.Line != 2 || !strings.Contains(err.Error(), x.words) {
				t.Errorf("got %v, want line 2 and %q", err, x.words)
			}
			if tooLarge := x.words == "too large"; errors.Is(err, oracle.ErrTooLarge) != tooLarge {
				t.Errorf("%v: is it ErrTooLarge?", err)
			}
		})
	}
	broken := errors.New("the disk is gone")
	if _, err := oracle.ReadHistory(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader's error came out as %v", err)
	}
	if err := oracle.WriteHistory(failingWriter{}, everyField()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer's error came out as %v", err)
	}
	if err := oracle.WriteHistory(failingWriter{}, slices.Repeat(everyField(), 100)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer's error came out as %v", err)
	}
	if err := oracle.WriteHistory(io.Discard, []oracle.Op{put(1, 1, 2, "x", "\xff")}); err == nil {
		t.Error("a text that is not UTF-8 was written")
	}
}

// FuzzReadHistory: any file is read or refused, and what was read can be written and
// read again.
func FuzzReadHistory(f *testing.F) {
	var b bytes.Buffer
	if err := oracle.WriteHistory(&b, everyField()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		history, err := oracle.ReadHistory(bytes.NewReader(file))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := oracle.WriteHistory(&b, history); err != nil {
			t.Fatal(err)
		}
		again, err := oracle.ReadHistory(&b)
		if err != nil || !slices.Equal(again, history) {
			t.Fatalf("%v and %v: %v", history, again, err)
		}
		if len(history) < 8 {
			oracle.Lists(history)
			oracle.Sessions(history, nil)
		}
	})
}

func TestHunt(t *testing.T) {
	h := &oracle.Hunt{Lease: time.Second}
	h.Acked(5)
	calm := h.Begin(oracle.LeaderRead)
	if err := h.End(calm, 5); err != nil {
		t.Error(err)
	}
	h.LeaderChanged() // during no read

	a, b := h.Begin(oracle.FollowerRead), h.Begin(oracle.FollowerRead)
	h.LeaderChanged()
	h.Paused(time.Second) // too short
	h.Paused(2 * time.Second)
	h.Acked(9) // after a and b began: they need not see it
	h.Acked(7)
	for _, r := range []oracle.Read{a, b} {
		if err := h.End(r, 5); err != nil {
			t.Error(err)
		}
	}
	h.LeaderChanged()

	stale := h.Begin(oracle.LeaseRead)
	h.LeaderChanged()
	var v *oracle.Violation
	if err := h.End(stale, 8); !errors.As(err, &v) || v.Check != "stale" || !strings.Contains(v.Sentence, "lease read was served at index 8; a client knew of 9") {
		t.Errorf("got %v, want a stale read", err)
	}
	if all := oracle.LeaderRead.String() + ", " + oracle.FollowerRead.String(); all != "leader read, follower read" {
		t.Errorf("the modes are called %s", all)
	}
	for m, want := range map[oracle.Mode]oracle.Count{
		oracle.LeaderRead:   {Reads: 1},
		oracle.FollowerRead: {Reads: 2, Changes: 1, Pauses: 1},
		oracle.LeaseRead:    {Reads: 1, Stale: 1, Changes: 1},
	} {
		if got := h.Count(m); got != want {
			t.Errorf("%v: %+v, want %+v", m, got, want)
		}
	}
	if err := h.Enough(1, 0, 0); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"reads": h.Enough(3, 0, 0), "changes": h.Enough(0, 2, 0), "pauses": h.Enough(0, 0, 2)} {
		if err == nil || strings.Count(err.Error(), "oracle: hunt: ") != 3 {
			t.Errorf("three modes lack %s: %v", what, err)
		}
	}
	if err := h.Enough(1, 1, 1); err == nil || !strings.Contains(err.Error(), "leader read: 1 of 1 reads, during 0 of 1 changes") || strings.Contains(err.Error(), "follower") {
		t.Errorf("got %v, want what leader and lease reads lack", err)
	}
	if got := oracle.Mode(9).String(); got != "mode 9" {
		t.Errorf("an unknown mode is called %q", got)
	}
}

func TestOperationsCanBeRead(t *testing.T) {
	long := strings.Repeat("x", 100) + "end"
	for want, o := range map[string]oracle.Op{
		`put "k" "v" by process 1, 1 to 2, ok`:                                     put(1, 1, 2, "k", "v"),
		`get "k" -> "v" by process 1, 1 to 2, ok`:                                  get(1, 1, 2, "k", "v"),
		`get "k" -> nothing by process 1, 1 to 2, ok`:                              get(1, 1, 2, "k", ""),
		`get "k" by process 1, 1 to 2, fail`:                                       failed(get(1, 1, 2, "k", "")),
		`cas "k" "a" to "b" -> true by process 1, 1 to 2, ok`:                      cas(1, 1, 2, "k", "a", "b", true),
		`cas "k" nothing to "b" by process 1, from 1, no answer`:                   lost(cas(1, 1, 2, "k", "", "b", false)),
		`append "k" "v" (session 3, serial 4) by process 1, 1 to 2, ok`:            in(3, 4, add(1, 1, 2, "k", "v")),
		`put "k" "...` + strings.Repeat("x", 37) + `end" by process 1, 1 to 2, ok`: put(1, 1, 2, "k", long),
		`put "k" "` + long[63:] + `" by process 1, 1 to 2, ok`:                     put(1, 1, 2, "k", long[63:]), // just short enough
		`"del" of "k" by process 1, 1 to 2, ok`:                                    {Process: 1, Kind: "del", Key: "k", Start: 1, End: 2, Status: oracle.OK},
	} {
		if got := o.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
