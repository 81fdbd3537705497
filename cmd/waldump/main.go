// Command waldump looks into the log of a Raftwire node. It changes and locks
// nothing: it can read a damaged log, and one that is in use.
//
//	waldump dump DIR               one line per segment, frame and record
//	waldump dump --group 3 DIR     the records of one group
//	waldump verify DIR             check every byte; status 1 when something is damaged
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Exit statuses.
const (
	exitDamaged = 1
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

var errDamaged = errors.New("the log is damaged")

// run is the program, but for its end. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	err := newApp(stdout, stderr).Run(args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDamaged):
		return exitDamaged
	}
	fmt.Fprintf(stderr, "waldump: %v\n", err)
	return exitUsage
}

func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:            "waldump",
		Usage:           "look into the log of a Raftwire node",
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return err },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			{
				Name: "dump", Usage: "print what is in the log of `DIR`", ArgsUsage: "DIR",
				Flags: []cli.Flag{
					&cli.Int64Flag{Name: "group", Usage: "only the records of group `ID`, without frames"},
					&cli.BoolFlag{Name: "entries", Usage: "one more line for each entry"},
				},
				OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
				Action:       dump,
			},
			{
				Name: "verify", Usage: "check every byte of the log of DIR", ArgsUsage: "DIR",
				OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
				Action:       verify,
			},
		},
	}
}

// directory returns the only argument, which must be a directory with a log.
func directory(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", fmt.Errorf("%s: want one directory, got %d arguments", c.Command.Name, c.NArg())
	}
	return c.Args().First(), nil
}

func dump(c *cli.Context) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	p := printer{w: c.App.Writer, entries: c.Bool("entries")}
	if c.IsSet("group") {
		p.only, p.group = true, raftpb.GroupID(c.Int64("group"))
	}
	v := wal.Inspection{Record: p.record}
	if !p.only {
		v.Segment, v.Frame = p.segment, p.frame
	}
	rep, err := wal.Inspect(nil, dir, v)
	if err != nil {
		return err
	}
	return p.summary(rep)
}

func verify(c *cli.Context) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	rep, err := wal.Inspect(nil, dir, wal.Inspection{})
	if err != nil {
		return err
	}
	return (&printer{w: c.App.Writer}).summary(rep)
}

// printer writes one line per thing.
type printer struct {
	w       io.Writer
	only    bool
	group   raftpb.GroupID
	entries bool
}

func (p *printer) segment(s wal.SegmentInfo) error {
	state := ""
	if s.Prepared {
		state = " prepared"
	}
	if s.NoSync {
		state += " nosync"
	}
	if s.Doubtful {
		state += " after damage"
	}
	_, err := fmt.Fprintf(p.w, "segment %d base %d%s, %v, made %s\n", s.Seq, s.Base, state, s.Identity,
		s.Created.UTC().Format("2006-01-02T15:04:05.000Z"))
	return err
}

func (p *printer) frame(f wal.FrameInfo) error {
	_, err := fmt.Fprintf(p.w, "  frame %d %s, %d bytes, %d records, durable before %d, %s\n", f.LSN, f.Kind, f.Bytes, f.Records,
		f.Durable, f.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	return err
}

func (p *printer) record(r wal.RecordInfo) error {
	if p.only && r.Group != p.group {
		return nil
	}
	flags := ""
	if r.Flags != "" {
		flags = " (" + r.Flags + ")"
	}
	line := fmt.Sprintf("    %d group %d %s%s", r.LSN, r.Group, r.Type, flags)
	switch r.Type {
	case "entries":
		line += fmt.Sprintf(" [%d, %d) term %d", r.Index, r.Index+raftpb.Index(len(r.Entries)), r.Term)
		if len(r.BadBody) > 0 {
			line += fmt.Sprintf(", DAMAGED BODIES %v", r.BadBody)
		}
	case "hard-state":
		line += fmt.Sprintf(" term %d vote %d commit %d", r.Hard.Term, r.Hard.Vote, r.Hard.Commit)
	case "compact":
		line += fmt.Sprintf(" to %d, term before it %d", r.Index, r.Term)
	case "truncate":
		line += fmt.Sprintf(" from %d", r.Index)
	case "snapshot":
		line += fmt.Sprintf(" index %d term %d, %d bytes, keep %v", r.Index, r.Term, len(r.Data), r.Keep)
	}
	if _, err := fmt.Fprintln(p.w, line); err != nil {
		return err
	}
	if !p.entries {
		return nil
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		_, err := fmt.Fprintf(p.w, "      %d kind %d, %d bytes, crc %08x\n", r.Index+raftpb.Index(i), e.Kind,
			len(e.Body)+int(e.StrippedBytes.Or(0)), e.Crc32c)
		if err != nil {
			return err
		}
	}
	return nil
}

// summary says what was read and what is wrong with it.
func (p *printer) summary(rep wal.InspectReport) error {
	end := "the log was not closed in order"
	switch {
	case rep.Torn:
		end = "the log ends in a torn write, which nobody was told of"
	case rep.Clean:
		end = "the log was closed in order"
	}
	fmt.Fprintf(p.w, "%d segments, %d frames, %d records, %d entries, %d bytes; ends at LSN %d; %s\n",
		rep.Segments, rep.Frames, rep.Records, rep.Entries, rep.Bytes, rep.End, end)
	for _, d := range rep.Damage {
		fmt.Fprintf(p.w, "DAMAGE %v\n", d)
	}
	if len(rep.Damage) > 0 {
		return errDamaged
	}
	return nil
}
