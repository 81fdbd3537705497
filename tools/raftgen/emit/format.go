package emit

import (
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// wireFormat is what differs between the four ways to write and read.
type wireFormat struct {
	Name string // in method names: AppendCompact, ScanCompact
	Pkg  string // name of the runtime package
	path string // its import path

	typed   bool   // values are announced by wire type: all but msgpack
	writer  bool   // the apache protocols: a writer with methods instead of functions that append
	decoder string // variable
	Doc     string
}

var (
	compactFormat  = &wireFormat{Name: "Compact", Pkg: "compact", path: compactPath, typed: true, decoder: "d", Doc: "Thrift Compact"}
	binaryFormat   = &wireFormat{Name: "Binary", Pkg: "binary", path: binaryPath, typed: true, decoder: "d", Doc: "Thrift Binary"}
	msgpackFormat  = &wireFormat{Name: "Msgpack", Pkg: "msgpack", path: msgpackPath, decoder: "d", Doc: "msgpack"}
	protocolFormat = &wireFormat{Name: "Thrift", Pkg: "protocol", path: protocolPath, typed: true, writer: true, decoder: "r"}
)

// put returns the statement that writes one value or header.
func (f *wireFormat) put(fn string, args ...string) string {
	if f.writer {
		return fmt.Sprintf("w.%s(%s)", fn, strings.Join(args, ", "))
	}
	return fmt.Sprintf("b = %s.Append%s(%s)", f.Pkg, fn, strings.Join(append([]string{"b"}, args...), ", "))
}

// key returns the constant for t's wire type.
func (f *wireFormat) key(t *ast.Type) string {
	name := map[ast.Kind]string{
		ast.KindBool: "Bool", ast.KindI8: "I8", ast.KindI16: "I16", ast.KindI32: "I32", ast.KindI64: "I64",
		ast.KindEnum: "I32", ast.KindDouble: "Double", ast.KindString: "Binary", ast.KindBinary: "Binary",
		ast.KindUUID: "UUID", ast.KindList: "List", ast.KindSet: "Set", ast.KindMap: "Map", ast.KindStruct: "Struct",
	}[t.True().Kind]
	return f.Pkg + "." + name
}

// elementKeys returns the constants for a container's types, when the format names them.
func (f *wireFormat) elementKeys(t *ast.Type) []string {
	if !f.typed {
		return nil
	}
	if t.Kind == ast.KindMap {
		return []string{f.key(t.Key), f.key(t.Elem)}
	}
	return []string{f.key(t.Elem)}
}

// scalar returns the runtime's name for the type of a value that is no container and no struct, or "".
func scalar(t *ast.Type) string {
	return map[ast.Kind]string{
		ast.KindBool: "Bool", ast.KindI8: "I8", ast.KindI16: "I16", ast.KindI32: "I32", ast.KindI64: "I64",
		ast.KindEnum: "I32", ast.KindDouble: "Double", ast.KindString: "Text", ast.KindBinary: "Binary", ast.KindUUID: "UUID",
	}[t.True().Kind]
}

// nest names the variables of nested loops: i, v, k for the outermost, i1, v1, k1 inside it, and i1k inside the
// keys of a map, which share a block with its values. A sorted set has the field's name in its own.
type nest struct {
	depth  int
	field  string
	suffix string
}

func (n nest) value() nest             { return nest{n.depth + 1, "", fmt.Sprint(n.depth + 1)} }
func (n nest) key() nest               { return nest{n.depth + 1, "", fmt.Sprint(n.depth+1) + "k"} }
func (n nest) name(what string) string { return what + n.field + n.suffix }

// lines is source text being written.
type lines struct{ strings.Builder }

func (l *lines) add(format string, args ...any) { fmt.Fprintf(l, format+"\n", args...) }
