package main

import (
	"os"
	"path/filepath"
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
