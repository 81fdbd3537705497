package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Bounds of the settings.
const (
	maxNodes        = 9
	maxGroups       = 1024
	maxCommandBytes = raftpb.MaxFrameBytes - 64<<10
	maxDuration     = 24 * time.Hour
	// Log files: the write-ahead log writes blocks of segmentUnit.
	segmentUnit = 4 << 10
	minSegment  = 1 << 20
	maxSegment  = 1 << 30
	// maxLoadBytes bounds clients x payload: what the clients have in flight together.
	maxLoadBytes = 256 << 20
	// defaultQueuedBytes bounds what a node queues and what it has not committed yet.
	defaultQueuedBytes = 64 << 20
)

// runConfig is what "run" was asked for.
type runConfig struct {
	nodes, groups        int
	work                 work
	reads                float64 // percent
	consistency          string  // of reads
	duration             time.Duration
	warmup               warmupConfig
	engine               engineConfig
	dir                  string
	historyFile          string // "": none
	json, processes, tls bool
	spread               bool // leaders over the nodes
	machine              result.Machine
	peers                map[engine.NodeID]string // nodes that run already, nil: none
	scenario             *scenarioConfig          // nil: none
	cpuProfile           string                   // file; "": none
	dropApply            int                      // node that drops one apply; 0: none
	stderr               io.Writer                // of child processes
	logLevel             *slog.LevelVar
}

// engineConfig is what "run" and "node" both set.
type engineConfig struct {
	codec           string
	durability      engine.Durability
	electionTimeout time.Duration
	segmentBytes    int
	clockBound      time.Duration // 0: no leases
}

// nodeConfig is what "node" was asked for.
type nodeConfig struct {
	id             engine.NodeID
	cluster        string
	listen, dir    string
	peers, dials   map[engine.NodeID]string
	groups         int
	engine         engineConfig
	join           bool
	endWithStdin   bool
	dropApply      bool
	maxQueuedBytes int
	log            slog.Level
}

// setting is the value of a flag. Setting it never fails: a fault is kept, so that
// one line can name all faults of a command line.
type setting struct {
	text  string
	fault error
	parse func(text string) error
}

// Set implements cli.Generic.
func (s *setting) Set(text string) error {
	s.text, s.fault = text, s.parse(text)
	return nil
}

// String implements cli.Generic.
func (s *setting) String() string { return s.text }

// settings are the flags of a command.
type settings struct {
	flags []cli.Flag
	named []namedSetting
}

type namedSetting struct {
	name string
	*setting
}

// add adds a flag; text is its default.
func (s *settings) add(name, usage, text string, parse func(string) error) {
	v := &setting{text: text, parse: parse}
	if text != "" {
		v.fault = parse(text)
	}
	s.flags = append(s.flags, &cli.GenericFlag{Name: name, Usage: usage, Value: v})
	s.named = append(s.named, namedSetting{name, v})
}

// defaults changes what flags are that are not given.
func (s *settings) defaults(texts map[string]string) {
	for _, n := range s.named {
		if text, ok := texts[n.name]; ok {
			n.text, n.fault = text, n.parse(text)
		}
	}
}

// given says whether a flag has a value, good or bad.
func (s *settings) given(name string) bool {
	return slices.ContainsFunc(s.named, func(n namedSetting) bool { return n.name == name && n.text != "" })
}

// faults returns everything that is wrong with the values.
func (s *settings) faults() (list []error) {
	for _, n := range s.named {
		if n.fault != nil {
			list = append(list, fmt.Errorf("--%s: %w", n.name, n.fault))
		}
	}
	return list
}

func (s *settings) number(into *int, name, usage string, value, lo, hi int) {
	s.add(name, fmt.Sprintf("%s, %d to %d", usage, lo, hi), strconv.Itoa(value), func(text string) (err error) {
		*into, err = parseNumber(text, lo, hi)
		return err
	})
}

func (s *settings) duration(into *time.Duration, name, usage string, value, lo, hi time.Duration) {
	s.add(name, usage, value.String(), func(text string) (err error) {
		*into, err = parseDuration(text, lo, hi)
		return err
	})
}

func (s *settings) text(into *string, name, usage string, check func(string) error) {
	s.add(name, usage, "", func(text string) error {
		*into = text
		return check(text)
	})
}

// engine adds the flags of "run" and "node" alike.
func (s *settings) engine(c *engineConfig) {
	s.add("codec", "`NAME` of what nodes and clients send: thrift-compact, thrift-binary or msgpack", "thrift-compact", func(text string) error {
		c.codec = text
		_, err := codecByName(text)
		return err
	})
	s.add("durability", "`WHAT` an acknowledged command survives: fsync (power loss), nosync (killed processes) or memory (nothing)", "fsync",
		func(text string) (err error) {
			c.durability, err = parseDurability(text)
			return err
		})
	s.duration(&c.electionTimeout, "election-timeout", "longest `TIME` that a follower waits for its leader before it campaigns, 10ms to 1h",
		time.Second, 10*time.Millisecond, time.Hour)
	s.duration(&c.clockBound, "clock-bound", "leases: `TIME` by which the nodes' clocks may drift apart within half an election time-out; 0s: none, but run sets it for lease reads",
		0, 0, time.Hour)
	s.add("segment", fmt.Sprintf("size of a log file in `BYTES`, a multiple of %d, %d to %d", segmentUnit, minSegment, maxSegment), "67108864",
		func(text string) (err error) {
			c.segmentBytes, err = parseNumber(text, minSegment, maxSegment)
			if err == nil && c.segmentBytes%segmentUnit != 0 {
				err = fmt.Errorf("%d is not a multiple of %d", c.segmentBytes, segmentUnit)
			}
			return err
		})
}

func nodeSettings(c *nodeConfig) *settings {
	s := new(settings)
	c.peers, c.dials = map[engine.NodeID]string{}, map[engine.NodeID]string{}
	s.add("id", "`ID` of this node, at least 1; required", "", func(text string) (err error) {
		c.id, err = parseNodeID(text)
		return err
	})
	s.text(&c.cluster, "cluster", "`NAME` of the cluster, 1 to 39 bytes; required", func(text string) error {
		if text == "" || len(text) > wal.MaxClusterBytes {
			return fmt.Errorf("%d bytes, want 1 to %d", len(text), wal.MaxClusterBytes)
		}
		return nil
	})
	s.text(&c.listen, "listen", "`ADDRESS` to listen on, host:port; required", checkAddress)
	s.add("peer", "`ID=ADDRESS` of a member, this one included; once per member, or separated by commas", "", addressList(c.peers))
	s.add("dial", "`ID=ADDRESS` to dial for a member instead of its own; likewise", "", addressList(c.dials))
	s.text(&c.dir, "dir", "data `DIR`, created when missing; required unless --durability is memory", notEmpty)
	s.number(&c.groups, "groups", "Raft groups, `N`", 1, 1, maxGroups)
	s.engine(&c.engine)
	s.number(&c.maxQueuedBytes, "max-queued", "`BYTES` of commands that may wait; over it, clients are told to come back", defaultQueuedBytes, 1<<20, 1<<30)
	s.add("log", "`LEVEL` from which on events are logged to standard error: debug, info, warn or error", "warn", func(text string) error {
		if err := c.log.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%q is not debug, info, warn or error", text)
		}
		return nil
	})
	s.flags = append(s.flags,
		&cli.BoolFlag{Name: "join", Usage: "wait until the cluster adds this node; instead of --peer"},
		&cli.BoolFlag{Name: "end-with-stdin", Usage: "obey standard input (\"codec NAME\", \"sync TIME\") and stop when it ends: a child does not outlive its parent"},
		&cli.BoolFlag{Name: "test-drop-apply", Usage: "for tests: forget one command"})
	return s
}

// validate finds what no single flag can tell.
func (c *nodeConfig) validate(s *settings) (list []error) {
	required := []string{"id", "cluster", "listen", "dir"}
	if c.engine.durability == engine.Memory {
		required = required[:3]
	}
	for _, name := range required {
		if !s.given(name) {
			list = append(list, fmt.Errorf("--%s: missing", name))
		}
	}
	if c.join && len(c.peers) > 0 {
		list = append(list, errors.New("--join: not with --peer"))
	}
	if len(c.peers) > 0 && c.id != 0 && c.peers[c.id] == "" {
		list = append(list, fmt.Errorf("--peer: node %d (this one) is missing", c.id))
	}
	for _, id := range slices.Sorted(maps.Keys(c.dials)) {
		if c.peers[id] == "" {
			list = append(list, fmt.Errorf("--dial: node %d is no --peer", id))
		}
	}
	return list
}

// codecByName finds a codec that nodes speak to each other.
func codecByName(name string) (codec.Codec, error) {
	if c, ok := codec.ByName(name); ok && c.ID() <= codec.IDMsgpack {
		return c, nil
	}
	return nil, fmt.Errorf("%q is not thrift-compact, thrift-binary or msgpack", name)
}

func parseNumber(text string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return lo, fmt.Errorf("%q is not a whole number", text)
	}
	if n < lo || n > hi {
		return lo, fmt.Errorf("%d is not in %d to %d", n, lo, hi)
	}
	return n, nil
}

func parseDuration(text string, lo, hi time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return lo, fmt.Errorf("%q is not a duration such as 500ms or 10s", text)
	}
	if d < lo || d > hi {
		return lo, fmt.Errorf("%v is not in %v to %v", d, lo, hi)
	}
	return d, nil
}

func parseDurability(text string) (engine.Durability, error) {
	for _, d := range []engine.Durability{engine.Fsync, engine.NoSync, engine.Memory} {
		if text == d.String() {
			return d, nil
		}
	}
	return engine.Fsync, fmt.Errorf("%q is not fsync, nosync or memory", text)
}

func parseNodeID(text string) (engine.NodeID, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%q is not a node id, a whole number from 1 on", text)
	}
	return engine.NodeID(id), nil
}

// addressList parses "1=host:port,2=host:port" into m; it may be called again. A
// fault of an earlier value stays.
func addressList(m map[engine.NodeID]string) func(string) error {
	var faults []string
	return func(text string) error {
		for item := range strings.SplitSeq(text, ",") {
			name, addr, _ := strings.Cut(item, "=")
			id, err := parseNodeID(name)
			switch {
			case err != nil || checkAddress(addr) != nil:
				faults = append(faults, fmt.Sprintf("%q is not ID=host:port", item))
			case m[id] != "":
				faults = append(faults, fmt.Sprintf("node %d is there twice", id))
			default:
				m[id] = addr
			}
		}
		if len(faults) == 0 {
			return nil
		}
		return errors.New(strings.Join(faults, ", "))
	}
}

func checkAddress(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not host:port", text)
	}
	return nil
}

func notEmpty(text string) error {
	if text == "" {
		return errors.New("empty")
	}
	return nil
}
