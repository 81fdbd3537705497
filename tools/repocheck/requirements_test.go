package repocheck

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// groupTable is a page with the 31 rows, each changed by change.
func groupTable(change func(group int, row string) string) string {
	var b strings.Builder
	b.WriteString("| # | group | where | shown by | open |\n|---|---|---|---|---|\n")
	for g := 1; g <= groups; g++ {
		b.WriteString(change(g, fmt.Sprintf("| %d | a group | `x` | `x.TestIt` | |", g)) + "\n")
	}
	return b.String()
}

func TestRequirementsAreHeldToTheCode(t *testing.T) {
	code := "package x\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {}\n\nfunc TestOther(t *testing.T) { t.Skip() }\n"
	page := func(change func(group int, row string) string) *Tree {
		return invent(t, "x/x_test.go", code, requirementsDoc, groupTable(change))
	}
	same := func(_ int, row string) string { return row }
	expect(t, checkRequirements(page(same)))
	expect(t, checkRequirements(invent(t)), "docs/requirements.md: is missing")
	at := func(group int, old, now string) func(int, string) string {
		return func(g int, row string) string {
			if g == group {
				return strings.Replace(row, old, now, 1)
			}
			return row
		}
	}
	expect(t, checkRequirements(page(at(4, "`x.TestIt`", ""))), "docs/requirements.md:6: group 4 names no test")
	expect(t, checkRequirements(page(at(4, "TestIt", "TestGone"))), "docs/requirements.md:6: x.TestGone is not there")
	expect(t, checkRequirements(page(at(4, "TestIt", "TestOther"))), "docs/requirements.md:6: x.TestOther skips itself")
	expect(t, checkRequirements(page(at(31, "| 31 |", "| 30 |"))),
		"docs/requirements.md:33: group 30 stands where 31 belongs", "docs/requirements.md: ends with group 30, there are 31")
}

// TestRequiredTestsAreListed prints what make check-requirements runs, where it asks for that.
func TestRequiredTestsAreListed(t *testing.T) {
	tree, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	list := requiredTests(tree.Files[requirementsDoc])
	if len(list) < groups {
		t.Errorf("%d tests, fewer than groups", len(list))
	}
	if file := os.Getenv("REQUIREMENTS_LIST"); file != "" {
		if err := os.WriteFile(file, []byte(strings.Join(list, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
