// Package external_test builds and runs the module in this folder as somebody else would: outside the repository, with an
// IDL that the repository does not know.
package external_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/seed-814fcd60/raftwire/transport" // so that the module cache holds what the copy needs when this test runs
)

// TestModuleOutside carries out what README.md says, in a copy of the folder, without the network. When it says that go.mod
// needs an update, a dependency of Raftwire has changed: run go generate ./... and go mod tidy in guestbook.
func TestModuleOutside(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := copyModule(t)
	goTool(t, dir, "mod", "edit", "-replace=github.com/seed-814fcd60/raftwire="+root)
	goTool(t, dir, "generate", "./...")
	goTool(t, dir, "vet", "./...")
	if got, want := goTool(t, dir, "run", "."), promised(t); got != want {
		t.Errorf("the program printed\n%s\nand README.md says\n%s", got, want)
	}
}

// copyModule copies what is committed of the module, and no generated code.
func copyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, pattern := range []string{"guestbook/go.*", "guestbook/*.go", "guestbook/*.thrift"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no file, %v", pattern, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// goTool runs the go command in dir and returns what it printed.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=", "PWD="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

// promised is what README.md says that the program prints.
func promised(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nprints\n\n```\n")
	block, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("README.md: no block after \"prints\"")
	}
	return block
}
