package gen_test

import (
	"bytes"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
)

// wire is one of the two Thrift protocols: our direct functions and the official library's.
type wire struct {
	name     string
	append   func(codec.Message, []byte) []byte
	parse    func(codec.Message, []byte) (int, error)
	protocol func(thrift.TTransport) thrift.TProtocol
}

func wires() []wire {
	return []wire{
		{
			"compact", codec.Message.AppendCompact,
			func(m codec.Message, b []byte) (int, error) { return m.ParseCompact(b, roomy()) },
			func(t thrift.TTransport) thrift.TProtocol { return thrift.NewTCompactProtocolConf(t, nil) },
		},
		{
			"binary", codec.Message.AppendBinary,
			func(m codec.Message, b []byte) (int, error) { return m.ParseBinary(b, roomy()) },
			func(t thrift.TTransport) thrift.TProtocol { return thrift.NewTBinaryProtocolConf(t, nil) },
		},
	}
}

// roomy allows memory out of proportion to the input: random values have long lists of empty elements.
func roomy() *codec.Limits { return &codec.Limits{MaxAlloc: 1 << 24} }

// seed returns the seed of this run: a new one each time, or RAFTWIRE_SEED to repeat one.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("RAFTWIRE_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RAFTWIRE_SEED: %v", err)
		}
	}
	t.Logf("repeat with RAFTWIRE_SEED=%d", s)
	return s
}

// TestOfficialCode shows that the bytes of every generated type are those of the code which the official compiler
// generated from the same IDL (testdata/official), in both protocols and both directions.
func TestOfficialCode(t *testing.T) {
	s := seed(t)
	for _, tw := range slices.Concat(raftpbTypes(), raftpbCalls(), everythingTypes(), basisTypes()) {
		n := 1_000
		switch {
		case testing.Short():
			n = 200
		case strings.HasPrefix(tw.name, "raftpb."):
			n = 10_000
		}
		t.Run(tw.name, func(t *testing.T) {
			t.Parallel()
			h := fnv.New64()
			h.Write([]byte(tw.name))
			r := rand.New(rand.NewPCG(s, h.Sum64()))
			for i := range n {
				if !compareTwin(t, tw, r, i) {
					t.Fatalf("value %d of seed %d", i, s)
				}
			}
		})
	}
}

func compareTwin(t *testing.T, tw twin, r *rand.Rand, i int) bool {
	t.Helper()
	m := tw.ours()
	codectest.Fill(r, m)
	complete(r, m)
	for _, w := range wires() {
		b := w.append(m, nil)
		off := tw.official()
		in := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(bytes.Clone(b))}
		if err := off.Read(t.Context(), w.protocol(in)); err != nil {
			t.Errorf("%s: the official code refuses %x: %v", w.name, b, err)
			return false
		}
		if in.Len() != 0 {
			t.Errorf("%s: the official code leaves %d bytes", w.name, in.Len())
			return false
		}
		theirs := write(t, off, w.protocol)
		back := tw.ours()
		if n, err := w.parse(back, theirs); err != nil || n != len(theirs) {
			t.Errorf("%s: parse of official bytes: %d of %d, %v", w.name, n, len(theirs), err)
			return false
		}
		if again := w.append(back, nil); !bytes.Equal(again, b) || len(theirs) != len(b) {
			t.Errorf("%s: round trip through official code:\n%x\n%x", w.name, b, again)
			return false
		}
		// The official code writes maps in Go's random order.
		if !bytes.Equal(theirs, b) && !hasMap(reflect.TypeOf(m).Elem(), 0) {
			t.Errorf("%s: ours, official:\n%x\n%x", w.name, b, theirs)
			return false
		}
		if i%16 == 0 && !comparePaths(t, w, m, off, b) {
			return false
		}
	}
	return true
}

// comparePaths compares Read and Write over an official protocol with the direct functions, and the two values
// field by field, through the JSON that has names.
func comparePaths(t *testing.T, w wire, m codec.Message, off thrift.TStruct, b []byte) bool {
	t.Helper()
	if got := write(t, m, w.protocol); !bytes.Equal(got, b) {
		t.Errorf("%s: Write differs from Append:\n%x\n%x", w.name, got, b)
		return false
	}
	back := reflect.New(reflect.TypeOf(m).Elem()).Interface().(codec.Message)
	in := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(bytes.Clone(b))}
	if err := back.Read(t.Context(), w.protocol(in)); err != nil {
		t.Errorf("%s: Read: %v", w.name, err)
		return false
	}
	if got := w.append(back, nil); !bytes.Equal(got, b) {
		t.Errorf("%s: Read differs from Parse:\n%x\n%x", w.name, got, b)
		return false
	}
	named := func(tr thrift.TTransport) thrift.TProtocol { return thrift.NewTSimpleJSONProtocolConf(tr, nil) }
	if x, y := write(t, m, named), write(t, off, named); !bytes.Equal(x, y) && !hasMap(reflect.TypeOf(m).Elem(), 0) {
		t.Errorf("values differ:\n%s\n%s", x, y)
		return false
	}
	return true
}

func write(t *testing.T, m thrift.TStruct, protocol func(thrift.TTransport) thrift.TProtocol) []byte {
	t.Helper()
	out := thrift.NewTMemoryBuffer()
	p := protocol(out)
	if err := m.Write(context.Background(), p); err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := p.Flush(context.Background()); err != nil {
		t.Fatalf("flush: %v", err)
	}
	return out.Bytes()
}

// complete sets what the official code cannot leave out, the arguments of a call, and cuts what ours refuses.
func complete(r *rand.Rand, m codec.Message) {
	if l, ok := m.(*everything.Limited); ok {
		*l = everything.Limited{Numbers: l.Numbers[:min(len(l.Numbers), 4)], Text: "short"}
	}
	if _, ok := m.(codec.Args); !ok {
		return
	}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && f.IsNil() {
			f.Set(reflect.New(f.Type().Elem()))
			codectest.Fill(r, f.Interface().(codec.Message))
		}
	}
}

// hasMap reports whether a value of type t can hold a map.
func hasMap(t reflect.Type, depth int) bool {
	switch t.Kind() {
	case reflect.Map:
		return true
	case reflect.Slice, reflect.Pointer:
		return hasMap(t.Elem(), depth)
	case reflect.Struct:
		for i := range t.NumField() {
			if depth < 8 && hasMap(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}

// TestTwinsAreComplete checks that no generated type is missing from the tables.
func TestTwinsAreComplete(t *testing.T) {
	for file, twins := range map[string][]twin{
		"raftpb/raft_compact_gen.go":                              slices.Concat(raftpbTypes(), raftpbCalls()),
		"../codec/codectest/everything/everything_compact_gen.go": everythingTypes(),
		"../codec/codectest/basis/basis_compact_gen.go":           basisTypes(),
	} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, tw := range twins {
			known[tw.name[strings.IndexByte(tw.name, '.')+1:]] = true
		}
		found := 0
		for line := range strings.Lines(string(src)) {
			if name, ok := strings.CutPrefix(line, "func (m *"); ok && strings.Contains(line, ") AppendCompact(") {
				found++
				if name, _, _ = strings.Cut(name, ")"); !known[name] {
					t.Errorf("%s: %s is in no table", file, name)
				}
			}
		}
		if found != len(twins) {
			t.Errorf("%s: %d types, %d in the table", file, found, len(twins))
		}
	}
}

// TestOfficialIsCurrent generates testdata/official again, where the compiler that made it is installed.
func TestOfficialIsCurrent(t *testing.T) {
	if version, err := exec.CommandContext(t.Context(), "thrift", "--version").Output(); err != nil || !bytes.Contains(version, []byte("0.17.0")) {
		t.Skip("the Thrift compiler 0.17.0 is not installed (apt install thrift-compiler)")
	}
	const options = "go:skip_remote,package_prefix=github.com/seed-814fcd60/raftwire/gen/testdata/official/"
	dir := t.TempDir()
	for _, idl := range []string{"../idl/raft.thrift", "../codec/codectest/idl/basis.thrift", "../codec/codectest/idl/everything.thrift"} {
		if out, err := exec.CommandContext(t.Context(), "thrift", "-gen", options, "-out", dir, idl).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	made, err := filepath.Glob(filepath.Join(dir, "*", "*.go"))
	if err != nil || len(made) != 9 {
		t.Fatalf("%d files, want 9: %v", len(made), err)
	}
	for _, name := range made {
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(filepath.Join("testdata/official", rel)); err != nil || !bytes.Equal(kept, now) {
			t.Errorf("testdata/official/%s is not what the compiler makes of the IDL; see the README there (%v)", rel, err)
		}
	}
}
