package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

// TestLimits loads programs at the limits of one load and one step over each.
func TestLimits(t *testing.T) {
	including := func(n int, each string) files {
		all := files{}
		var main strings.Builder
		for i := range n {
			name := fmt.Sprintf("f%d.thrift", i)
			all[name] = each
			fmt.Fprintf(&main, "include %q\n", name)
		}
		all["t.thrift"] = main.String()
		return all
	}
	megabyte := strings.Repeat("\n", parse.MaxFileBytes)
	// deep is a type under n typedefs of lists: 2n+1 levels.
	deep := func(n int) files {
		text := "typedef i32 T0\n"
		for i := range n {
			text += fmt.Sprintf("typedef list<T%d> T%d\n", i, i+1)
		}
		return files{"t.thrift": text}
	}
	for name, c := range map[string]struct {
		all  files
		want string
	}{
		"most files":      {including(MaxFiles-1, ""), ""},
		"a file too many": {including(MaxFiles, ""), "too much included, expected at most 1000 files of together 33554432 bytes"},
		"most bytes":      {including(MaxTotalBytes>>20, megabyte), ""},
		"too many bytes":  {including(MaxTotalBytes>>20+1, megabyte), "too much included"},
		"too deep a type": {deep(MaxTypeDepth / 2), "nested 65 deep, expected at most 64"},
		"deepest type":    {deep(MaxTypeDepth/2 - 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]string{"t.thrift"}, nil, c.all.read)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %.300v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %.300v, want %s", err, c.want)
			}
		})
	}
}
