package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBadUse gives one clear line and exit code 2 for wrong arguments, 1 for a wrong IDL, and writes nothing.
func TestBadUse(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.thrift")
	if err := os.WriteFile(bad, []byte("struct A {\n  1: Nothing x\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := "testdata/golden/names.thrift"
	out := filepath.Join(dir, "out")
	cases := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no arguments", nil, 2, "-out is missing"},
		{"no file", []string{"-out", out}, 2, "no FILE given"},
		{"unknown flag", []string{"-outt", out, good}, 2, "-outt"},
		{"flag without value", []string{"-out"}, 2, "-out"},
		{"help", []string{"-h"}, 0, usage},
		{"missing file", []string{"-out", out, "nowhere.thrift"}, 1, "nowhere.thrift"},
		{"unknown type", []string{"-out", "testdata", bad}, 1, "bad.thrift:2:6: found"},
		{"outside a module", []string{"-out", out, good}, 1, "is not inside a Go module"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var stderr strings.Builder
			if code := run(c.args, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			got := stderr.String()
			if !strings.Contains(got, c.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("prints %q, want one line with %q", got, c.want)
			}
		})
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a failed run wrote something")
	}
}

// TestRegenerates runs on an IDL that has lost its service: what was generated from the service goes, what others wrote stays.
func TestRegenerates(t *testing.T) {
	dir := t.TempDir()
	idl, gen := filepath.Join(dir, "a.thrift"), filepath.Join(dir, "a")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	generated := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(gen)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	put(filepath.Join(dir, "go.mod"), "module example.com/a\n")
	var stderr strings.Builder
	for _, x := range []struct {
		idl  string
		want []string
	}{
		{"struct A { 1: i32 x }\nservice S { void f() }\n", []string{"a_binary_gen.go", "a_compact_gen.go", "a_gen.go", "a_msgpack_gen.go", "a_service_gen.go", "a_thrift_gen.go"}},
		{"struct A { 1: i32 x }\n", []string{"a_binary_gen.go", "a_compact_gen.go", "a_gen.go", "a_msgpack_gen.go", "a_thrift_gen.go"}},
		{"const i32 x = 1\n", []string{"a_gen.go"}},
	} {
		put(idl, x.idl)
		if code := run([]string{"-out", dir, idl}, &stderr); code != 0 {
			t.Fatal(stderr.String())
		}
		if got := generated(); !slices.Equal(got, x.want) {
			t.Errorf("%s%v, want %v", x.idl, got, x.want)
		}
	}
	put(filepath.Join(gen, "a_service_gen.go"), "package a // by hand\n")
	if code := run([]string{"-out", dir, idl}, &stderr); code != 0 || len(generated()) != 2 || stderr.Len() != 0 {
		t.Errorf("a file that somebody wrote is gone: %v, %s", generated(), stderr.String())
	}
}

// TestWarns prints what is accepted and probably wrong, with its place, and generates.
func TestWarns(t *testing.T) {
	dir := t.TempDir()
	idl := filepath.Join(dir, "a.thrift")
	for name, text := range map[string]string{"go.mod": "module example.com/a\n", "a.thrift": "struct A {\n  0: i32 x\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr strings.Builder
	if code := run([]string{"-out", dir, idl}, &stderr); code != 0 || !strings.Contains(stderr.String(), "a.thrift:2:3: warning: ") {
		t.Errorf("exit code %d, prints %q", code, stderr.String())
	}
}

// TestModulePath reads module lines as they occur.
func TestModulePath(t *testing.T) {
	for text, want := range map[string]string{
		"module example.com/a\n\ngo 1.26\n":               "example.com/a",
		"// about\nmodule \"example.com/b\" // comment\n": "example.com/b",
		"go 1.26\n": "",
	} {
		if got := modulePath(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
