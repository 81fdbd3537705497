// Package cmdline lets the flags of a command stand anywhere on its command line.
package cmdline

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// FlagsFirst returns args, in which a program's name and a command of app come first, with the command's flags in front
// of its other arguments, and "--" between them. What follows a "--" stays where it is. What looks like a flag and is not
// one of the command's stays a flag, for the parser to refuse; a negative number is an argument.
func FlagsFirst(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	head, commands, flags := 1, app.Commands, app.Flags
	for head < len(args) {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[head]) })
		if i < 0 {
			break
		}
		commands, flags = commands[i].Subcommands, commands[i].Flags
		head++
	}
	if head == 1 || len(commands) > 0 {
		return args // no command, or one that wants another behind it
	}
	var first, rest []string
	for tail := args[head:]; len(tail) > 0; tail = tail[1:] {
		arg := tail[0]
		if arg == "--" {
			rest = append(rest, tail[1:]...)
			break
		}
		if !looksLikeFlag(arg) {
			rest = append(rest, arg)
			continue
		}
		first = append(first, arg)
		if takesValue(flags, arg) && len(tail) > 1 {
			first, tail = append(first, tail[1]), tail[1:]
		}
	}
	return slices.Concat(args[:head], first, []string{"--"}, rest)
}

func looksLikeFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && (arg[1] < '0' || arg[1] > '9')
}

// takesValue reports whether the flag arg has its value in the next argument.
func takesValue(flags []cli.Flag, arg string) bool {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if hasValue {
		return false
	}
	for _, f := range flags {
		if _, isBool := f.(*cli.BoolFlag); slices.Contains(f.Names(), name) {
			return !isBool
		}
	}
	return false
}
