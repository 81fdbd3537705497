package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/emit"
)

// TestHard generates from IDL that is made to break Go (names that collide with variables, packages, methods of a base
// service and other files; defaults of every shape; a comment that is a build constraint), vets what comes out, and runs
// testdata/hard/roundtrip.txt with it.
func TestHard(t *testing.T) {
	paths, err := filepath.Glob("testdata/hard/*.thrift")
	if err != nil || len(paths) < 7 {
		t.Fatalf("want 7 files, got %v, %v", paths, err)
	}
	set, err := check.Load(paths, nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	files, err := emit.Emit(set, "example.com/m")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip, err := os.ReadFile("testdata/hard/roundtrip.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := module(t)
	write(t, dir, append(files, emit.File{Path: "try/try_test.go", Data: roundTrip}))
	command(t, dir, "go", "vet", "./...")
	command(t, dir, "go", "test", "./try")
}
