package repocheck

import (
	"go/importer"
	"testing"
)

func TestExamples(t *testing.T) {
	const lib = `package lib
type T struct{}
func New() *T { return nil }
func Old() {}
func (t *T) Do() {}
func (t *T) Error() string { return "" }
func (hidden) Do() {}
type hidden struct{}
func private() {}
`
	tree := func(example string) *Tree {
		return invent(t, "lib/lib.go", lib, "lib/mutants.go", "//go:build mutants\n\npackage lib\n\nfunc Bug() {}\n",
			"lib/example_test.go", "package lib\n\nimport \"fmt\"\n\n"+example)
	}
	const full = "func ExampleNew() {\n\tuse(New())\n\tfmt.Println()\n\t// Output: x\n}\n\nfunc use(t *T) { t.Do() }\n"
	exempt := map[string]string{"Error": "implements error"}
	for name, c := range map[string]struct {
		example string
		exempt  map[string]string
		want    []string
	}{
		"one is missing":     {full, exempt, []string{"lib/lib.go:4: lib.Old is used in no runnable Example"}},
		"exempt by its name": {full, map[string]string{"Error": "implements error", "lib.Old": "it is old"}, nil},
		"an exemption that nobody needs": {full + "\nfunc ExampleOld() {\n\tOld()\n\t// Output:\n}\n", map[string]string{"Error": "implements error", "lib.Old": "it is old"}, []string{
			"tools/repocheck: the exemption of lib.Old from the Examples is not needed",
		}},
		"a type of the Example has methods": {"func ExampleNew() {\n\tfmt.Println(mine{})\n\t// Output: x\n}\n\ntype mine struct{}\n\nfunc (mine) String() string { New().Do(); Old(); return \"\" }\n", exempt, nil},
		"an Example that does not run": {"func ExampleNew() {\n\tNew().Do()\n\tOld()\n}\n", exempt, []string{
			"lib/lib.go:3: lib.New is used in no runnable Example", "lib/lib.go:4: lib.Old is used in no runnable Example",
			"lib/lib.go:5: lib.T.Do is used in no runnable Example",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := tree(c.example)
			expect(t, checkExamples(tree, importer.ForCompiler(tree.Set, "source", nil), []string{"lib"}, c.exempt), c.want...)
		})
	}
}
