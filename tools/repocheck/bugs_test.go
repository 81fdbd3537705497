package repocheck

import (
	"fmt"
	"strings"
	"testing"
)

func TestKnownBugsAreHeldToTheCode(t *testing.T) {
	rows := func(change func(bug int, row string) string) *Tree {
		var b strings.Builder
		b.WriteString("| | what | held by |\n|---|---|---|\n")
		for bug := 1; bug <= bugsCount; bug++ {
			b.WriteString(change(bug, fmt.Sprintf("| B%02d | it broke | script `b%02d_story`; `x.TestIt` |", bug, bug)) + "\n")
		}
		files := []string{bugsDoc, b.String(), "x/x_test.go", "package x\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {}\n"}
		for bug := 1; bug <= bugsCount; bug++ {
			files = append(files, fmt.Sprintf("%sb%02d_story.txt", scripts, bug), "a story\n")
		}
		return invent(t, files...)
	}
	at := func(bug int, old, now string) func(int, string) string {
		return func(b int, row string) string {
			if b == bug {
				return strings.Replace(row, old, now, 1)
			}
			return row
		}
	}
	expect(t, checkBugs(rows(at(0, "", ""))))
	expect(t, checkBugs(invent(t)), "docs/known-bugs.md: is missing")
	expect(t, checkBugs(rows(at(5, "TestIt", "TestGone"))), "docs/known-bugs.md:7: x.TestGone is not there")
	expect(t, checkBugs(rows(at(6, "b06_story", "b06_history"))), "docs/known-bugs.md:8: there is no script b06_history")
	expect(t, checkBugs(rows(at(7, "script `b07_story`; `x.TestIt`", "hope"))), "docs/known-bugs.md:9: B07 names neither a test nor a script")
	expect(t, checkBugs(rows(at(40, "B40", "B41"))), "docs/known-bugs.md:42: B41 stands where B40 belongs")
}
