package parse

import (
	"fmt"
	"sort"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// Error is one fault of an IDL file.
type Error struct {
	File string
	ast.Pos
	Found    string // what stands there
	Expected string // what would be right there, or "" where Found says it all
}

// Error returns `file:line:col: found ..., expected ...`.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: found %s", e.File, e.Line, e.Col, e.Found)
	if e.Line == 0 {
		text = e.File + ": found " + e.Found
	}
	if e.Expected != "" {
		text += ", expected " + e.Expected
	}
	return text
}

// Errors is every fault found in one run, at most MaxErrors, in the order of the files and of the lines in them.
type Errors []*Error

// Error returns one line per fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Add appends a fault unless MaxErrors are there already.
func (e *Errors) Add(file string, pos ast.Pos, found, expected string) {
	if len(*e) < MaxErrors {
		*e = append(*e, &Error{File: file, Pos: pos, Found: found, Expected: expected})
	}
}

// Err returns e sorted as an error: nil when there is no fault. Files keep the order of their first fault.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	order := map[string]int{}
	for _, one := range e {
		if _, ok := order[one.File]; !ok {
			order[one.File] = len(order)
		}
	}
	sort.SliceStable(e, func(i, j int) bool {
		a, b := e[i], e[j]
		if a.File != b.File {
			return order[a.File] < order[b.File]
		}
		return a.Before(b.Pos)
	})
	return e
}
