package repocheck

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/token"
	"go/types"
	"maps"
	"slices"
)

// coreDir is the pure core: a function from events to effects. One seed replays
// every run of it, as long as nothing in it can take a different turn next time.
const coreDir = "engine/internal/raft"

// checkCore refuses in the core's own files what is not a function of its input:
// goroutines, channels, select, and ranging over a map, whose order is random.
// The importer resolves what the core imports; types it cannot resolve are an
// error, or a map of such a type would go unseen. Files behind build tags are
// checked too: once all tags are off, once all are on.
func checkCore(t *Tree, dir string, imp types.Importer) ([]Fault, error) {
	found := map[Fault]bool{}
	for _, tags := range []bool{false, true} {
		faults, err := checkCoreBuild(t, dir, imp, tags)
		if err != nil {
			return nil, err
		}
		for _, f := range faults {
			found[f] = true
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

func checkCoreBuild(t *Tree, dir string, imp types.Importer, tags bool) ([]Fault, error) {
	var files []*ast.File
	var paths []string
	for _, g := range t.Go {
		if g.Dir() == dir && !g.Test() && built(g.AST, tags) {
			files, paths = append(files, g.AST), append(paths, g.Path)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("repocheck: %s: no Go files, so nothing would be checked", dir)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: imp}
	if _, err := conf.Check(t.Module+"/"+dir, t.Set, files, info); err != nil {
		return nil, fmt.Errorf("repocheck: type-check %s: %w", dir, err)
	}
	var faults []Fault
	for i, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if text := impure(n, info); text != "" {
				faults = append(faults, Fault{Path: paths[i], Line: t.line(n.Pos()), Text: text + ": the core is a function of its events"})
			}
			return true
		})
	}
	return faults, nil
}

// built reports whether f is compiled, where CI runs, when every build tag of ours has the value
// tags. Tags of the platform do not occur in the core.
func built(f *ast.File, tags bool) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil {
				return expr.Eval(func(tag string) bool { return tags || tag == "unix" || tag == "linux" })
			}
		}
	}
	return true
}

func impure(n ast.Node, info *types.Info) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "go statement"
	case *ast.SelectStmt:
		return "select statement"
	case *ast.ChanType:
		return "channel type"
	case *ast.SendStmt:
		return "channel send"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "channel receive"
		}
	case *ast.RangeStmt:
		if _, ok := info.TypeOf(n.X).Underlying().(*types.Map); ok {
			return "range over a map, whose order is random"
		}
	}
	return ""
}
