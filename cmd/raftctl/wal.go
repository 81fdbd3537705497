package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// walCommand looks into the log of a node. It changes and locks nothing: it can read a damaged log, and one that is in use.
func walCommand() *cli.Command {
	return &cli.Command{
		Name: "wal", Usage: "look into the log of a node, offline", HideHelpCommand: true, OnUsageError: usageFault,
		Action: unknownCommand,
		Subcommands: []*cli.Command{
			{
				Name: "dump", Usage: "print what is in the log of DIR, one line per segment, frame and record", ArgsUsage: "DIR",
				Flags: []cli.Flag{
					&cli.Int64Flag{Name: "group", Usage: "only the records of group `ID`, without frames"},
					&cli.BoolFlag{Name: "entries", Usage: "one more line for each entry"},
				},
				OnUsageError: usageFault, HideHelpCommand: true, Action: dump,
			},
			{
				Name: "verify", Usage: "check every byte of the log of DIR; status 1 when something is damaged", ArgsUsage: "DIR",
				OnUsageError: usageFault, HideHelpCommand: true, Action: verify,
			},
		},
	}
}

// directory returns the only argument: the directory of a log, or of raftkv, which has one in it.
func directory(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usage("wal %s: want one directory, got %d arguments", c.Command.Name, c.NArg())
	}
	dir := c.Args().First()
	for _, log := range []string{dir, filepath.Join(dir, "raft")} {
		if info, err := os.Stat(filepath.Join(log, "seg")); err == nil && info.IsDir() {
			return log, nil
		}
	}
	return "", usage("wal %s: %s is not the directory of a log", c.Command.Name, dir)
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
		return errFound
	}
	return nil
}
