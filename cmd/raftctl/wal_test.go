package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output")

// golden is a log of format version 1 with every kind of record.
func golden() string { return filepath.Join("..", "..", "wal", "testdata", "v1") }

func TestDump(t *testing.T) {
	for name, args := range map[string][]string{
		"dump.txt":   {"dump", "--entries", golden()},
		"group.txt":  {"dump", "--group", "2", golden()},
		"verify.txt": {"verify", golden()},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"raftctl", "wal"}, args...), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%v: status %d, %s", args, code, errs.String())
		}
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%v printed\n%s", args, out.String())
		}
	}
}

// Damage is named and gives status 1.
func TestVerifyDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden())); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "seg", "*"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("4@4|xxx"))
	b[at+30] ^= 1
	if err := os.WriteFile(names[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"raftctl", "wal", "verify", dir}, &out, &errs); code != exitFailed {
		t.Errorf("status %d", code)
	}
	if want := "(group 1, entries [4, 5))"; !strings.Contains(out.String(), want) {
		t.Errorf("printed %s, want %s", out.String(), want)
	}
}

// Wrong use is one line and status 2.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"dump"}, {"verify", "a", "b"}, {"dump", "--what", "x"}, {"explain"}, {"verify", filepath.Join(t.TempDir(), "none")},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"raftctl", "wal"}, args...), &out, &errs); code != exitUsage ||
			strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: status %d, %q", args, code, errs.String())
		}
	}
}
