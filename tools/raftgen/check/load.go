// Package check reads Thrift programs with everything they include and resolves them: every name to its definition,
// every constant to a typed value. It refuses what the official compiler refuses, and on top of that what it lets pass
// but cannot mean anything (a value that does not fit its type, a key given twice, a required member of a union).
package check

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

// Limits of one load, beside those of package parse for each file.
const (
	MaxFiles      = 1000     // files, each counted once
	MaxTotalBytes = 32 << 20 // bytes of all files together
	MaxTypeDepth  = 64       // typedefs and containers in one another: decoders go no deeper
)

// Config says where programs come from and how strict to be.
type Config struct {
	// IncludeDirs are searched, in this order, for an included file that is not beside the one that includes it.
	IncludeDirs []string
	// ReadFile returns a file's bytes: os.ReadFile, or a test's map. An error that is fs.ErrNotExist lets the search go
	// on, any other ends it.
	ReadFile func(path string) ([]byte, error)
	// AllowReserved accepts names that official compilers up to 0.17 at least refuse because some language reserves
	// them (from, next, return, ...). Newer ones take them.
	AllowReserved bool
}

// Load resolves the programs at paths with the default, strict Config. See Config.Load.
func Load(paths, includeDirs []string, readFile func(string) ([]byte, error)) (*ast.Set, error) {
	return Config{IncludeDirs: includeDirs, ReadFile: readFile}.Load(paths)
}

// Load resolves the programs at paths and all they include. The error, when not nil, is parse.Errors; the set is then
// nil.
func (c Config) Load(paths []string) (*ast.Set, error) {
	l := &loader{config: c, set: &ast.Set{}, programs: map[string]*ast.Program{}}
	for _, path := range paths {
		path = filepath.Clean(path)
		if l.programs[path] == nil {
			src, err := c.ReadFile(path)
			if err != nil {
				l.errs.Add(path, ast.Pos{}, err.Error(), "a file that can be read")
				continue
			}
			l.parse(path, src)
		}
		l.set.Roots = append(l.set.Roots, l.programs[path])
	}
	if err := l.errs.Err(); err != nil {
		return nil, err
	}
	r := &resolver{config: c, scopes: map[*ast.Program]*scope{},
		tables: tables{enums: map[*ast.Enum]memberTable{}, structs: map[*ast.Struct]map[string]int{}}}
	for _, program := range l.set.All {
		r.resolve(program)
	}
	if err := r.errs.Err(); err != nil {
		return nil, err
	}
	return l.set, nil
}

type loader struct {
	config   Config
	set      *ast.Set
	programs map[string]*ast.Program
	open     []string // the files being read, each included by the one before
	bytes    int
	errs     parse.Errors
}

// parse reads one program and then those it includes, so that these come first in set.All.
func (l *loader) parse(path string, src []byte) {
	program, err := parse.File(path, src)
	var faults parse.Errors
	if errors.As(err, &faults) {
		for _, fault := range faults {
			l.errs.Add(fault.File, fault.Pos, fault.Found, fault.Expected)
		}
	}
	l.programs[path] = program
	l.bytes += len(src)
	l.open = append(l.open, path)
	for _, include := range program.Includes {
		l.include(program, include)
	}
	l.open = l.open[:len(l.open)-1]
	l.set.All = append(l.set.All, program)
}

// include finds the included file and reads it unless that happened before.
func (l *loader) include(from *ast.Program, include *ast.Include) {
	fail := func(found, expected string) { l.errs.Add(from.Path, include.Pos, found, expected) }
	if len(l.programs) >= MaxFiles || l.bytes > MaxTotalBytes {
		fail("too much included", "at most "+strconv.Itoa(MaxFiles)+" files of together "+
			strconv.Itoa(MaxTotalBytes)+" bytes")
		return
	}
	path, src, err := l.find(filepath.Dir(from.Path), include.Path)
	if err != nil {
		fail("the include "+strconv.Quote(include.Path)+": "+err.Error(),
			"a file beside "+filepath.Base(from.Path)+" or in an include directory")
		return
	}
	for i, open := range l.open {
		if open == path {
			fail("an include cycle: "+strings.Join(append(l.open[i:len(l.open):len(l.open)], path), " includes "),
				"no file to include itself")
			return
		}
	}
	if l.programs[path] == nil {
		l.parse(path, src)
	}
	include.Program = l.programs[path]
}

// find looks for an included file beside the including one, then in each include directory. src is nil for a file that
// was read before.
func (l *loader) find(dir, include string) (path string, src []byte, err error) {
	dirs := append([]string{dir}, l.config.IncludeDirs...)
	if filepath.IsAbs(include) {
		dirs = []string{""}
	}
	for _, dir := range dirs {
		path = filepath.Join(dir, include)
		if l.programs[path] != nil {
			return path, nil, nil
		}
		src, err = l.config.ReadFile(path)
		if err == nil {
			return path, src, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	return "", nil, fs.ErrNotExist
}
