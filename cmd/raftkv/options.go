package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine"
)

// serveConfig is what "serve" was asked for.
type serveConfig struct {
	host  engine.Config
	peers map[engine.NodeID]string
	join  bool
	dir   string
	advertise,
	admin string // "off": none
	tlsCert, tlsKey, tlsCA string
}

// option is a setting of "serve": a flag, and a key of the configuration file with the same name.
type option struct {
	name, usage string
	value       string // by default
	list        bool   // may be given several times; an array in the file
	set         func(c *serveConfig, values []string) error
}

// one makes a setter of a parser for an option that has one value.
func one[T any](field func(*serveConfig) *T, parse func(string) (T, error)) func(*serveConfig, []string) error {
	return func(c *serveConfig, values []string) error {
		if values[0] == "" {
			return nil // the engine's default
		}
		v, err := parse(values[0])
		*field(c) = v
		return err
	}
}

func text(field func(*serveConfig) *string) func(*serveConfig, []string) error {
	return one(field, func(s string) (string, error) { return s, nil })
}

func addresses(field func(*serveConfig) *map[engine.NodeID]string) func(*serveConfig, []string) error {
	return func(c *serveConfig, values []string) error {
		all := map[engine.NodeID]string{}
		for _, v := range values {
			id, addr, err := parseMember(v)
			if err != nil {
				return err
			}
			if _, twice := all[id]; twice {
				return fmt.Errorf("node %d is there twice", id)
			}
			all[id] = addr
		}
		*field(c) = all
		return nil
	}
}

// options are all settings of "serve".
func options() []option {
	return []option{
		{name: "id", usage: "number of this node in its cluster, from 1", value: "1", set: one(func(c *serveConfig) *engine.NodeID { return &c.host.Node }, parseNode)},
		{name: "cluster", usage: "name of the cluster; nodes of another one are refused", value: "raftkv", set: text(func(c *serveConfig) *string { return &c.host.Cluster })},
		{name: "listen", usage: "`ADDR` to listen on, host:port", value: "127.0.0.1:7001", set: one(func(c *serveConfig) *string { return &c.host.Listen }, parseAddress)},
		{name: "advertise", usage: "`ADDR` under which others reach this node; default: --listen", set: one(func(c *serveConfig) *string { return &c.advertise }, parseAddress)},
		{name: "dir", usage: "`DIR`ectory of the data, of mode 0700", value: "raftkv-data", set: text(func(c *serveConfig) *string { return &c.dir })},
		{name: "peer", usage: "`ID=ADDR` of a first member of the cluster; the same list on all of them. It counts on the first start only", list: true, set: addresses(func(c *serveConfig) *map[engine.NodeID]string { return &c.peers })},
		{name: "join", usage: "wait until the cluster adds this node (raftctl member add)", value: "false", set: one(func(c *serveConfig) *bool { return &c.join }, parseBool)},
		{name: "epoch", usage: "epoch of a cluster that was recovered from the loss of a quorum (raftctl recover), for a node that joins it", value: "0", set: one(func(c *serveConfig) *int64 { return &c.host.Epoch }, func(s string) (int64, error) { n, err := parseCount(s); return int64(n), err })},
		{name: "dial", usage: "`ID=ADDR` that this node dials for a member, in place of the member's address", list: true, set: addresses(func(c *serveConfig) *map[engine.NodeID]string { return &c.host.Dial })},
		{name: "admin", usage: "`ADDR` of the admin pages over HTTP, or off; default: on this machine, at the port of --listen plus 1000", set: one(func(c *serveConfig) *string { return &c.admin }, parseAdmin)},
		{name: "codec", usage: "what this node sends requests in: thrift-compact, thrift-binary or msgpack", set: text(func(c *serveConfig) *string { return &c.host.Codec })},
		{name: "election-timeout", usage: "how long a follower waits for a leader, at most", value: "1s", set: one(func(c *serveConfig) *time.Duration { return &c.host.ElectionTimeout }, time.ParseDuration)},
		{name: "max-election-timeout", usage: "how far it may rise by itself where network or disks are slow; default: --election-timeout", set: one(func(c *serveConfig) *time.Duration { return &c.host.MaxElectionTimeout }, time.ParseDuration)},
		{name: "heartbeat", usage: "how often a leader speaks that has nothing to say; default: a tenth of --election-timeout", set: one(func(c *serveConfig) *time.Duration { return &c.host.HeartbeatInterval }, time.ParseDuration)},
		{name: "clock-bound", usage: "switches lease reads on: the most by which two clocks drift apart within half an --election-timeout; the same on all nodes", set: one(func(c *serveConfig) *time.Duration { return &c.host.ClockBound }, time.ParseDuration)},
		{name: "snapshot-entries", usage: "a snapshot is taken every so many entries; -1: only by size, and when asked for", value: "500000", set: one(func(c *serveConfig) *int { return &c.host.Snapshots.Entries }, parseCount)},
		{name: "keep-entries", usage: "entries that stay in the log behind a snapshot, for nodes that lag; -1: none", value: "50000", set: one(func(c *serveConfig) *int { return &c.host.Snapshots.KeepEntries }, parseCount)},
		{name: "snapshots-from-followers", usage: "while this node leads, others read snapshots from followers that have the same one", value: "false", set: one(func(c *serveConfig) *bool { return &c.host.Snapshots.FromFollowers }, parseBool)},
		{name: "segment-bytes", usage: "size of a file of the log", value: "64MiB", set: one(func(c *serveConfig) *int64 { return &c.host.SegmentBytes }, parseBytes)},
		{name: "max-frame", usage: "longest message in bytes; the same on all nodes", value: "16384000", set: one(func(c *serveConfig) *int { return &c.host.MaxFrameBytes }, func(s string) (int, error) { n, err := parseBytes(s); return int(n), err })},
		{name: "tls-cert", usage: "`FILE` with this node's certificate (PEM); switches mutual TLS on", set: text(func(c *serveConfig) *string { return &c.tlsCert })},
		{name: "tls-key", usage: "`FILE` with its private key (PEM)", set: text(func(c *serveConfig) *string { return &c.tlsKey })},
		{name: "tls-ca", usage: "`FILE` with the roots that certificates of others must be signed by (PEM)", set: text(func(c *serveConfig) *string { return &c.tlsCA })},
	}
}

// flags are the flags of the options.
func flags(all []option) []cli.Flag {
	list := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "TOML `FILE` with the same keys; flags go before it", TakesFile: true},
		&cli.BoolFlag{Name: "print-config", Usage: "print the settings as such a file, and do nothing else"},
	}
	for _, o := range all {
		switch {
		case o.list:
			list = append(list, &cli.StringSliceFlag{Name: o.name, Usage: o.usage})
		case o.value == "false":
			list = append(list, &cli.BoolFlag{Name: o.name, Usage: o.usage})
		default:
			list = append(list, &cli.StringFlag{Name: o.name, Usage: o.usage, DefaultText: o.value})
		}
	}
	return list
}

// resolve returns the value of each option: of the command line, else of the file, else the default.
func resolve(c *cli.Context, all []option) (map[string][]string, error) {
	file := map[string]any{}
	if name := c.String("config"); name != "" {
		data, err := os.ReadFile(name)
		if err == nil {
			err = toml.Unmarshal(data, &file)
		}
		if err != nil {
			return nil, fmt.Errorf("--config %s: %w", name, err)
		}
	}
	values := map[string][]string{}
	var faults []error
	for _, o := range all {
		given, inFile := file[o.name]
		delete(file, o.name)
		switch {
		case c.IsSet(o.name) && o.list:
			values[o.name] = c.StringSlice(o.name)
		case c.IsSet(o.name):
			values[o.name] = []string{fmt.Sprint(c.Value(o.name))}
		case inFile:
			list, isList := given.([]any)
			if isList != o.list {
				faults = append(faults, fmt.Errorf("--config: %s: want %s", o.name, map[bool]string{true: "an array", false: "one value"}[o.list]))
				continue
			}
			if !isList {
				list = []any{given}
			}
			for _, v := range list {
				values[o.name] = append(values[o.name], fmt.Sprint(v))
			}
		case !o.list:
			values[o.name] = []string{o.value}
		}
	}
	for name := range file {
		faults = append(faults, fmt.Errorf("--config: unknown key %q", name))
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return values, errors.Join(faults...)
}

// printConfig returns the options with values as a TOML file.
func printConfig(all []option, values map[string][]string) string {
	var b bytes.Buffer
	for _, o := range all {
		v := values[o.name]
		fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(o.usage, "`", ""))
		switch {
		case o.list && len(v) > 0:
			fmt.Fprintf(&b, "%s = [%s]\n", o.name, strings.Join(quoted(v), ", "))
		case o.list || v[0] == "":
			fmt.Fprintf(&b, "# %s =\n", o.name)
		case isNumber(v[0]) || o.value == "false":
			fmt.Fprintf(&b, "%s = %s\n", o.name, v[0])
		default:
			fmt.Fprintf(&b, "%s = %s\n", o.name, quoted(v)[0])
		}
	}
	return b.String()
}

func isNumber(s string) bool { _, err := strconv.ParseInt(s, 10, 64); return err == nil }

// quoted returns TOML's basic strings.
func quoted(list []string) (out []string) {
	for _, s := range list {
		var b strings.Builder
		b.WriteByte('"')
		for _, r := range s {
			switch {
			case r == '"' || r == '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case r < ' ' || r == 0x7f:
				fmt.Fprintf(&b, `\u%04X`, r)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
		out = append(out, b.String())
	}
	return out
}

func parseNode(s string) (engine.NodeID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number from 1", s)
	}
	return engine.NodeID(n), nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

func parseBool(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return b, nil
}

func parseAddress(s string) (string, error) {
	if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
		return "", fmt.Errorf("%q is not host:port", s)
	}
	return s, nil
}

func parseAdmin(s string) (string, error) {
	if s == adminOff {
		return s, nil
	}
	return parseAddress(s)
}

const adminOff = "off"

// parseMember reads ID=ADDR.
func parseMember(s string) (engine.NodeID, string, error) {
	left, right, ok := strings.Cut(s, "=")
	if !ok {
		return 0, "", fmt.Errorf("%q is not ID=ADDR", s)
	}
	id, err := parseNode(left)
	if err != nil {
		return 0, "", err
	}
	addr, err := parseAddress(right)
	return id, addr, err
}

// parseBytes reads a number of bytes, with KiB, MiB or GiB behind it or nothing.
func parseBytes(s string) (int64, error) {
	number, factor := s, int64(1)
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if cut, ok := strings.CutSuffix(s, unit.name); ok {
			number, factor = cut, unit.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<50)/factor {
		return 0, fmt.Errorf("%q is not a number of bytes", s)
	}
	return n * factor, nil
}
