package check

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

var update = flag.Bool("update", false, "rewrite testdata/accepted/*.golden")

// dump writes every member of every node that is not zero, one per line, indented. What a program does not own (the
// definition that a name refers to, the way back up) is written as a reference, so that the text ends.
func dump(p *ast.Program) string {
	d := &dumper{}
	d.node(reflect.ValueOf(p), 0)
	return d.String()
}

type dumper struct{ strings.Builder }

// reference names what the member called name of an owner refers to, or returns "" for what the owner itself holds.
func reference(owner, name string, v any) string {
	switch v := v.(type) {
	case *ast.Program:
		return "file " + v.Path
	case ast.Def:
		if owner != "Program" {
			return v.DefName() + " at " + lineCol(v.DefPos())
		}
	case *ast.EnumValue:
		if owner != "Enum" {
			return v.Enum.Name + "." + v.Name
		}
	case *ast.Field:
		if owner == "FieldValue" {
			return v.Name
		}
	case *ast.Type:
		if owner == "Value" {
			return v.String()
		}
	}
	return ""
}

func (d *dumper) line(depth int, text string) {
	d.WriteString(strings.Repeat("  ", depth) + text + "\n")
}

func (d *dumper) node(v reflect.Value, depth int) {
	v = reflect.Indirect(v)
	for i := range v.NumField() {
		field, member := v.Type().Field(i), v.Field(i)
		wayUp := field.Name == "Program" && v.Type() != reflect.TypeFor[ast.Include]() || field.Name == "Defs" ||
			field.Name == "Enum" && v.Type() == reflect.TypeFor[ast.EnumValue]()
		if member.IsZero() || field.Name == "Pos" || wayUp { // checkResolved looks at these
			continue
		}
		if member.Kind() != reflect.Slice {
			d.member(v.Type().Name(), field.Name, member, depth)
			continue
		}
		for i := range member.Len() {
			d.member(v.Type().Name(), field.Name, member.Index(i), depth)
		}
	}
}

func (d *dumper) member(owner, name string, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		d.line(depth, fmt.Sprintf("%s %q", name, v.String()))
	case reflect.Array:
		d.line(depth, fmt.Sprintf("%s %x", name, v.Interface()))
	case reflect.Pointer, reflect.Struct:
		if text := reference(owner, name, v.Interface()); text != "" {
			d.line(depth, name+" -> "+text)
			return
		}
		head := name
		if pos := reflect.Indirect(v).FieldByName("Pos"); pos.IsValid() {
			head += " at " + lineCol(pos.Interface().(ast.Pos))
		}
		d.line(depth, head)
		d.node(v, depth+1)
	default:
		d.line(depth, fmt.Sprintf("%s %v", name, v.Interface()))
	}
}

// TestGolden compares everything that is known of the programs in testdata/accepted with what was reviewed.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/accepted/*.thrift")
	if err != nil || len(paths) < 5 {
		t.Fatalf("want at least 5 programs, got %v, %v", paths, err)
	}
	for _, path := range paths {
		set, err := Load([]string{path}, nil, os.ReadFile)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		checkResolved(t, set)
		got := dump(set.Roots[0])
		golden := strings.TrimSuffix(path, ".thrift") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		compareLines(t, golden, string(want), got)
	}
}

func compareLines(t *testing.T, name, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var wantLine, gotLine string
		if i < len(a) {
			wantLine = a[i]
		}
		if i < len(b) {
			gotLine = b[i]
		}
		if wantLine != gotLine {
			t.Errorf("%s:%d: got %q, want %q (rewrite with -update)", name, i+1, gotLine, wantLine)
			return
		}
	}
}
