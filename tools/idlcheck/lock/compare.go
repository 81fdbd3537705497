package lock

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

// MaxBytes is the largest lock that is read.
const MaxBytes = 4 << 20

const header = "# What was promised on the wire. Written by idlcheck -update; do not edit. See docs/spec/idl.md."

// Result is a lock that goes with an IDL which broke nothing.
type Result struct {
	Text  string   // the whole lock
	Lines int      // facts in it
	Added []string // the lines that the old lock does not have
}

// Compare returns the lock of the first program of set with all that it includes. The error, when not nil, is
// parse.Errors: what breaks a rule by itself, or against the old lock, which came from lockPath. An empty old lock
// forbids nothing.
func Compare(set *ast.Set, lockPath string, old []byte) (Result, error) {
	var faults faults
	now := collect(set, &faults)
	unique(now, &faults)
	before := parseLock(lockPath, string(old), &faults)
	compare(before, now, &faults)
	if err := faults.Err(); err != nil {
		return Result{}, err
	}
	locked := map[string]bool{}
	for _, f := range before {
		locked[f.line()] = true
	}
	result := Result{Lines: len(now)}
	text := []string{header}
	for _, f := range now {
		text = append(text, f.line())
		if !locked[f.line()] {
			result.Added = append(result.Added, f.line())
		}
	}
	result.Text = strings.Join(text, "\n") + "\n"
	return result, nil
}

// faults are errors with places in the IDL, or in the lock.
type faults struct{ parse.Errors }

func (f *faults) add(path string, pos ast.Pos, found, expected string) {
	f.Add(path, pos, found, expected)
}

// unique refuses two methods with one native id or one name, also of different services: they share a port.
func unique(now []fact, faults *faults) {
	ids, names := map[string]string{}, map[string]string{}
	for _, f := range now {
		words := f.words()
		if words[0] != "service" || len(words) != 3 {
			continue
		}
		name, _, _ := strings.Cut(f.rest, " ")
		owner, id := words[1]+"."+name, words[2]
		if other := ids[id]; other != "" {
			faults.add(f.path, f.pos, "method "+owner+" with the native id "+id+" of "+other, "another id")
		}
		if other := names[name]; other != "" {
			faults.add(f.path, f.pos, "method "+owner+" with the name of "+other, "another name")
		}
		ids[id], names[name] = owner, owner
	}
}

// parseLock reads the facts of a lock.
func parseLock(path, text string, faults *faults) []fact {
	if len(text) > MaxBytes {
		faults.add(path, ast.Pos{}, fmt.Sprintf("a lock of %d bytes", len(text)), fmt.Sprintf("at most %d", MaxBytes))
		return nil
	}
	var facts []fact
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n := keyLength(words)
		if n == 0 {
			faults.add(path, ast.Pos{Line: i + 1, Col: 1}, "the line "+strconv.Quote(line), "a line written by idlcheck -update")
			continue
		}
		key := strings.Join(words[:n], " ")
		rest := strings.TrimSpace(strings.TrimPrefix(line, key))
		facts = append(facts, fact{key: key, rest: rest, path: path, pos: ast.Pos{Line: i + 1, Col: 1}})
	}
	return facts
}

// keyLength returns how many words of a lock's line are its key, or 0.
func keyLength(words []string) int {
	isNumber := func(i int) bool {
		if i >= len(words) {
			return false
		}
		_, err := strconv.Atoi(words[i])
		return err == nil
	}
	switch {
	case !slices.Contains([]string{"enum", "struct", "union", "exception", "service"}, words[0]) || len(words) < 2:
		return 0
	case len(words) == 2 || words[2] == "extends" && words[0] == "service" && len(words) == 4:
		return 2
	case words[2] == "reserved" && len(words) == 4:
		return 4
	case isNumber(2) && len(words) > 3 && words[3] == "throws" && isNumber(4):
		return 5
	case isNumber(2) && len(words) > 3:
		return 3
	}
	return 0
}

// compare reports what held before and does not hold now. Everything may be added; nothing goes, unless its number
// stays behind as reserved.
func compare(before, now []fact, faults *faults) {
	current := map[string]fact{}
	for _, f := range now {
		current[f.key] = f
	}
	c := &comparison{current: current, now: now, faults: faults}
	for _, old := range before {
		f, ok := current[old.key]
		switch {
		case !ok:
			c.gone(old)
		case f.rest != old.rest:
			c.changed(old, f)
		}
	}
}

type comparison struct {
	current map[string]fact
	now     []fact
	faults  *faults
}

// place is where the definition that a fact is about stands now; what is gone altogether is reported at the lock.
func (c *comparison) place(old fact) (string, ast.Pos, bool) {
	words := old.words()
	if f, ok := c.current[words[0]+" "+words[1]]; ok {
		return f.path, f.pos, true
	}
	return old.path, old.pos, false
}

// gone reports a fact that is missing, unless its number is reserved or its whole definition is missing.
func (c *comparison) gone(old fact) {
	words := old.words()
	path, pos, defined := c.place(old)
	head := words[0] + " " + words[1]
	switch {
	case len(words) == 2:
		c.definitionGone(old)
	case !defined:
	case words[2] == "reserved":
		c.faults.add(path, pos, head+" that does not reserve "+words[3]+" any more", "it to stay reserved for ever")
	case len(words) == 5:
		if _, ok := c.current[strings.Join(words[:3], " ")]; ok {
			c.faults.add(path, pos, "method "+words[2]+" of "+words[1]+" that does not throw "+old.rest+" any more",
				"it to stay: who calls still expects it")
		}
	case words[0] == "service":
		c.methodGone(old, path, pos)
	default:
		if _, ok := c.current[head+" reserved "+words[2]]; !ok {
			c.numberGone(old, path, pos)
		}
	}
}

// definitionGone reports a missing enum, record or service, or one that changed its kind.
func (c *comparison) definitionGone(old fact) {
	words := old.words()
	for _, f := range c.now {
		if other := f.words(); len(other) == 2 && other[1] == words[1] {
			c.faults.add(f.path, f.pos, other[0]+" "+words[1]+", which was "+article(words[0]), words[0])
			return
		}
	}
	c.faults.add(old.path, old.pos, "the locked "+words[0]+" "+words[1]+", which is gone or renamed",
		"it to stay: bytes of it exist")
}

func article(word string) string {
	if strings.IndexByte("aeiou", word[0]) >= 0 {
		return "an " + word
	}
	return "a " + word
}

// numberGone reports a missing field or enum value.
func (c *comparison) numberGone(old fact, path string, pos ast.Pos) {
	words := old.words()
	what, number := "the value "+old.rest, "number "
	if words[0] != "enum" {
		what, number = "field "+words[2]+" ("+old.rest+")", "id "
	}
	c.faults.add(path, pos, what+" gone from "+words[0]+" "+words[1], "it, or its "+number+words[2]+` in (reserved = "`+words[2]+`")`)
}

// methodGone reports a missing method, unless both its native id and its name are reserved: native frames know the one,
// Thrift messages the other. A method that took another id is told so.
func (c *comparison) methodGone(old fact, path string, pos ast.Pos) {
	words := old.words()
	name, _, _ := strings.Cut(old.rest, " ")
	head := words[0] + " " + words[1] + " reserved "
	_, id := c.current[head+words[2]]
	_, called := c.current[head+name]
	if id && called {
		return
	}
	for _, f := range c.now {
		other := f.words()
		if len(other) == 3 && other[0] == "service" && strings.HasPrefix(f.rest, name+" ") {
			c.faults.add(f.path, f.pos, "method "+name+" with the native id "+other[2], "its id, "+words[2]+", in service "+words[1])
			return
		}
	}
	c.faults.add(path, pos, "the method "+name+" gone or renamed from service "+words[1],
		"it, or its native id and its name in (reserved = \""+words[2]+", "+name+"\")")
}

// changed reports a number that means something else now.
func (c *comparison) changed(old, now fact) {
	words := old.words()
	if len(words) == 2 {
		if old.rest != "" { // a base may be added: that adds methods
			c.faults.add(now.path, now.pos, "service "+words[1]+" that does not say "+old.rest+" any more", "it to stay")
		}
		return
	}
	expected := "a new number: a number is never reused"
	switch words[0] {
	case "service":
		expected = "the method as it was, or a new one beside it"
	case "struct", "union", "exception":
		expected = "a new id: an id keeps its name, type, requiredness, max and default"
	}
	about := strings.Join(words[1:], " ")
	c.faults.add(now.path, now.pos, about+" as "+strconv.Quote(now.rest)+", which was "+strconv.Quote(old.rest), expected)
}
