package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/workload"
	"github.com/seed-814fcd60/raftwire/engine"
)

const (
	maxInFlight = 4096
	maxRate     = 100e6
	// maxSessions is what the engine allows per group at most.
	maxSessions = 1 << 16
	// Without --warmup a load has settled after this at the earliest, or is measured as it is after maxWarmup.
	minWarmup, maxWarmup = time.Second, 5 * time.Second
)

// boolean flags of "run"; they may stand before the command's name too.
func (c *runConfig) switches(get func(string) bool) {
	c.json, c.processes, c.tls = get("json"), get("processes"), get("tls")
	c.work.sessions, c.spread = get("sessions"), !get("no-spread")
}

func runSettings(c *runConfig) *settings {
	s := new(settings)
	s.number(&c.nodes, "nodes", "members of the cluster, `N`", 3, 1, maxNodes)
	s.number(&c.groups, "groups", "Raft groups that share each node's log, `N`; nodes lead them in turn", 1, 1, maxGroups)
	s.workload(c)
	s.measuring(c)
	s.engine(&c.engine)
	s.text(&c.dir, "dir", "keep the nodes' data in `DIR`/n1, n2, ..., which must not exist yet; otherwise in a temporary directory removed at the end", notEmpty)
	s.text(&c.historyFile, "history", "write every operation to a new `FILE`, a JSON object per line, for checkers", notEmpty)
	s.text(&c.cpuProfile, "cpuprofile", "write a CPU profile of this process in the time measured to `FILE`", notEmpty)
	s.add("test-drop-apply", "for tests: node `N` forgets one command, which the run must notice", "", func(text string) (err error) {
		c.dropApply, err = parseNumber(text, 1, maxNodes)
		return err
	})
	s.flags = append(s.flags,
		&cli.BoolFlag{Name: "no-spread", Usage: "leave every group with the leader it elected"},
		&cli.BoolFlag{Name: "tls", Usage: "put the connections between the nodes under mutual TLS, with certificates made for this run; not with --processes"},
		&cli.BoolFlag{Name: "processes", Usage: "run each node as a process of its own and send the load over TCP"},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object instead of the table; progress stays on standard error"})
	return s
}

// measuring adds the flags that say for how long is measured.
func (s *settings) measuring(c *runConfig) {
	s.duration(&c.duration, "duration", "`TIME` measured, after the warm-up, 1ms to 24h", 10*time.Second, time.Millisecond, maxDuration)
	s.add("warmup", "`TIME` under load before measuring, 0s to 24h; auto: until throughput is steady, 1 s to 5 s", "auto", func(text string) (err error) {
		c.warmup = warmupConfig{minWarmup, maxWarmup}
		if text != "auto" {
			c.warmup.atMost, err = parseDuration(text, 0, maxDuration)
			c.warmup.atLeast = c.warmup.atMost
		}
		return err
	})
}

// workload adds the flags that say what clients do.
func (s *settings) workload(c *runConfig) {
	w := &c.work
	w.longestPause, w.firstSequence = lastPause, 1
	s.number(&w.clients, "clients", "clients, `N`, at the leader of their group", 256, 1, maxClients)
	s.number(&w.inFlight, "in-flight", "operations that each client has under way, `N`; above 1 they are asynchronous", 1, 1, maxInFlight)
	s.add("payload", fmt.Sprintf("`SIZE` of a command in bytes, %d to %d: 128, uniform:16-1024, zipf:16-65536, or a list with weights, 64:90,4096:10",
		commandHeaderBytes, maxCommandBytes), "128", func(text string) (err error) {
		w.sizes, err = workload.ParseSizes(text, commandHeaderBytes, maxCommandBytes)
		return err
	})
	s.add("rate", "open loop: `N` operations per second are due, and latency counts from when one is due", "", func(text string) (err error) {
		w.rate, err = parseFloat(text, 0.001, maxRate)
		return err
	})
	s.add("arrivals", "of an open loop: `HOW` they are spread over time, even or poisson", "", func(text string) error {
		w.poisson = text == "poisson"
		if !w.poisson && text != "even" {
			return fmt.Errorf("%q is not even or poisson", text)
		}
		return nil
	})
	s.add("reads", "`PERCENT` of operations that read", "0", func(text string) (err error) {
		c.reads, err = parseFloat(text, 0, 100)
		return err
	})
	s.add("consistency", "`WHAT` reads may see: linearizable, follower, stale, lease, or a list with weights, linearizable:80,stale:20", "linearizable",
		func(text string) error {
			c.consistency = text
			_, err := workload.ParseMix(0, text)
			return err
		})
	s.flags = append(s.flags, &cli.BoolFlag{Name: "sessions", Usage: "every client has a session: its commands are applied exactly once, however often they have to be sent"})
}

// validate finds what no single flag can tell, and completes the configuration.
func (c *runConfig) validate(s *settings) (list []error) {
	w := &c.work
	if w.clients*w.inFlight*w.sizes.Max() > maxLoadBytes {
		list = append(list, fmt.Errorf("--clients %d x --in-flight %d x --payload %s: over %d bytes in flight", w.clients, w.inFlight, w.sizes, maxLoadBytes))
	}
	var err error
	if w.mix, err = workload.ParseMix(c.reads, c.consistency); err == nil && w.mix.Uses(engine.Lease) {
		c.engine.clockBound = c.engine.electionTimeout / 10
	}
	if s.given("arrivals") && w.rate == 0 {
		list = append(list, errors.New("--arrivals: only with --rate"))
	}
	if w.sessions && w.inFlight > 1 {
		list = append(list, errors.New("--sessions: not with --in-flight above 1"))
	}
	if c.tls && c.processes {
		list = append(list, errors.New("--tls: not with --processes"))
	}
	if c.dropApply > c.nodes {
		list = append(list, fmt.Errorf("--test-drop-apply: there is no node %d", c.dropApply))
	}
	if c.dir != "" && c.engine.durability == engine.Memory {
		list = append(list, errors.New("--dir: --durability memory keeps no files"))
	}
	return list
}

func parseFloat(text string, lo, hi float64) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) {
		return lo, fmt.Errorf("%q is not a number", text)
	}
	if v < lo || v > hi {
		return lo, fmt.Errorf("%v is not in %v to %v", v, lo, hi)
	}
	return v, nil
}
