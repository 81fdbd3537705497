// Package emit writes Go from a resolved Thrift program.
//
// For FILE.thrift with "namespace go NS" it writes into the folder NS:
//
//	FILE_gen.go          types, constants, defaults
//	FILE_compact_gen.go  Thrift Compact, direct
//	FILE_binary_gen.go   Thrift Binary, direct
//	FILE_msgpack_gen.go  msgpack, direct, and the glue for vmihailenco/msgpack
//	FILE_thrift_gen.go   Read and Write over any protocol of the Apache library
//	FILE_service_gen.go  services: clients, handlers, method descriptions
//
// The templates hold the shape of the output. What a line says about a type or field is computed here:
// names.go gives names, types.go Go types, put.go the lines that encode, get.go those that decode,
// literal.go constants and defaults.
package emit

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	goast "go/ast"
	"go/format"
	"go/parser"
	"go/scanner"
	"go/token"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

// File is one generated file: its slash-separated path below the output folder, and what is in it.
type File struct {
	Path string
	Data []byte
}

// Emit returns the files for the programs that were asked for. importBase is the import path of the output folder.
func Emit(set *ast.Set, importBase string) ([]File, error) {
	tmpl, err := template.ParseFS(templateFiles, "templates/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("emit: %w", err)
	}
	names := newNames(set)
	var files []File
	for _, p := range set.Roots {
		f, err := emitProgram(tmpl, names, p, importBase)
		if err != nil {
			return nil, err
		}
		files = append(files, f...)
	}
	return files, checkPaths(files)
}

// checkPaths refuses two IDL files that would be written to one Go file.
func checkPaths(files []File) error {
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Path] {
			return fmt.Errorf("emit: two IDL files would be written to %s; rename one or give it a namespace of its own", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

// outputs names the files and their templates; "records" is written only for structs, unions and exceptions.
var outputs = []struct {
	suffix, template string
	wanted           func(*ast.Program) bool
}{
	{"_gen.go", "types.tmpl", func(*ast.Program) bool { return true }},
	{"_compact_gen.go", "direct.tmpl", hasRecords},
	{"_binary_gen.go", "direct.tmpl", hasRecords},
	{"_msgpack_gen.go", "msgpack.tmpl", hasRecords},
	{"_thrift_gen.go", "thrift.tmpl", hasRecords},
	{"_service_gen.go", "service.tmpl", func(p *ast.Program) bool { return len(p.Services) > 0 }},
}

func hasRecords(p *ast.Program) bool { return len(p.Structs) > 0 || len(p.Services) > 0 }

func emitProgram(tmpl *template.Template, n *names, p *ast.Program, importBase string) ([]File, error) {
	formats := map[string]*wireFormat{"_compact_gen.go": compactFormat, "_binary_gen.go": binaryFormat,
		"_msgpack_gen.go": msgpackFormat, "_thrift_gen.go": protocolFormat}
	var files []File
	for _, out := range outputs {
		if !out.wanted(p) {
			continue
		}
		g := &generator{prog: p, names: n, importBase: importBase, format: formats[out.suffix],
			included: map[string]string{}, imports: map[string]string{}}
		data, err := g.render(tmpl, out.template)
		if err != nil {
			return nil, fmt.Errorf("emit: %s: %w", p.Path, err)
		}
		files = append(files, File{path.Join(n.dir(p), fileName(p)+out.suffix), data})
	}
	return files, nil
}

// fileName is what the names of a program's Go files begin with. The go command does not see files that begin with "_" or ".".
func fileName(p *ast.Program) string {
	if strings.HasPrefix(p.Name, "_") || strings.HasPrefix(p.Name, ".") {
		return "x" + p.Name
	}
	return p.Name
}

// generator writes one file.
type generator struct {
	prog       *ast.Program
	names      *names
	importBase string
	format     *wireFormat
	included   map[string]string // name -> import path of the packages of included files that were mentioned
	imports    map[string]string // import path -> name of the packages that the body uses
}

// view is what the templates see.
type view struct {
	Source   string // the IDL file as named on the command line
	Package  string
	Doc      string
	Format   *wireFormat
	Consts   []constView
	Typedefs []typedefView
	Enums    []enumView
	Records  []*record
	Services []*service
}

// render executes the template, then puts the header before it, since only now the imports are known.
func (g *generator) render(tmpl *template.Template, name string) ([]byte, error) {
	v := &view{
		Source: g.prog.Path, Package: g.names.pkg(g.prog), Format: g.format,
		Doc: comment("Package "+g.names.pkg(g.prog)+" is generated from "+path.Base(g.prog.Path)+".", g.prog.Doc),
	}
	switch name {
	case "types.tmpl":
		v.Consts, v.Typedefs, v.Enums = g.constViews(), g.typedefViews(), g.enumViews()
	case "service.tmpl":
		v.Services = g.services()
	}
	v.Records = g.records(name)
	var body bytes.Buffer
	if err := tmpl.ExecuteTemplate(&body, name, v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "// Code generated by raftgen from %s. DO NOT EDIT.\n\n", v.Source)
	if name == "types.tmpl" {
		out.WriteString(v.Doc)
	}
	fmt.Fprintf(&out, "package %s\n\n", v.Package)
	if err := g.addImports(body.String()); err != nil {
		return nil, badGo(name, err, body.String())
	}
	out.WriteString(g.importBlock())
	out.Write(body.Bytes())
	src, err := format.Source(out.Bytes())
	if err != nil {
		return nil, badGo(name, err, out.String())
	}
	return src, nil
}

// use returns the name under which generated code refers to a package of the runtime or the standard library.
func (g *generator) use(importPath string) string { return path.Base(importPath) }

const (
	apachePath   = "github.com/apache/thrift/lib/go/thrift"
	codecPath    = "github.com/seed-814fcd60/raftwire/codec"
	compactPath  = codecPath + "/thrift/compact"
	binaryPath   = codecPath + "/thrift/binary"
	protocolPath = codecPath + "/thrift/protocol"
	msgpackPath  = codecPath + "/msgpack"
)

// badGo describes a fault of the generator itself: the first syntax error and the line it is in.
func badGo(template string, err error, src string) error {
	if list, ok := errors.AsType[scanner.ErrorList](err); ok && len(list) > 0 {
		lines := strings.Split(src, "\n")
		if n := list[0].Pos.Line; n > 0 && n <= len(lines) {
			return fmt.Errorf("%s makes bad Go: %w: %s", template, list[0], lines[n-1])
		}
	}
	return fmt.Errorf("%s makes bad Go: %w", template, err)
}

// known are the packages that generated code may use, by name.
var known = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "math": "math", "strconv": "strconv",
	"thrift": apachePath, "codec": codecPath, "compact": compactPath, "binary": binaryPath, "protocol": protocolPath,
	"msgpack": msgpackPath,
}

// addImports looks for known and included packages in the body.
func (g *generator) addImports(body string) error {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	goast.Inspect(file, func(n goast.Node) bool {
		if sel, ok := n.(*goast.SelectorExpr); ok {
			if x, ok := sel.X.(*goast.Ident); ok && known[x.Name] != "" {
				g.imports[known[x.Name]] = x.Name
			} else if ok && g.included[x.Name] != "" {
				g.imports[g.included[x.Name]] = x.Name
			}
		}
		return true
	})
	return nil
}

// importBlock writes the imports: the standard library, others, ours.
func (g *generator) importBlock() string {
	if len(g.imports) == 0 {
		return ""
	}
	var groups [3][]string
	for p, name := range g.imports {
		line := fmt.Sprintf("%q", p)
		if path.Base(p) != name {
			line = name + " " + line
		}
		group := 1
		if !strings.Contains(p, ".") {
			group = 0
		} else if strings.HasPrefix(p, path.Dir(codecPath)) {
			group = 2
		}
		groups[group] = append(groups[group], line)
	}
	var b strings.Builder
	b.WriteString("import (\n")
	for _, lines := range groups {
		slices.SortFunc(lines, func(a, b string) int {
			return strings.Compare(a[strings.IndexByte(a, '"'):], b[strings.IndexByte(b, '"'):])
		})
		b.WriteString(strings.Join(lines, "\n") + "\n\n")
	}
	return b.String() + ")\n\n"
}
