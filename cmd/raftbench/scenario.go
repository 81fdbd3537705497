package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
	"github.com/seed-814fcd60/raftwire/engine"
)

// scenarioConfig is what a scenario was asked for.
type scenarioConfig struct {
	name   string
	rounds int
	play   func(context.Context, *stage) error
}

const (
	maxRounds = 1000
	// outageLimit bounds the wait for a write to be acknowledged after something was done to the cluster.
	outageLimit = 60 * time.Second
	// calmShare of the election time-out is left between two rounds, beside what a random share adds.
	calmShare = 0.5
	// scenarioPause is the longest pause of a client after errors: an outage is found over
	// soon after it is.
	scenarioPause = 5 * time.Millisecond
)

// stage is where a scenario plays: a cluster of processes under load. One goroutine owns it.
type stage struct {
	c       *runConfig
	cl      *cluster
	l       *load
	p       *progress
	events  []result.Event
	outages []time.Duration
	phases  []result.Phase
}

func newStage(c *runConfig, cl *cluster, l *load, p *progress) *stage {
	return &stage{c: c, cl: cl, l: l, p: p}
}

// grain returns the time that the timeline should divide as it does a run's: of a scenario it
// has several intervals in each phase, however long the scenario takes.
func (s *stage) grain() time.Duration {
	if s.c.scenario == nil {
		return s.c.duration
	}
	return 6 * s.c.duration
}

// body is what happens in the time measured: for a while nothing, then the scenario,
// then nothing again.
func (s *stage) body() func(context.Context) error {
	if s.c.scenario == nil {
		return nil
	}
	return func(ctx context.Context) error {
		s.phase("before")
		err := s.rest(ctx, s.c.duration)
		if err == nil {
			s.phase("during")
			err = s.c.scenario.play(ctx, s)
		}
		if err == nil {
			s.phase("after")
			err = s.rest(ctx, s.c.duration)
		}
		s.endPhase()
		return err
	}
}

func (s *stage) now() float64 { return (time.Since(s.l.started) - s.l.measuredFrom).Seconds() }

func (s *stage) phase(name string) {
	s.endPhase()
	s.phases = append(s.phases, result.Phase{Name: name, From: s.now()})
}

func (s *stage) endPhase() {
	if n := len(s.phases); n > 0 {
		s.phases[n-1].To = s.now()
	}
}

// event notes what is being done.
func (s *stage) event(format string, args ...any) {
	e := result.Event{At: s.now(), What: fmt.Sprintf(format, args...)}
	s.events = append(s.events, e)
	s.p.line(fmt.Sprintf("%6.1f s: %s", e.At, e.What))
}

// rest leaves the cluster alone for d.
func (s *stage) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errInterrupted
	case err := <-s.cl.failed:
		return err
	}
}

// until waits for something that must happen.
func (s *stage) until(ctx context.Context, what string, done func(context.Context) bool) error {
	limited, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	err := poll(limited, s.cl.failed, func() bool { return done(limited) })
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// gap does something that takes the cluster a while and notes the longest time meanwhile in
// which no write was acknowledged.
func (s *stage) gap(do func() error) error {
	end := s.l.watchGaps()
	err := do()
	s.outages = append(s.outages, end())
	return err
}

// outage ends the cluster's work at once, and notes how long that lasts: from before it was
// done until a write that was sent after it had been done is acknowledged.
func (s *stage) outage(ctx context.Context, do func() error) error {
	began := time.Since(s.l.started)
	if err := do(); err != nil {
		return err
	}
	w := s.l.watch()
	limit := time.NewTimer(outageLimit)
	defer limit.Stop()
	select {
	case first := <-w.first:
		s.outages = append(s.outages, first-began)
		return nil
	case <-ctx.Done():
		return errInterrupted
	case err := <-s.cl.failed:
		return err
	case <-limit.C:
		return fmt.Errorf("no write acknowledged within %v: %s", outageLimit, s.events[len(s.events)-1].What)
	}
}

// leader waits for a leader of group 1.
func (s *stage) leader(ctx context.Context) (leader engine.NodeID, err error) {
	err = s.until(ctx, "wait for a leader", func(ctx context.Context) bool {
		leader = s.cl.leader(ctx, 1)
		return leader != 0
	})
	return leader, err
}

// follower returns a node that does not lead.
func (s *stage) follower(ctx context.Context) (engine.NodeID, error) {
	leader, err := s.leader(ctx)
	return leader%engine.NodeID(s.c.nodes) + 1, err
}

// member returns a node's process.
func (s *stage) member(id engine.NodeID) *remoteMember { return s.cl.fleet.members[id-1] }

// end takes the counters of a process along, which is about to end.
func (s *stage) end(ctx context.Context, id engine.NodeID) {
	if c, err := s.member(id).counters(ctx); err == nil {
		s.cl.past = s.cl.past.add(c)
	}
}

// start starts a node again and waits until it has caught up.
func (s *stage) start(ctx context.Context, id engine.NodeID, join bool) error {
	limited, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	if err := s.cl.fleet.start(limited, s.cl, int(id)-1, join); err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return err
	}
	if join {
		return nil
	}
	return s.catchUp(ctx, id)
}

// catchUp waits until a node has applied what the others had when it was called.
func (s *stage) catchUp(ctx context.Context, id engine.NodeID) error {
	goals := make([]engine.Index, s.cl.groups)
	for i, m := range s.cl.members {
		for g := range goals {
			if _, applied, err := m.status(ctx, engine.GroupID(g+1)); err == nil && engine.NodeID(i+1) != id {
				goals[g] = max(goals[g], applied)
			}
		}
	}
	return s.until(ctx, fmt.Sprintf("wait for node %d to catch up", id), func(ctx context.Context) bool {
		for g, goal := range goals {
			if _, applied, err := s.member(id).status(ctx, engine.GroupID(g+1)); err != nil || applied < goal {
				return false
			}
		}
		return true
	})
}

// report adds the scenario to the result of the run.
func (s *stage) report(r *report) {
	if s.c.scenario == nil {
		return
	}
	sc := &result.Scenario{Name: s.c.scenario.name, Events: s.events, Phases: s.phases, ElectionTimeoutMs: ms(s.c.engine.electionTimeout)}
	for _, d := range s.outages {
		sc.Outages = append(sc.Outages, ms(d))
	}
	sc.OutageP50, sc.OutageP99 = rank(sc.Outages, 0.5), rank(sc.Outages, 0.99)
	for i := range sc.Phases {
		p := &sc.Phases[i]
		var ops, p50, p99 []float64
		for n, one := range r.Intervals {
			if middle := (float64(n) + 0.5) * r.IntervalSeconds; middle >= p.From && middle < p.To {
				ops, p50, p99 = append(ops, one.OpsPerSecond), append(p50, one.P50), append(p99, one.P99)
			}
		}
		p.P50, p.P99 = rank(p50, 0.5), rank(p99, 0.5)
		for _, v := range ops {
			p.OpsPerSecond += v / float64(len(ops))
		}
	}
	r.Scenario = sc
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// rank returns the smallest value that the share q of the list does not exceed; 0 of an empty list.
func rank(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}

// printScenario adds what the scenario did to the table.
func (r *report) printScenario(t *table) {
	sc := r.Scenario
	if sc == nil {
		return
	}
	t.line("\nscenario %s", sc.Name)
	for _, p := range sc.Phases {
		t.row(p.Name, grouped(p.OpsPerSecond, 0), fmt.Sprintf("ops/s from %.1f to %.1f s, p50 %s us, p99 %s us", p.From, p.To, grouped(p.P50, 0), grouped(p.P99, 0)))
	}
	if len(sc.Outages) == 0 {
		return
	}
	for _, one := range []struct {
		name string
		ms   float64
	}{{"outage p50", sc.OutageP50}, {"outage p99", sc.OutageP99}} {
		t.row(one.name, grouped(one.ms, 1), fmt.Sprintf("ms = %.2f election time-outs in which no write was acknowledged, of %s", one.ms/sc.ElectionTimeoutMs, plural(len(sc.Outages), "event")))
	}
}

// scenarioCommand is the command "scenario".
func scenarioCommand(c *runConfig, log *slog.Logger, stdout, stderr io.Writer) *cli.Command {
	s := runSettings(c)
	s.defaults(map[string]string{"clients": "16", "duration": "3s"})
	c.scenario = new(scenarioConfig)
	s.number(&c.scenario.rounds, "rounds", "how often it is done, `N`; of kills, restarts, changes and snapshots", 5, 1, maxRounds)
	text := "Each node is a process of its own. --duration is how long the load runs before it, and again after it.\n"
	for _, one := range scenarios {
		text += fmt.Sprintf("\n%-16s %s", one.name, one.usage)
	}
	return &cli.Command{
		Name: "scenario", Usage: "do something to a cluster under load, and tell for how long nothing was acknowledged", ArgsUsage: "NAME",
		Description: text, HideHelpCommand: true, Flags: s.flags, OnUsageError: usageFault,
		Action: func(ctx *cli.Context) error {
			c.switches(ctx.Bool)
			faults := append(s.faults(), c.validate(s)...)
			i := slices.IndexFunc(scenarios, func(one scenario) bool { return one.name == ctx.Args().First() })
			if i < 0 || ctx.NArg() != 1 {
				faults = append(faults, fmt.Errorf("%q is no scenario: %s", strings.Join(ctx.Args().Slice(), " "), scenarioNames()))
			}
			if c.nodes < 3 || c.nodes == maxNodes {
				faults = append(faults, fmt.Errorf("--nodes: a scenario has 3 to %d", maxNodes-1))
			}
			if c.engine.durability == engine.Memory {
				faults = append(faults, errors.New("--durability: nodes that are started again have to remember what they acknowledged"))
			}
			if len(faults) > 0 {
				return &usageError{faults, hint(ctx)}
			}
			c.scenario.name, c.scenario.play = scenarios[i].name, scenarios[i].play
			c.processes, c.work.longestPause = true, scenarioPause
			return runBench(ctx.Context, c, log, stdout, stderr)
		},
	}
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}
