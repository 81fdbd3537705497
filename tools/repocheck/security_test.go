package repocheck

import "testing"

func TestSecurity(t *testing.T) {
	const config = "package wire\n\ntype Config struct {\n\tMaxFrame, MaxNew int\n\tName string\n\tmaxOwn int\n}\n"
	const tests = "package wire\n\nimport \"testing\"\n\n" +
		"func TestFrame(t *testing.T) { decoder.Skip() }\n\nfunc TestSlow(t *testing.T) { t.Skip() }\n\nfunc helper() {}\n"
	tree := invent(t,
		"wire/config.go", config,
		"wire/wire_test.go", tests,
		"wire/tagged_test.go", "//go:build nightly\n\n"+"package wire\n\nimport \"testing\"\n\nfunc TestTagged(t *testing.T) {}\n",
		"other/go.mod", "module other\n",
		"other/other_test.go", "package other\n\nimport \"testing\"\n\nfunc TestOther(t *testing.T) {}\n",
		limitsDoc, "# Limits\n\n| limit | shown by |\n|---|---|\n"+
			"| `wire.Config.MaxFrame` | `wire.TestFrame` |\n"+
			"| a | `wire.TestGone` |\n"+
			"| b | `wire.TestSlow`, `wire.TestTagged` |\n"+
			"| c | `other.TestOther` |\n"+
			"| `wire.TestFrame` | nothing |\n\n"+
			"| not a limit | why |\n|---|---|\n| x | y |\n",
	)
	expect(t, checkSecurity(tree, []string{"wire.Config", "wire.Gone"}),
		limitsDoc+":6: wire.TestGone is not there",
		limitsDoc+":7: wire.TestSlow skips itself",
		limitsDoc+":7: wire.TestTagged is behind a build tag",
		limitsDoc+":8: other.TestOther is in another module: go test ./... does not run it",
		limitsDoc+":9: the row names no test",
		limitsDoc+": does not list `wire.Config.MaxNew`",
		limitsDoc+": wire.Gone is no struct with limits",
	)
	expect(t, checkSecurity(invent(t), nil), limitsDoc+": is missing")
	expect(t, checkSecurity(invent(t, limitsDoc, "# Limits\n"), nil),
		limitsDoc+`: has no table with the column "shown by"`)
}
