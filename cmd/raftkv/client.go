package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// clientCommands are the commands that call a running cluster.
func clientCommands(stdin io.Reader, stdout io.Writer) []*cli.Command {
	command := func(name, usageText, args string, least, most int, flags []cli.Flag, do func(*client, []string) error) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usageText, ArgsUsage: args, Description: clientHelp, HideHelpCommand: true, OnUsageError: usageFault,
			Flags: append(cluster.Flags(), flags...),
			Action: func(c *cli.Context) error {
				if c.NArg() < least || c.NArg() > most {
					return usage("%s: want %s", name, args)
				}
				return withClient(c, stdin, stdout, func(k *client) error { return do(k, c.Args().Slice()) })
			},
		}
	}
	return []*cli.Command{
		command("put", "store a value; without VALUE it is read from standard input", "KEY [VALUE]", 1, 2, writeFlags(), (*client).put),
		command("get", "print the value of a key", "KEY", 1, 1, readFlags(), (*client).get),
		command("del", "remove a key", "KEY", 1, 1, writeFlags(), (*client).del),
		command("cas", "store NEW if the value is EXPECTED, or with --absent if there is none", "KEY [EXPECTED] NEW", 2, 3,
			append(writeFlags(), &cli.BoolFlag{Name: "absent", Usage: "the key must not exist"}), (*client).cas),
		command("append", "put a value behind what the key has", "KEY VALUE", 2, 2, writeFlags(), (*client).append),
		command("scan", "print keys and values in order, one pair a line", "[PREFIX]", 0, 1, append(
			readFlags(),
			&cli.StringFlag{Name: "first", Usage: "the `KEY` to begin with"},
			&cli.StringFlag{Name: "last", Usage: "the `KEY` to end with"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N` pairs; 0: all"},
			&cli.BoolFlag{Name: "keys", Usage: "the keys only"},
		), (*client).scan),
		{
			Name: "session", Usage: "open a session and print its number, for --session", HideHelpCommand: true,
			OnUsageError: usageFault, Flags: cluster.Flags(), Description: clientHelp,
			Action: func(c *cli.Context) error { return withClient(c, stdin, stdout, (*client).session) },
		},
	}
}

func readFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "consistency", Usage: "linearizable, lease, follower or stale", Value: "linearizable"},
		&cli.DurationFlag{Name: "max-stale", Usage: "with stale: miss nothing that was acknowledged so long ago"},
		&cli.Int64Flag{Name: "min-index", Usage: "see at least everything up to this index of the log"},
	}
}

func writeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "session", Usage: "apply it once however often it is sent: `SESSION:SERIAL`, or \"new\" for a session of its own"},
	}
}

// client is a command that calls the cluster.
type client struct {
	ctx     context.Context //nolint:containedctx // a command's, for its whole life
	c       *cli.Context
	cluster *cluster.Client
	stdin   io.Reader
	out     io.Writer
}

func withClient(c *cli.Context, stdin io.Reader, stdout io.Writer, do func(*client) error) error {
	calls, err := cluster.FromFlags(c)
	if err != nil {
		return &usageError{err}
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	return errors.Join(do(&client{ctx, c, calls, stdin, stdout}), calls.Close())
}

func (k *client) put(args []string) error {
	value := []byte(nil)
	if len(args) == 2 {
		value = []byte(args[1])
	} else {
		var err error
		if value, err = io.ReadAll(io.LimitReader(k.stdin, kvpb.MaxValueBytes+1)); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
	var resp kvpb.PutResponse
	return k.write(func(once *kvpb.InSession, kind cluster.Kind) error {
		req := &kvpb.PutRequest{Group: kvpb.DefaultGroup, Key: []byte(args[0]), Value: value, TimeoutMs: k.attemptMs(), Once: once}
		return k.cluster.Call(k.ctx, kind, kvpb.KVPut, req, &resp)
	}, func() error {
		return k.print("ok", object{"ok": true, "index": resp.Index, "existed": resp.Existed})
	})
}

func (k *client) del(args []string) error {
	var resp kvpb.DeleteResponse
	return k.write(func(once *kvpb.InSession, kind cluster.Kind) error {
		req := &kvpb.DeleteRequest{Group: kvpb.DefaultGroup, Key: []byte(args[0]), TimeoutMs: k.attemptMs(), Once: once}
		return k.cluster.Call(k.ctx, kind, kvpb.KVDelete, req, &resp)
	}, func() error {
		if err := k.print(map[bool]string{true: "ok", false: "no such key"}[resp.Existed], object{"ok": true, "index": resp.Index, "existed": resp.Existed}); err != nil || resp.Existed {
			return err
		}
		return &noError{}
	})
}

func (k *client) cas(args []string) error {
	var expected []byte
	switch absent := k.c.Bool("absent"); {
	case absent && len(args) == 3, !absent && len(args) == 2:
		return usage("cas: want KEY EXPECTED NEW, or --absent KEY NEW")
	case !absent:
		expected = []byte(args[1])
	}
	var resp kvpb.CasResponse
	return k.write(func(once *kvpb.InSession, kind cluster.Kind) error {
		req := &kvpb.CasRequest{
			Group: kvpb.DefaultGroup, Key: []byte(args[0]), Value: []byte(args[len(args)-1]), Expected: expected, TimeoutMs: k.attemptMs(), Once: once,
		}
		return k.cluster.Call(k.ctx, kind, kvpb.KVCas, req, &resp)
	}, func() error {
		o := object{"ok": true, "index": resp.Index, "swapped": resp.Swapped}
		line := "ok"
		if !resp.Swapped {
			o["current"], line = nil, "not swapped: no such key"
			if resp.Current != nil {
				o["current"], line = bytesOf(resp.Current), "not swapped: the value is "+printable(resp.Current)
			}
		}
		if err := k.print(line, o); err != nil || resp.Swapped {
			return err
		}
		return &noError{}
	})
}

func (k *client) append(args []string) error {
	var resp kvpb.AppendResponse
	return k.write(func(once *kvpb.InSession, kind cluster.Kind) error {
		req := &kvpb.AppendRequest{Group: kvpb.DefaultGroup, Key: []byte(args[0]), Value: []byte(args[1]), TimeoutMs: k.attemptMs(), Once: once}
		return k.cluster.Call(k.ctx, kind, kvpb.KVAppendValue, req, &resp)
	}, func() error {
		return k.print(fmt.Sprintf("ok, %d bytes now", resp.Length), object{"ok": true, "index": resp.Index, "length": resp.Length})
	})
}

func (k *client) get(args []string) error {
	mode, stale, least, err := k.consistency()
	if err != nil {
		return err
	}
	var resp kvpb.GetResponse
	err = k.cluster.Call(k.ctx, cluster.Read, kvpb.KVGet, &kvpb.GetRequest{
		Group: kvpb.DefaultGroup, Key: []byte(args[0]), Consistency: mode, MaxStaleMs: stale, MinIndex: least, TimeoutMs: k.attemptMs(),
	}, &resp)
	if err != nil {
		return k.failed(err)
	}
	found := resp.Value != nil
	if k.c.Bool("json") {
		o := object{"ok": true, "key": bytesOf([]byte(args[0])), "found": found, "index": resp.Index}
		if found {
			o["value"] = bytesOf(resp.Value)
		}
		err = k.print("", o)
	} else if found {
		_, err = k.out.Write(append(resp.Value, '\n'))
	}
	if err == nil && !found {
		return &noError{text: map[bool]string{false: "no such key"}[k.c.Bool("json")]}
	}
	return err
}

func (k *client) scan(args []string) error {
	mode, stale, least, err := k.consistency()
	if err != nil {
		return err
	}
	req := &kvpb.ScanRequest{Group: kvpb.DefaultGroup, Consistency: mode, MaxStaleMs: stale, MinIndex: least, TimeoutMs: k.attemptMs()}
	req.Range.First, req.Range.KeysOnly = []byte(k.c.String("first")), k.c.Bool("keys")
	if len(args) == 1 {
		req.Range.Prefix = []byte(args[0])
	}
	if k.c.IsSet("last") {
		req.Range.Last = []byte(k.c.String("last"))
	}
	left := k.c.Int("limit")
	if left < 0 {
		return usage("--limit: %d is negative", left)
	}
	pairs := []any{}
	for {
		req.Range.Limit = int32(min(max(left, 0), kvpb.MaxScanPairs))
		var resp kvpb.ScanResponse
		if err := k.cluster.Call(k.ctx, cluster.Read, kvpb.KVScan, req, &resp); err != nil {
			return k.failed(err)
		}
		for _, p := range resp.Pairs {
			if k.c.Bool("json") {
				o := object{"key": bytesOf(p.Key)}
				if !req.Range.KeysOnly {
					o["value"] = bytesOf(p.Value)
				}
				pairs = append(pairs, o)
			} else if err := k.printPair(&p, req.Range.KeysOnly); err != nil {
				return err
			}
		}
		left -= len(resp.Pairs)
		if !resp.More || k.c.Int("limit") > 0 && left <= 0 {
			if k.c.Bool("json") {
				return k.print("", object{"ok": true, "pairs": pairs, "more": resp.More, "index": resp.Index})
			}
			return nil
		}
		req.Range.First = append(resp.Pairs[len(resp.Pairs)-1].Key, 0)
	}
}

func (k *client) printPair(p *kvpb.Pair, keyOnly bool) error {
	line := printable(p.Key)
	if !keyOnly {
		line += "\t" + printable(p.Value)
	}
	_, err := fmt.Fprintln(k.out, line)
	return err
}

func (k *client) session() error {
	s, err := k.openSession()
	if err != nil {
		return k.failed(err)
	}
	return k.print(fmt.Sprint(s.Session), object{"ok": true, "session": s.Session, "window": s.Window})
}

func (k *client) openSession() (*raftpb.OpenSessionResponse, error) {
	var resp raftpb.OpenSessionResponse
	req := &raftpb.OpenSessionRequest{Group: kvpb.DefaultGroup, TimeoutMs: k.attemptMs()}
	// A session too many makes room by itself.
	return &resp, k.cluster.Call(k.ctx, cluster.Again, raftpb.RaftClientOpenSession, req, &resp)
}

// write carries out a write, in a session if one is asked for, and says what became of it.
func (k *client) write(call func(*kvpb.InSession, cluster.Kind) error, done func() error) error {
	once, kind := (*kvpb.InSession)(nil), cluster.Once
	switch text := k.c.String("session"); {
	case text == "new":
		s, err := k.openSession()
		if err != nil {
			return k.failed(err)
		}
		once, kind = &kvpb.InSession{Session: s.Session, Serial: 1}, cluster.Again
	case text != "":
		once, kind = new(kvpb.InSession), cluster.Again
		if n, err := fmt.Sscanf(text, "%d:%d", &once.Session, &once.Serial); n != 2 || err != nil || fmt.Sprintf("%d:%d", once.Session, once.Serial) != text {
			return usage("--session %q: want SESSION:SERIAL or new", text)
		}
	}
	if err := call(once, kind); err != nil {
		return k.failed(err)
	}
	return done()
}

// consistency reads the flags of a read.
func (k *client) consistency() (mode raftpb.Consistency, stale codec.Opt[int64], least codec.Opt[raftpb.Index], err error) {
	name := strings.ToLower(k.c.String("consistency"))
	modes := map[string]raftpb.Consistency{
		"linearizable": raftpb.ConsistencyLinearizable, "follower": raftpb.ConsistencyFollower,
		"lease": raftpb.ConsistencyLease, "stale": raftpb.ConsistencyStale,
	}
	mode, ok := modes[name]
	if !ok {
		return 0, stale, least, usage("--consistency %q: want linearizable, lease, follower or stale", name)
	}
	if k.c.IsSet("max-stale") {
		stale = codec.Some(k.c.Duration("max-stale").Milliseconds())
	}
	if k.c.IsSet("min-index") {
		least = codec.Some(raftpb.Index(k.c.Int64("min-index")))
	}
	return mode, stale, least, nil
}

// attemptMs is the time limit that a node is told.
func (k *client) attemptMs() int32 {
	return int32(min(k.c.Duration("timeout"), 10*time.Second).Milliseconds())
}

type object map[string]any

// print prints what became of a command: for people a line, for scripts an object.
func (k *client) print(line string, o object) error {
	if !k.c.Bool("json") {
		_, err := fmt.Fprintln(k.out, line)
		return err
	}
	return json.NewEncoder(k.out).Encode(o)
}

// failed says why a command failed; an unknown outcome is said to be that.
func (k *client) failed(err error) error {
	if k.c.Bool("json") {
		o := object{"ok": false, "error": oneLine(err), "outcome": "failed"}
		if errors.Is(err, cluster.ErrUnknown) {
			o["outcome"] = "unknown"
		}
		return errors.Join(err, k.print("", o))
	}
	return err
}

// bytesOf is how bytes stand in JSON.
func bytesOf(b []byte) any {
	if utf8.Valid(b) {
		return string(b)
	}
	return object{"base64": base64.StdEncoding.EncodeToString(b)}
}

// printable is how bytes stand in a line for people.
func printable(b []byte) string {
	if utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return string(b)
	}
	return fmt.Sprintf("%q", b)
}
