package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// idlcheck runs the command and returns its exit code and all it wrote.
func idlcheck(args ...string) (int, string) {
	var out bytes.Buffer
	code := run(args, &out, &out)
	return code, out.String()
}

// TestRepositoryLock is the check of this repository's own IDL.
func TestRepositoryLock(t *testing.T) {
	if code, out := idlcheck("../../idl/kv.thrift"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := idlcheck("../../idl/raft.thrift"); code != 0 {
		t.Fatal(out)
	}
}

// TestLife follows an IDL file from its first lock to a change that is refused.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	idl, lock := filepath.Join(dir, "a.thrift"), filepath.Join(dir, "a.lock")
	part := filepath.Join(dir, "parts", "part.thrift")
	if err := os.Mkdir(filepath.Dir(part), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(part, "namespace go part\nstruct Part { 1: i32 n }\n")
	steps := []struct {
		name, idl string
		args      []string
		code      int
		want      string
	}{
		{"no lock yet", "struct A { 1: i32 a }", nil, 1, "a.lock does not exist: write it with idlcheck -update "},
		{"first lock", "struct A { 1: i32 a }", []string{"-update"}, 0, "a.lock: 2 lines written, 2 of them new"},
		{"the same", "struct A { 1: i32 a }", nil, 0, "a.lock is up to date"},
		{"nothing to write", "struct A { 1: i32 a }", []string{"-update"}, 0, "a.lock is up to date"},
		{"a new field", "struct A { 1: i32 a, 2: i32 b }", nil, 1, "\nstruct A 2 i32 b default\n"},
		{"locked", "struct A { 1: i32 a, 2: i32 b }", []string{"-update"}, 0, "3 lines written, 1 of them new"},
		{"retyped", "struct A { 1: i32 a, 2: i64 b }", nil, 1, `a.thrift:1:29: found A 2 as "i64 b default"`},
		{"not updated either", "struct A { 1: i32 a, 2: i64 b }", []string{"-update"}, 1, `a.thrift:1:29: found A 2`},
		{"removed", "struct A { 1: i32 a } (reserved = \"2\")", []string{"-update"}, 0, "3 lines written, 1 of them new"},
		{"the lock remembers", "struct A { 1: i32 a }", nil, 1, "does not reserve 2 any more"},
		{"no IDL", "struct A { 1: }", nil, 1, `a.thrift:1:15: found "}", expected a type`},
		{"include not found", "include \"part.thrift\"\nstruct A { 1: i32 a } (reserved = \"2\")", nil, 1, "file does not exist"},
		{"include", "include \"part.thrift\"\nstruct A { 1: i32 a } (reserved = \"2\")",
			[]string{"-I", filepath.Dir(part), "-update"}, 0, "5 lines written, 2 of them new"},
	}
	for _, step := range steps {
		write(idl, step.idl)
		code, out := idlcheck(append(step.args, idl)...)
		if code != step.code || !strings.Contains(out, step.want) {
			t.Errorf("%s: got %d and %q, want %d and %q", step.name, code, out, step.code, step.want)
		}
	}
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(text), "\n")
	if want := "struct A\nstruct A 1 i32 a default\nstruct A reserved 2\nstruct part.Part\nstruct part.Part 1 i32 n default\n"; lines != want {
		t.Errorf("lock: got %q, want %q", lines, want)
	}
}

func TestBadUse(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":      {nil, 2, usage},
		"two files":    {[]string{"a.thrift", "b.thrift"}, 2, usage},
		"unknown flag": {[]string{"-x", "a.thrift"}, 2, usage},
		"help":         {[]string{"-h"}, 0, usage},
		"no file":      {[]string{filepath.Join(t.TempDir(), "none.thrift")}, 1, "no such file"},
	} {
		if code, out := idlcheck(c.args...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: got %d and %q, want %d and %q", name, code, out, c.code, c.want)
		}
	}
}
