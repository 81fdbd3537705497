// Package golden_test writes and checks the wire vectors in this folder: README.md says what they are. Every value is
// encoded by our code and read back by the code of the official compiler, which also tells the JSON: an error of ours
// would have to be made twice to get into a vector.
package golden_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
)

var update = flag.Bool("update", false, "write the vectors anew")

// The files of a case.
const (
	valueFile   = "value.json"
	compactFile = "compact.hex"
	binaryFile  = "binary.hex"
	msgpackFile = "msgpack.hex"
)

// TestGolden compares the vectors with what the code does today, both ways: what is written, and what is read.
func TestGolden(t *testing.T) {
	want := map[string]bool{} // folders
	for _, k := range kinds() {
		for _, c := range cases(k) {
			dir := filepath.Join(k.name, c.name)
			want[dir] = true
			files := encode(t, k, c.value)
			if *update {
				write(t, dir, files)
				continue
			}
			t.Run(filepath.ToSlash(dir), func(t *testing.T) {
				for _, name := range slices.Sorted(maps.Keys(files)) {
					got, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatalf("%v: write it with go test ./gen/golden -update", err)
					}
					if !bytes.Equal(got, files[name]) {
						t.Errorf("%s is\n%s\nand the code makes\n%s", name, got, files[name])
					}
				}
				decode(t, k, dir)
			})
		}
	}
	checkFolders(t, want)
}

// encode returns the files of a case.
func encode(t *testing.T, k kind, m codec.Message) map[string][]byte {
	t.Helper()
	compact, binary := m.AppendCompact(nil), m.AppendBinary(nil)
	value := toJSON(t, official(t, k, compact, compactProtocol))
	if other := toJSON(t, official(t, k, binary, binaryProtocol)); !bytes.Equal(value, other) {
		t.Fatalf("%s: Compact and Binary tell different values:\n%s\n%s", k.name, value, other)
	}
	return map[string][]byte{
		valueFile:   value,
		compactFile: hexFile(compact),
		binaryFile:  hexFile(binary),
		msgpackFile: hexFile(m.AppendMsgpack(nil)),
	}
}

func compactProtocol(t thrift.TTransport) thrift.TProtocol {
	return thrift.NewTCompactProtocolConf(t, nil)
}

func binaryProtocol(t thrift.TTransport) thrift.TProtocol {
	return thrift.NewTBinaryProtocolConf(t, nil)
}

// official decodes b with the official compiler's code, which must read all of it and write it again as it was.
func official(t *testing.T, k kind, b []byte, protocol func(thrift.TTransport) thrift.TProtocol) thrift.TStruct {
	t.Helper()
	m := k.official()
	in, out := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(bytes.Clone(b))}, thrift.NewTMemoryBuffer()
	if err := m.Read(t.Context(), protocol(in)); err != nil || in.Len() != 0 {
		t.Fatalf("%s: the official code reads %x: %v, %d bytes left", k.name, b, err, in.Len())
	}
	if err := m.Write(t.Context(), protocol(out)); err != nil || !bytes.Equal(out.Bytes(), b) {
		t.Fatalf("%s: the official code writes\n%x instead of\n%x, %v", k.name, out.Bytes(), b, err)
	}
	return m
}

// decode reads each form of a vector with our code and compares what comes out with the other forms.
func decode(t *testing.T, k kind, dir string) {
	t.Helper()
	forms := map[string]func(codec.Message, []byte) (int, error){
		compactFile: func(m codec.Message, b []byte) (int, error) { return m.ParseCompact(b, nil) },
		binaryFile:  func(m codec.Message, b []byte) (int, error) { return m.ParseBinary(b, nil) },
		msgpackFile: func(m codec.Message, b []byte) (int, error) { return m.ParseMsgpack(b, nil) },
	}
	for name, parse := range forms {
		b := readHex(t, filepath.Join(dir, name))
		m := k.ours()
		if n, err := parse(m, b); err != nil || n != len(b) {
			t.Errorf("%s: read %d bytes of %d: %v", name, n, len(b), err)
			continue
		}
		for other, again := range map[string][]byte{
			compactFile: m.AppendCompact(nil), binaryFile: m.AppendBinary(nil), msgpackFile: m.AppendMsgpack(nil),
		} {
			if !bytes.Equal(again, readHex(t, filepath.Join(dir, other))) {
				t.Errorf("read from %s, then written as %s:\n%x", name, other, again)
			}
		}
	}
}

const hexLine = 64 // bytes in a line of a file

func hexFile(b []byte) []byte {
	var out []byte
	for line := range slices.Chunk(b, hexLine) {
		out = append(hex.AppendEncode(out, line), '\n')
	}
	return out
}

func readHex(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(string(bytes.ReplaceAll(text, []byte("\n"), nil)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkFolders finds vectors that no case makes: of a type or a case that is gone.
func checkFolders(t *testing.T, want map[string]bool) {
	t.Helper()
	found, err := filepath.Glob("*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range found {
		switch {
		case want[dir]:
		case *update:
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(filepath.Dir(dir)) // goes only when it is empty
		default:
			t.Errorf("%s: no case makes it: run go test ./gen/golden -update", dir)
		}
	}
}
