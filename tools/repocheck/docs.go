package repocheck

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// lengths bounds the documents that everybody reads, in lines.
var lengths = map[string]int{"README.md": 175, "ARCHITECTURE.md": 400}

// checkLengths holds the documents to their bounds, and sees that they are there.
func checkLengths(t *Tree, bounds map[string]int) []Fault {
	var faults []Fault
	for p, limit := range bounds {
		b, ok := t.Files[p]
		n := strings.Count(string(b), "\n")
		switch {
		case !ok:
			faults = append(faults, Fault{Path: p, Text: "is missing"})
		case n > limit:
			faults = append(faults, Fault{Path: p, Text: fmt.Sprintf("has %d lines, the limit is %d", n, limit)})
		}
	}
	return faults
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	linkTo   = regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)`)
	heading  = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	scheme   = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
)

// checkLinks follows every relative link of every document to a file or folder,
// and its fragment to a heading.
func checkLinks(t *Tree) []Fault {
	dirs := map[string]bool{".": true}
	for p := range t.Files {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	var faults []Fault
	for _, p := range t.paths() {
		if !strings.HasSuffix(p, ".md") || hasElement(p, "testdata") {
			continue
		}
		prose(t.Files[p], func(n int, line string) {
			for _, m := range linkTo.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
				if text := followLink(t, dirs, p, m[1]); text != "" {
					faults = append(faults, Fault{p, n, text})
				}
			}
		})
	}
	return faults
}

func followLink(t *Tree, dirs map[string]bool, from, link string) string {
	if scheme.MatchString(link) {
		return ""
	}
	target, fragment, _ := strings.Cut(link, "#")
	file := from
	if target != "" {
		file = path.Join(path.Dir(from), target)
	}
	b, ok := t.Files[file]
	if !ok && !dirs[file] {
		return "link to " + link + ": there is no " + file
	}
	if fragment != "" && strings.HasSuffix(file, ".md") && !slices.Contains(anchors(b), fragment) {
		return "link to " + link + ": " + file + " has no such heading"
	}
	return ""
}

// prose calls fn for the lines of a document that are not in a code block.
func prose(b []byte, fn func(n int, line string)) {
	fenced := false
	lines(b, func(n int, line string) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		} else if !fenced {
			fn(n, line)
		}
	})
}

// anchors lists the fragments of a document's headings as code hosts make them:
// lower case, punctuation dropped, spaces to hyphens.
func anchors(b []byte) []string {
	var out []string
	prose(b, func(_ int, line string) {
		m := heading.FindStringSubmatch(line)
		if m == nil {
			return
		}
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	})
	return out
}

// dependencyRow is a line of docs/dependencies.md: | `module` | what for | ...
var dependencyRow = regexp.MustCompile("^\\| `([^`]+)` \\|")

// checkDependencies compares the modules that Go files import with the table in
// docs/dependencies.md, both ways: a dependency has a stated reason, and a reason
// that no import needs any more goes.
func checkDependencies(t *Tree) []Fault {
	const doc = "docs/dependencies.md"
	listed := map[string]int{}
	lines(t.Files[doc], func(n int, line string) {
		if m := dependencyRow.FindStringSubmatch(line); m != nil {
			listed[m[1]] = n
		}
	})
	required := requirements(t.Files["go.mod"])
	used := map[string]string{} // module -> the first file that imports it
	for _, g := range t.Go {
		if g.Nested {
			continue
		}
		for _, spec := range g.AST.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			for _, m := range required {
				if within(imported, m) && used[m] == "" {
					used[m] = g.Path
				}
			}
		}
	}
	var faults []Fault
	for _, m := range required {
		if used[m] != "" && listed[m] == 0 {
			faults = append(faults, Fault{Path: doc, Text: fmt.Sprintf("no line for %s, which %s imports", m, used[m])})
		}
	}
	for m, n := range listed {
		if used[m] == "" {
			faults = append(faults, Fault{doc, n, m + " is not imported anywhere: delete the line"})
		}
	}
	return faults
}

// requirements lists the module paths in the require directives of a go.mod.
func requirements(gomod []byte) []string {
	var out []string
	block := false
	lines(gomod, func(_ int, line string) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "require" && fields[1] == "(":
			block = true
		case len(fields) == 1 && fields[0] == ")":
			block = false
		case block && len(fields) >= 2:
			out = append(out, fields[0])
		case len(fields) >= 3 && fields[0] == "require":
			out = append(out, fields[1])
		}
	})
	return out
}

var (
	recordName  = regexp.MustCompile(`^docs/adr/(\d{4})-[a-z0-9-]+\.md$`)
	recordParts = []string{"## Context", "## Choice", "## Price"}
)

const maxRecordLines = 80 // one page

// checkRecords holds the decision records to their form: numbered from 0001
// without a gap, one page each, titled with their number, in three parts.
func checkRecords(t *Tree) []Fault {
	var faults []Fault
	next := 1
	for _, p := range t.paths() {
		if path.Dir(p) != "docs/adr" {
			continue
		}
		m := recordName.FindStringSubmatch(p)
		if m == nil {
			faults = append(faults, Fault{Path: p, Text: "a record is named NNNN-title.md"})
			continue
		}
		if want := fmt.Sprintf("%04d", next); m[1] != want {
			faults = append(faults, Fault{Path: p, Text: "the next record is number " + want})
		}
		next++
		text := string(t.Files[p])
		if !strings.HasPrefix(text, "# "+m[1]+": ") {
			faults = append(faults, Fault{p, 1, "the title begins with \"# " + m[1] + ": \""})
		}
		for _, part := range recordParts {
			if !strings.Contains(text, "\n"+part+"\n") {
				faults = append(faults, Fault{Path: p, Text: "has no part " + part})
			}
		}
		if n := strings.Count(text, "\n"); n > maxRecordLines {
			faults = append(faults, Fault{Path: p, Text: fmt.Sprintf("has %d lines, a page is %d", n, maxRecordLines)})
		}
	}
	return faults
}
