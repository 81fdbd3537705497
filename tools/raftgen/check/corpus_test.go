package check

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// apacheDir returns the root of the apache/thrift module in the module cache.
func apacheDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/apache/thrift").Output()
	if err != nil {
		t.Fatalf("go list -m github.com/apache/thrift: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// apacheIncludes are the directories that the module's own build files give to the compiler.
func apacheIncludes(root string) []string {
	dirs := []string{"test", "lib/rs/test_recursive/src", "lib/rs/test_recursive/src/transit",
		"lib/rs/test_recursive/src/transit/light", "lib/rs/test_recursive/src/transit/services"}
	for i, dir := range dirs {
		dirs[i] = filepath.Join(root, dir)
	}
	return dirs
}

func apacheFiles(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	for _, tree := range []string{"contrib", "lib", "test", "tutorial"} {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".thrift") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// notAccepted are the files of the trees that are refused, and why that is right.
var notAccepted = map[string]string{
	// Invalid on purpose: its values are out of range.
	"test/BrokenConstants.thrift": "expected one that fits in 64 bits",
	// Invalid on purpose: the script beside it (runtest.sh) demands that the compiler fails.
	"test/py/explicit_module/test3.thrift": "the name from, which official compilers reserve",
	// Made of Python's keywords, for compilers that came after 0.17; accepted with AllowReserved.
	"lib/py/test/test_compiler/Thrift5927.thrift":        "the name finally, which official compilers reserve",
	"lib/py/test/test_compiler/thrift5927include.thrift": "the name except, which official compilers reserve",
}

// TestApacheFiles accepts every IDL file that apache/thrift v0.25.0 ships for tests, libraries, tutorial and contrib.
func TestApacheFiles(t *testing.T) {
	root := apacheDir(t)
	accepted := 0
	for _, path := range apacheFiles(t, root) {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		set, err := Load([]string{path}, apacheIncludes(root), os.ReadFile)
		want, refused := notAccepted[filepath.ToSlash(name)]
		switch {
		case !refused && err != nil:
			t.Errorf("refused: %v", err)
		case !refused:
			accepted++
			checkResolved(t, set)
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		case !strings.Contains(name, "Broken"):
			config := Config{IncludeDirs: apacheIncludes(root), ReadFile: os.ReadFile, AllowReserved: true}
			if _, err := config.Load([]string{path}); err != nil {
				t.Errorf("with AllowReserved: %v", err)
			}
		}
	}
	if want := 166 + 5; accepted != want { // 5 in contrib
		t.Errorf("accepted %d files, want %d", accepted, want)
	}
}
