// Package repocheck holds the rules of this repository that a machine can check:
// who may import whom, how long a function may get, what a name may contain,
// whether the documents tell the truth about files and dependencies.
//
// Every check is a function from a Tree to a list of Faults. The tests run all of
// them on this repository, and each on small invented trees that break its rule:
// a check that has never been seen to fail is not trusted. Nothing here needs the
// network, git or any tool but Go.
package repocheck

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Fault is one broken rule at one place.
type Fault struct {
	Path string // slash-separated, from the root of the repository
	Line int    // from 1; 0: the file as a whole
	Text string // what is wrong, and what would be right
}

// String formats the fault so that an editor can jump to it.
func (f Fault) String() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// Tree is a repository, read once. Checks do not change it.
type Tree struct {
	Module string            // module path of the root go.mod
	Files  map[string][]byte // every file that is or could be committed, by path
	Go     []*GoFile         // the parsed Go files, by path, testdata left out
	Set    *token.FileSet
}

// GoFile is one parsed Go file.
type GoFile struct {
	Path      string
	AST       *ast.File
	Generated bool // carries the standard "Code generated ... DO NOT EDIT." line
	Nested    bool // belongs to another module inside this repository
}

// Dir is the folder of the file, "." for the root.
func (g *GoFile) Dir() string { return path.Dir(g.Path) }

// Test reports whether the file is compiled by go test only.
func (g *GoFile) Test() bool { return strings.HasSuffix(g.Path, "_test.go") }

// Load reads the repository in fsys. What .gitignore names is left out. Files
// larger than maxFile are listed with no content.
func Load(fsys fs.FS) (*Tree, error) {
	ignore, err := readIgnore(fsys)
	if err != nil {
		return nil, err
	}
	t := &Tree{Files: map[string][]byte{}, Set: token.NewFileSet()}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == "." || p == ".git" && !d.IsDir(): // the second: a linked work tree
			return nil
		case p == ".git" || ignore.match(p, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		return t.add(fsys, p, d)
	})
	if err != nil {
		return nil, fmt.Errorf("repocheck: read: %w", err)
	}
	if t.Module, err = modulePath(t.Files["go.mod"]); err != nil {
		return nil, err
	}
	return t, t.parse()
}

const maxFile = 4 << 20 // bytes; nothing that a person wrote is larger

func (t *Tree) add(fsys fs.FS, p string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if info.Size() > maxFile {
		t.Files[p] = nil
		return nil
	}
	t.Files[p], err = fs.ReadFile(fsys, p)
	return err
}

// paths returns the paths of all files in order, so that reports are stable.
func (t *Tree) paths() []string {
	out := make([]string, 0, len(t.Files))
	for p := range t.Files {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func (t *Tree) parse() error {
	for _, p := range t.paths() {
		if !strings.HasSuffix(p, ".go") || hasElement(p, "testdata") {
			continue
		}
		f, err := parser.ParseFile(t.Set, p, t.Files[p], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("repocheck: parse: %w", err)
		}
		t.Go = append(t.Go, &GoFile{Path: p, AST: f, Generated: ast.IsGenerated(f), Nested: t.nested(p)})
	}
	return nil
}

// nested reports whether a go.mod below the root is nearer to p than the root's.
func (t *Tree) nested(p string) bool {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if _, ok := t.Files[dir+"/go.mod"]; ok {
			return true
		}
	}
	return false
}

func (t *Tree) line(p token.Pos) int { return t.Set.Position(p).Line }

func hasElement(p, element string) bool {
	return slices.Contains(strings.Split(p, "/"), element)
}

// lines calls fn for every line of b, counting from 1.
func lines(b []byte, fn func(n int, line string)) {
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, maxFile+1)
	for n := 1; s.Scan(); n++ {
		fn(n, s.Text())
	}
}

func modulePath(gomod []byte) (string, error) {
	module := ""
	lines(gomod, func(_ int, line string) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			module = strings.TrimSpace(rest)
		}
	})
	if module == "" {
		return "", fmt.Errorf("repocheck: go.mod: no module line")
	}
	return module, nil
}

// ignored is the part of .gitignore's language that ours uses: "/path" is
// anchored at the root, anything else is a pattern for a name at any depth; a
// slash at the end means folders only.
type ignored []string

func readIgnore(fsys fs.FS) (ignored, error) {
	b, err := fs.ReadFile(fsys, ".gitignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("repocheck: read: %w", err)
	}
	var out ignored
	lines(b, func(n int, line string) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '!' || strings.Contains(line, "**"), line[0] != '/' && strings.Contains(strings.TrimSuffix(line, "/"), "/"):
			err = fmt.Errorf("repocheck: .gitignore:%d: %q: only /path and name patterns are understood", n, line)
		default:
			out = append(out, line)
		}
	})
	return out, err
}

func (ig ignored) match(p string, dir bool) bool {
	for _, pattern := range ig {
		pattern, folder := strings.CutSuffix(pattern, "/")
		if folder && !dir {
			continue
		}
		name := path.Base(p)
		if rooted, ok := strings.CutPrefix(pattern, "/"); ok {
			pattern, name = rooted, p
		}
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
