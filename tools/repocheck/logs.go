package repocheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// logsDoc has two tables: the keys that log lines may have, and the lines.
const logsDoc = "docs/guides/observing.md"

// logDirs are the packages, with those below them, whose lines a service sees.
var logDirs = []string{"engine", "transport", "wal"}

var (
	logKeyRow  = regexp.MustCompile("^\\| `([a-z_]+)` \\|")
	logLineRow = regexp.MustCompile("^\\| (DEBUG|INFO|WARN|ERROR|varies) \\| `([^`]+)` \\| ([^|]*)\\|")
	keySpan    = regexp.MustCompile("`([a-z_]+)`")
)

// logCall is a call of a slog.Logger.
type logCall struct {
	level, message string // of With: both ""
	keys           []string
}

// checkLogs holds every log line to its rules (a constant message in lower case, and keys
// from the list of logsDoc) and logsDoc to the lines that there are, in both directions.
// A line that several places log has the keys of all of them.
func checkLogs(t *Tree, dirs []string) []Fault {
	text, ok := t.Files[logsDoc]
	if !ok {
		return []Fault{{Path: logsDoc, Text: "is missing"}}
	}
	keys, listed := logTables(text)
	var faults []Fault
	used, lines := map[string]bool{}, map[string][]string{}
	for _, g := range t.Go {
		if g.Test() || g.Nested || !slices.ContainsFunc(dirs, func(d string) bool { return g.Dir() == d || strings.HasPrefix(g.Dir(), d+"/") }) {
			continue
		}
		ast.Inspect(g.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			c, wrong := logCallOf(call)
			if wrong != "" {
				faults = append(faults, Fault{g.Path, t.line(call.Pos()), wrong})
			}
			for _, key := range c.keys {
				if used[key] = true; !slices.Contains(keys, key) {
					faults = append(faults, Fault{g.Path, t.line(call.Pos()), fmt.Sprintf("logs the key %q, which is not in %s", key, logsDoc)})
				}
			}
			if c.message != "" {
				at := c.level + " " + c.message
				lines[at] = union(lines[at], c.keys)
			}
			return true
		})
	}
	return append(faults, compareLogs(keys, used, listed, lines)...)
}

func compareLogs(keys []string, used map[string]bool, listed, lines map[string][]string) []Fault {
	var faults []Fault
	for _, key := range keys {
		if !used[key] {
			faults = append(faults, Fault{Path: logsDoc, Text: fmt.Sprintf("lists the key %q, which nobody logs", key)})
		}
	}
	for line := range listed {
		if _, ok := lines[line]; !ok {
			faults = append(faults, Fault{Path: logsDoc, Text: fmt.Sprintf("lists %q, which nobody logs", line)})
		}
	}
	for line, want := range lines {
		if got, ok := listed[line]; !ok {
			faults = append(faults, Fault{Path: logsDoc, Text: fmt.Sprintf("does not list %q with the keys %s", line, strings.Join(want, ", "))})
		} else if !slices.Equal(got, want) {
			faults = append(faults, Fault{Path: logsDoc, Text: fmt.Sprintf("lists %q with the keys %s; they are %s", line, strings.Join(got, ", "), strings.Join(want, ", "))})
		}
	}
	return faults
}

// logTables reads the two tables of logsDoc.
func logTables(doc []byte) (keys []string, listed map[string][]string) {
	listed = map[string][]string{}
	inKeys := false
	prose(doc, func(_ int, line string) {
		inKeys = strings.HasPrefix(line, "| key |") || inKeys && strings.HasPrefix(line, "|")
		if m := logLineRow.FindStringSubmatch(line); m != nil {
			all := []string{}
			for _, k := range keySpan.FindAllStringSubmatch(m[3], -1) {
				all = append(all, k[1])
			}
			listed[m[1]+" "+m[2]] = all
		} else if m := logKeyRow.FindStringSubmatch(line); m != nil && inKeys {
			keys = append(keys, m[1])
		}
	})
	return keys, listed
}

// logCallOf returns the log call that a call is, if it is one, and what is wrong with it.
// A logger is known by its name: log, logger, or a field or variable that ends so.
func logCallOf(call *ast.CallExpr) (c logCall, wrong string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !isLogger(sel.X) {
		return c, ""
	}
	args := call.Args
	switch sel.Sel.Name {
	case "Debug", "Info", "Warn", "Error":
		c.level = strings.ToUpper(sel.Sel.Name)
	case "Log":
		c.level = "varies"
		args = args[min(2, len(args)):]
	case "With":
	default:
		return c, ""
	}
	if c.level != "" {
		if len(args) == 0 {
			return c, "logs no message"
		}
		if c.message, ok = stringOf(args[0]); !ok {
			return c, "logs a message that is no constant: what varies is a key"
		}
		if first := []rune(c.message)[:1]; unicode.IsUpper(first[0]) || strings.HasSuffix(c.message, ".") {
			wrong = fmt.Sprintf("logs %q: want lower case, without a full stop", c.message)
		}
		args = args[1:]
	}
	for i := 0; i < len(args); i += 2 {
		key, ok := stringOf(args[i])
		if !ok || i+1 == len(args) {
			return c, "logs keys and values that are no pairs of a constant and a value"
		}
		c.keys = append(c.keys, key)
	}
	return c, wrong
}

func isLogger(x ast.Expr) bool {
	name := ""
	switch x := x.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return name == "log" || strings.HasSuffix(strings.ToLower(name), "logger")
}

func stringOf(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil && s != ""
}

// union appends to a what only b has.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
