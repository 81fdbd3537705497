package repocheck

import (
	"fmt"
	"regexp"
	"strconv"
)

// bugsDoc is the list of bugs that others had.
const (
	bugsDoc   = "docs/known-bugs.md"
	bugsCount = 40
	scripts   = "engine/internal/raft/testdata/"
)

var (
	bugRow     = regexp.MustCompile(`^\| B(\d\d) \|`)
	scriptName = regexp.MustCompile("`([a-z0-9]+(?:_[a-z0-9]+)+)`")
)

// checkBugs holds bugsDoc to the code: every bug has a row, in order, that names something,
// and every test and every script that a row names is there.
func checkBugs(t *Tree) []Fault {
	text, ok := t.Files[bugsDoc]
	if !ok {
		return []Fault{{Path: bugsDoc, Text: "is missing"}}
	}
	var faults []Fault
	next := 1
	prose(text, func(n int, line string) {
		fault := func(format string, args ...any) {
			faults = append(faults, Fault{bugsDoc, n, fmt.Sprintf(format, args...)})
		}
		tests, named := testName.FindAllStringSubmatch(line, -1), scriptName.FindAllStringSubmatch(line, -1)
		if m := bugRow.FindStringSubmatch(line); m != nil {
			if bug, _ := strconv.Atoi(m[1]); bug != next {
				fault("B%s stands where B%02d belongs", m[1], next)
			}
			next++
			if len(tests)+len(named) == 0 {
				fault("B%s names neither a test nor a script", m[1])
			}
		}
		for _, m := range tests {
			if wrong := t.testFault(m[1], m[2]); wrong != "" {
				fault("%s.%s %s", m[1], m[2], wrong)
			}
		}
		for _, m := range named {
			if _, ok := t.Files[scripts+m[1]+".txt"]; !ok {
				fault("there is no script %s", m[1])
			}
		}
	})
	if next != bugsCount+1 {
		faults = append(faults, Fault{Path: bugsDoc, Text: fmt.Sprintf("has %d bugs of %d", next-1, bugsCount)})
	}
	return faults
}
