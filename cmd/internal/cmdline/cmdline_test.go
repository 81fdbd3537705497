package cmdline

import (
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestFlagsStandAnywhere(t *testing.T) {
	flags := []cli.Flag{&cli.BoolFlag{Name: "json", Aliases: []string{"j"}}, &cli.StringFlag{Name: "to"}}
	app := &cli.App{Name: "x", Commands: []*cli.Command{
		{Name: "get", Flags: flags},
		{Name: "member", Subcommands: []*cli.Command{{Name: "add", Flags: flags}}},
	}}
	for _, c := range []struct{ args, want string }{
		{"x", "x"},
		{"x --help", "x --help"},
		{"x get", "x get --"},
		{"x get key --json", "x get --json -- key"},
		{"x get key --to there other", "x get --to there -- key other"},
		{"x get key --to=there other -j", "x get --to=there -j -- key other"},
		{"x get key --to", "x get --to -- key"},
		{"x get -- --json", "x get -- --json"},
		{"x get a -- b --json", "x get -- a b --json"},
		{"x get -5 - --bogus", "x get --bogus -- -5 -"},
		{"x member add 4 --json", "x member add --json -- 4"},
		{"x member", "x member"},
		{"x unknown a --json", "x unknown a --json"},
	} {
		if got := strings.Join(FlagsFirst(app, strings.Fields(c.args)), " "); got != c.want {
			t.Errorf("%q became %q, want %q", c.args, got, c.want)
		}
	}
}
