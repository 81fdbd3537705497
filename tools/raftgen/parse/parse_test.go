package parse

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

func TestLimits(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("list<", n) + "i32" + strings.Repeat(">", n) }
	many := func(n int) string { return strings.Repeat("struct {}\n", n) }
	cases := map[string]struct{ src, want string }{
		"largest file":    {strings.Repeat(" ", MaxFileBytes), ""},
		"too large":       {strings.Repeat(" ", MaxFileBytes+1), "x.thrift: found a file of 1048577 bytes, expected at most 1048576"},
		"deepest type":    {"typedef " + deep(MaxDepth) + " T", ""},
		"too deep a type": {"typedef " + deep(MaxDepth+1) + " T", "x.thrift:1:333: found nesting deeper than 64, expected a flatter definition"},
		"deepest value":   {"const i32 a = " + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), ""},
		"too deep a value": {"const i32 a = " + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
			"x.thrift:1:79: found nesting deeper than 64, expected a flatter definition"},
		"too deep attributes": {"struct S { " + strings.Repeat("1: i32 a xsd_attrs { ", MaxDepth+1),
			"x.thrift:1:1377: found nesting deeper than 64, expected a flatter definition"},
		"depth is per path": {"const i32 a = [" + strings.Repeat("[[]],", 1000) + "]", ""},
		"too many faults": {many(MaxErrors + 5),
			strings.TrimSpace(numbered("x.thrift:%d:8: found \"{\", expected the name of a struct\n", MaxErrors))},
		"too many fields without id": {"struct S {" + strings.Repeat("i32 a ", 32769) + "}",
			"x.thrift:1:196619: found more than 32768 fields without an id, expected a field id and a colon"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := File("x.thrift", []byte(c.src))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// numbered repeats line n times with the numbers 1, 2, ... in it.
func numbered(line string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i+1)
	}
	return b.String()
}

func TestMark(t *testing.T) {
	p, err := File("dir/a.b.thrift", []byte("\uFEFFconst i32 a = 1\r\n\tconst i32 b = 2"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "a.b" || len(p.Consts) != 2 {
		t.Fatalf("got program %q with %d constants", p.Name, len(p.Consts))
	}
	if got, want := p.Consts[0].Pos, (ast.Pos{Line: 1, Col: 11}); got != want {
		t.Errorf("byte order mark: first name at %v, want %v", got, want)
	}
	if got, want := p.Consts[1].Pos, (ast.Pos{Line: 2, Col: 12}); got != want {
		t.Errorf("second name at %v, want %v", got, want)
	}
}

func TestNumbers(t *testing.T) {
	type value struct {
		kind  ast.ExprKind
		i     int64
		d     float64
		isNil bool
	}
	cases := map[string]value{
		"0": {}, "+7": {i: 7}, "-0x1f": {i: -31}, "0x7fffffffffffffff": {i: 1<<63 - 1}, "007": {i: 7},
		"-9223372036854775808": {i: -1 << 63}, "1.5": {kind: ast.ExprDouble, d: 1.5}, ".5": {kind: ast.ExprDouble, d: .5},
		"-1e3": {kind: ast.ExprDouble, d: -1000}, "1E+2": {kind: ast.ExprDouble, d: 100}, "+.25e-1": {kind: ast.ExprDouble, d: .025},
		"e10": {kind: ast.ExprName}, "-": {isNil: true}, "1e": {isNil: true}, "1.": {isNil: true}, "0x": {isNil: true},
		"--1": {isNil: true}, "9223372036854775808": {isNil: true}, "1e400": {isNil: true},
	}
	for text, want := range cases {
		p, err := File("x.thrift", []byte("const double a = "+text+"\nconst i32 b = 1"))
		if (err != nil) != want.isNil {
			t.Errorf("%s: error %v", text, err)
			continue
		}
		if err != nil {
			continue
		}
		if e := p.Consts[0].Expr; e.Kind != want.kind || e.Int != want.i || e.Double != want.d {
			t.Errorf("%s: got %v %v %v", text, e.Kind, e.Int, e.Double)
		}
	}
}

// TestMemory reads the largest files that are made of nothing but one construct: what is allocated stays in proportion.
func TestMemory(t *testing.T) {
	const size, most = 1 << 18, 160 // bytes of text, bytes allocated for each
	for name, part := range map[string][3]string{
		"values":      {"const i32 a = [", "0,", ""},
		"lists":       {"const i32 a = [", "[]", ""},
		"pairs":       {"const i32 a = {", "0:0 ", ""},
		"fields":      {"struct S {", "a b ", ""},
		"functions":   {"service S {", "a b()", ""},
		"enum values": {"enum E {", "a ", ""},
		"annotations": {"struct S {} (", "a ", ""},
		"structs":     {"", "struct a{}", ""},
		"docs":        {"", "/** a */\nconst a a=a\n", ""},
		"text":        {"const i32 a = \"", "x", ""},
		"names":       {"", "x", ""},
		"newlines":    {"", "\n", ""},
		"comments":    {"", "/**x*/", ""},
	} {
		src := []byte(part[0] + strings.Repeat(part[1], size/len(part[1])))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := File("x.thrift", src)
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / uint64(len(src)); each > most {
			t.Errorf("%s: %d bytes allocated for a byte of text, want at most %d (error %v)", name, each, most, err)
		}
	}
}

// FuzzFile reads anything: no panic, faults point into the file, and reading the same again gives the same.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "\uFEFF", "namespace * a\ninclude \"b\"\ncpp_include 'c'", "/** d */ const map<i32,list<set<uuid>>> m = {1:[[],{}]}",
		"enum E { A = 0x1, B; C (a=\"b\") } (c)", "struct S { 1: required i32 & a = 1 (b) xsd_optional, i32 c }",
		"service S extends T { oneway void f(1: i32 a) throws (1: E e), }", "const a b = 'c\\'d' # e\n// f\n/* g */",
		"union U {", "const i32 a = \"\\q\"", "struct S { 1: i32 a xsd_attrs { 1: i32 b } }", "const double d = -1.5e-3;",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := File("x.thrift", src)
		if p == nil {
			t.Fatal("no program")
		}
		var faults Errors
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("not Errors: %v", err)
		}
		lines := strings.Split(strings.TrimPrefix(string(src), "\uFEFF"), "\n")
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > len(lines) || fault.Col < 1 || fault.Col > len(lines[fault.Line-1])+1 {
				t.Errorf("outside of the file: %v", fault)
			}
		}
		again, errAgain := File("x.thrift", src)
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() || len(p.Defs) != len(again.Defs) {
			t.Errorf("the second time: %v, first %v", errAgain, err)
		}
	})
}
