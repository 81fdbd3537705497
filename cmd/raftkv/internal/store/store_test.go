package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store on fs, and closes it when the test ends.
func open(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("store", fs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// apply applies commands behind what is applied and returns what became of them.
func apply(t testing.TB, s *Store, commands ...kvpb.Command) []kvpb.Answer {
	t.Helper()
	b := engine.Batch{Last: s.applied}
	for _, c := range commands {
		b.Last++
		b.Commands = append(b.Commands, engine.Command{Index: b.Last, Term: 1, Data: c.AppendCompact(nil)})
	}
	results := make([]engine.Result, len(commands))
	if err := s.Apply(b, results); err != nil {
		t.Fatal(err)
	}
	answers := make([]kvpb.Answer, len(results))
	for i := range results {
		if _, err := answers[i].ParseCompact(results[i].Data, nil); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

func put(key, value string) kvpb.Command {
	return kvpb.Command{Operation: kvpb.OperationPut, Key: []byte(key), Value: []byte(value)}
}

// image is a snapshot's bytes.
func image(t testing.TB, s *Store) []byte {
	t.Helper()
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := snapshot.WriteTo(&b)
	if err = errors.Join(err, snapshot.Close()); err != nil || n != int64(b.Len()) {
		t.Fatalf("a snapshot of %d bytes says that it has %d: %v", b.Len(), n, err)
	}
	return b.Bytes()
}

// all is what a store holds.
func all(t testing.TB, s *Store) map[string]string {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	out := map[string]string{}
	for first := []byte(nil); ; {
		found, err := v.Scan(&kvpb.Range{First: first, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found.Pairs {
			out[string(p.Key)] = string(p.Value)
		}
		if !found.More {
			return out
		}
		first = append(found.Pairs[len(found.Pairs)-1].Key, 0)
	}
}

// Commands of all kinds do to the store what they do to a map, and say so; whatever the batches, through restarts,
// and through snapshots that another store takes over.
func TestTheStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := vfs.NewMem()
		s, err := Open("store", fs)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		model := map[string]string{}
		key := rapid.SampledFrom([]string{"a", "b", "ba", "c", "\x00", "\xff\xff"})
		value := rapid.SampledFrom([]string{"", "x", "yy", "\x00z"})
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open("store", fs); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if err := s.Restore(bytes.NewReader(image(t, s))); err != nil {
					rt.Fatal(err)
				}
			default:
				var commands []kvpb.Command
				var want []string
				for range rapid.IntRange(1, 6).Draw(rt, "commands") {
					c := kvpb.Command{
						Operation: rapid.SampledFrom([]kvpb.Operation{
							kvpb.OperationPut, kvpb.OperationDelete, kvpb.OperationCas, kvpb.OperationAppend, 77,
						}).Draw(rt, "operation"),
						Key: []byte(key.Draw(rt, "key")), Value: []byte(value.Draw(rt, "value")),
					}
					if c.Operation == kvpb.OperationCas && rapid.Bool().Draw(rt, "expects") {
						c.Expected = []byte(value.Draw(rt, "expected"))
					}
					commands, want = append(commands, c), append(want, modelled(model, &c))
				}
				for i, a := range apply(t, s, commands...) {
					if got := said(&a); got != want[i] {
						rt.Fatalf("command %+v: %s, want %s", commands[i], got, want[i])
					}
				}
			}
			if got := all(t, s); !maps.Equal(got, model) {
				rt.Fatalf("the store holds %q, want %q", got, model)
			}
		}
	})
}

func said(a *kvpb.Answer) string {
	return fmt.Sprintf("%v %v %q %v %d", a.Outcome, a.Existed, a.Current, a.Current != nil, a.Length)
}

// modelled does to a map what c does, and returns what the store should say.
func modelled(m map[string]string, c *kvpb.Command) string {
	old, existed := m[string(c.Key)]
	a := kvpb.Answer{Outcome: kvpb.OutcomeDone, Existed: existed}
	switch c.Operation {
	case kvpb.OperationPut:
		m[string(c.Key)] = string(c.Value)
	case kvpb.OperationDelete:
		delete(m, string(c.Key))
	case kvpb.OperationAppend:
		m[string(c.Key)] = old + string(c.Value)
	case kvpb.OperationCas:
		if (c.Expected != nil) == existed && string(c.Expected) == old {
			m[string(c.Key)] = string(c.Value)
			break
		}
		if a.Outcome = kvpb.OutcomeMismatch; existed {
			a.Current = []byte(old)
		}
	default:
		a.Outcome = kvpb.OutcomeUnknown
	}
	a.Length = int64(len(m[string(c.Key)]))
	return said(&a)
}

func TestLimitsAreAnswers(t *testing.T) {
	s := open(t, vfs.NewMem())
	long, huge := make([]byte, kvpb.MaxKeyBytes+1), make([]byte, kvpb.MaxValueBytes+1)
	answers := apply(
		t, s,
		kvpb.Command{Operation: kvpb.OperationPut, Key: long},
		kvpb.Command{Operation: kvpb.OperationPut},
		kvpb.Command{Operation: kvpb.OperationPut, Key: []byte("k"), Value: huge},
		kvpb.Command{Operation: kvpb.OperationPut, Key: long[1:], Value: huge[1:]},
		kvpb.Command{Operation: kvpb.OperationAppend, Key: long[1:], Value: []byte("x")},
	)
	for i, want := range []kvpb.Outcome{
		kvpb.OutcomeTooLarge, kvpb.OutcomeTooLarge, kvpb.OutcomeTooLarge, kvpb.OutcomeDone, kvpb.OutcomeTooLarge,
	} {
		if answers[i].Outcome != want {
			t.Errorf("command %d: %v, want %v", i, answers[i].Outcome, want)
		}
	}
	results := make([]engine.Result, 1)
	b := engine.Batch{Last: s.applied + 1, Commands: []engine.Command{{Index: s.applied + 1, Data: []byte("garbage")}}}
	if err := s.Apply(b, results); err != nil {
		t.Errorf("bytes that are no command are an answer, not damage: %v", err)
	}
}

// A power loss takes back what was not synced, and nothing of a batch without the rest of it: how far the log is applied always fits
// the pairs. What was synced stays.
func TestAPowerLossLeavesAPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := vfs.NewCrashableMem()
		s, err := Open("store", fs)
		if err != nil {
			rt.Fatal(err)
		}
		synced := engine.Index(0)
		for range rapid.IntRange(1, 20).Draw(rt, "batches") {
			next := s.applied + 1
			apply(t, s, put("last", fmt.Sprint(next)), put(fmt.Sprint(next), ""))
			if rapid.IntRange(0, 4).Draw(rt, "sync") == 0 {
				if err := s.Sync(); err != nil {
					rt.Fatal(err)
				}
				synced = s.applied
			}
		}
		after := fs.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
		s, err = Open("store", after)
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		if s.applied < synced {
			rt.Fatalf("%d is applied after the power loss, and %d was synced", s.applied, synced)
		}
		held := all(t, s)
		if want := int(s.applied) / 2; s.applied > 0 && (held["last"] != fmt.Sprint(s.applied-1) || len(held) != want+1) {
			rt.Fatalf("applied %d holds %q", s.applied, held)
		}
	})
}

// A restore that is cut anywhere, by bad bytes or by a power loss, leaves the state that was there or the new one.
func TestARestoreIsAllOrNothing(t *testing.T) {
	source := open(t, vfs.NewMem())
	apply(t, source, put("a", "new"), put("b", "new"))
	whole := image(t, source)
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	apply(t, s, put("a", "old"))
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	old := map[string]string{"a": "old"}
	for cut := range whole {
		if err := s.Restore(bytes.NewReader(whole[:cut])); err == nil {
			t.Fatalf("%d of %d bytes were taken for a snapshot", cut, len(whole))
		}
		if got := all(t, s); !maps.Equal(got, old) {
			t.Fatalf("a restore of %d bytes left %q", cut, got)
		}
	}
	// The power fails at every byte that the restore reads, and behind it.
	var images []*vfs.MemFS
	if err := s.Restore(&watched{whole, func() { images = append(images, fs.CrashClone(vfs.CrashCloneCfg{})) }}); err != nil {
		t.Fatal(err)
	}
	images = append(images, fs.CrashClone(vfs.CrashCloneCfg{}))
	for i, after := range images {
		again := open(t, after)
		want := old
		if i == len(images)-1 {
			want = map[string]string{"a": "new", "b": "new"}
		}
		if got := all(t, again); !maps.Equal(got, want) {
			t.Errorf("power loss %d of %d: %q, want %q", i, len(images), got, want)
		}
		if names, _ := after.List("store"); slices.ContainsFunc(names, func(n string) bool { return n != databaseName(again.db.number) && n[0] == 'k' }) {
			t.Errorf("power loss %d: left over: %q", i, names)
		}
	}
}

// watched calls before ahead of every byte.
type watched struct {
	rest   []byte
	before func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.before()
	if len(w.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// Stores that came to the same state by different ways write the same bytes.
func TestEqualStatesHaveEqualSnapshots(t *testing.T) {
	one, two := open(t, vfs.NewMem()), open(t, vfs.NewMem())
	apply(t, one, put("a", "1"), put("b", "2"), put("a", "3"))
	for _, c := range []kvpb.Command{put("a", "x"), put("b", "2"), put("a", "3")} {
		apply(t, two, c)
	}
	if err := two.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(image(t, one), image(t, two)) {
		t.Error("equal states, different snapshots")
	}
}

// A view taken before a restore goes on showing what it showed, and the old database is gone when the view is.
func TestAViewOutlivesARestore(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	apply(t, s, put("a", "1"))
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(bytes.NewReader(image(t, open(t, vfs.NewMem())))); err != nil {
		t.Fatal(err)
	}
	if value, ok, err := v.Get([]byte("a")); err != nil || !ok || string(value) != "1" {
		t.Errorf("the view shows %q %v %v", value, ok, err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := fs.List("store"); slices.Contains(names, databaseName(0)) {
		t.Errorf("the old database is still there: %q", names)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, vfs.NewMem())
	apply(t, s, put("a/1", "1"), put("a/2", "2"), put("b", "3"))
	ask := func(q kvpb.Query) []string {
		t.Helper()
		b, err := s.Query(q.AppendCompact(nil))
		if err != nil {
			t.Fatal(err)
		}
		var found kvpb.Found
		if _, err := found.ParseCompact(b, nil); err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, p := range found.Pairs {
			out = append(out, string(p.Key)+"="+string(p.Value))
		}
		return append(out, fmt.Sprint(found.More))
	}
	for _, c := range []struct {
		query kvpb.Query
		want  []string
	}{
		{kvpb.Query{Key: []byte("b")}, []string{"b=3", "false"}},
		{kvpb.Query{Key: []byte("c")}, []string{"false"}},
		{kvpb.Query{Range: &kvpb.Range{}}, []string{"a/1=1", "a/2=2", "b=3", "false"}},
		{kvpb.Query{Range: &kvpb.Range{Prefix: []byte("a/")}}, []string{"a/1=1", "a/2=2", "false"}},
		{kvpb.Query{Range: &kvpb.Range{Prefix: []byte("a/"), First: []byte("a/2")}}, []string{"a/2=2", "false"}},
		{kvpb.Query{Range: &kvpb.Range{Prefix: []byte("a/"), First: []byte("b")}}, []string{"false"}},
		{kvpb.Query{Range: &kvpb.Range{Last: []byte("a/2"), KeysOnly: true}}, []string{"a/1=", "a/2=", "false"}},
		{kvpb.Query{Range: &kvpb.Range{Limit: 2}}, []string{"a/1=1", "a/2=2", "true"}},
	} {
		if got := ask(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.query, got, c.want)
		}
	}
	for _, bad := range [][]byte{nil, []byte("garbage"), (&kvpb.Query{}).AppendCompact(nil)} {
		if _, err := s.Query(bad); err == nil {
			t.Errorf("query %q was answered", bad)
		}
	}
}
