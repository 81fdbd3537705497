package repocheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// requirementsDoc says of every group of requirements which tests would fail without it.
const requirementsDoc = "docs/requirements.md"

// groups is how many groups there are.
const groups = 31

// checkRequirements holds requirementsDoc to the code: each group has one row, in order,
// and each row names tests that exist and run.
func checkRequirements(t *Tree) []Fault {
	text, ok := t.Files[requirementsDoc]
	if !ok {
		return []Fault{{Path: requirementsDoc, Text: "is missing"}}
	}
	var faults []Fault
	fault := func(n int, format string, args ...any) {
		faults = append(faults, Fault{requirementsDoc, n, fmt.Sprintf(format, args...)})
	}
	next := 1
	for _, row := range requirementRows(text) {
		if row.group != next {
			fault(row.line, "group %d stands where %d belongs", row.group, next)
		}
		next = row.group + 1
		if len(row.tests) == 0 {
			fault(row.line, "group %d names no test", row.group)
		}
		for _, test := range row.tests {
			if wrong := t.testFault(test[0], test[1]); wrong != "" {
				fault(row.line, "%s.%s %s", test[0], test[1], wrong)
			}
		}
	}
	if next != groups+1 {
		fault(0, "ends with group %d, there are %d", next-1, groups)
	}
	return faults
}

type requirementRow struct {
	line, group int
	tests       [][2]string // folder and name
}

// requirementRows reads the rows of tables that begin with a number.
func requirementRows(text []byte) (rows []requirementRow) {
	prose(text, func(n int, line string) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			return
		}
		group, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			return
		}
		row := requirementRow{line: n, group: group}
		for _, m := range testName.FindAllStringSubmatch(cells[4], -1) {
			row.tests = append(row.tests, [2]string{m[1], m[2]})
		}
		rows = append(rows, row)
	})
	return rows
}

// requiredTests lists the tests that requirementsDoc names, as "folder name" lines in
// order, each once.
func requiredTests(text []byte) []string {
	var out []string
	for _, row := range requirementRows(text) {
		for _, test := range row.tests {
			out = append(out, test[0]+" "+test[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
