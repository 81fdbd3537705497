package raft

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The scripts in testdata are stories about one rule each: a few nodes, a network
// that delivers when it is told to, disks that complete when they are told to.
// What a node says is its effects. Write them anew with
//
//	go test ./engine/internal/raft -run TestScripts -rewrite
//
// and read the difference like code.
func TestScripts(t *testing.T) {
	if f := flag.Lookup("rewrite"); f == nil {
		t.Fatal("datadriven has no flag -rewrite any more")
	}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if filepath.Ext(path) != ".txt" {
			return
		}
		s := &stage{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			s.t, s.d = t, d
			s.command()
			if s.out.Len() == 0 {
				return "ok\n"
			}
			return s.out.String()
		})
	})
}

// stage is the world of one script.
type stage struct {
	t   *testing.T
	d   *datadriven.TestData
	out strings.Builder

	now   Time
	nodes []*actor
	net   []Message
	cut   map[[2]NodeID]bool
	calls uint64

	mutant mutant
	fired  int // timers of this script

	showWindows bool // the story is about them
}

// actor is a node, its disk and the writes that are not on it yet.
type actor struct {
	id      NodeID
	cfg     Config
	node    *Node
	eff     Effects
	log     *memoryLog
	hs      HardState
	queued  []diskWrite
	commit  Index
	applied Index
	boot    uint64
	timer   Time
	held    bool      // effects of several steps are carried out together
	lease   Time      // as last told
	image   *Snapshot // the newest snapshot on the disk
}

func (s *stage) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *stage) command() {
	switch s.d.Cmd {
	case "add-nodes":
		s.addNodes()
	case "campaign":
		s.step(s.actor(), Event{Kind: EventCampaign})
	case "propose":
		s.propose()
	case "read":
		for _, arg := range s.d.CmdArgs[1:] {
			s.step(s.actor(), Event{Kind: EventRead, ReadID: uint64(number(s.t, arg.Key))})
		}
	case "deliver":
		s.deliver()
	case "send":
		s.inject()
	case "persist":
		s.persist(s.actor(), s.count(s.actor().queuedLen()))
	case "complete-late":
		s.step(s.actor(), Event{Kind: EventPersisted, WriteID: uint64(s.value("write", 0)), Epoch: uint64(s.value("epoch", 0))})
	case "apply":
		s.apply(s.actor())
	case "hold":
		s.actor().held = true
	case "carry-out":
		s.carryOut(s.actor())
	case "unreachable":
		s.step(s.actor(), Event{Kind: EventUnreachable, Peer: NodeID(s.value("peer", 0))})
	case "tick":
		s.tick(s.now + Time(number(s.t, s.d.CmdArgs[0].Key)))
	case "run":
		s.run(s.now + Time(number(s.t, s.d.CmdArgs[0].Key)))
	case "settle":
		s.settle()
	case "elect":
		s.elect()
	case "crash":
		s.crash(s.actor())
	case "restart":
		s.start(s.actor())
	case "compact":
		s.compact(s.actor())
	case "wipe":
		s.wipe(s.actor())
	case "stalled":
		s.step(s.actor(), Event{Kind: EventDiskStalled})
	case "disk-ok":
		s.step(s.actor(), Event{Kind: EventDiskOK})
	case "wake":
		s.step(s.actor(), Event{Kind: EventWake})
	case "stream":
		s.stream(s.actor())
	case "stream-failed":
		s.step(s.actor(), Event{Kind: EventSnapshotFailed, Peer: NodeID(s.value("to", 0))})
	case "cut", "heal":
		s.partition()
	case "change":
		s.change()
	case "plan":
		s.plan()
	case "tune":
		s.tune(s.actor())
	case "transfer":
		s.transfer()
	case "configurations":
		s.showConfigurations()
	case "status":
		s.status()
	default:
		s.t.Fatalf("%s: unknown command %q", s.d.Pos, s.d.Cmd)
	}
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// actor is the node that the command names first.
func (s *stage) actor() *actor {
	return s.nodes[number(s.t, s.d.CmdArgs[0].Key)-1]
}

func (s *stage) flag(key string) bool { return s.d.HasArg(key) }

func (s *stage) value(key string, fallback int64) int64 {
	for _, arg := range s.d.CmdArgs {
		if arg.Key == key && len(arg.Vals) > 0 {
			return number(s.t, arg.Vals[0])
		}
	}
	return fallback
}

func (s *stage) count(all int) int { return int(s.value("count", int64(all))) }

func (a *actor) queuedLen() int { return len(a.queued) }

// addNodes makes N nodes that know each other: add-nodes 3 learners=(4) ...
func (s *stage) addNodes() {
	s.nodes, s.net, s.cut = nil, nil, map[[2]NodeID]bool{}
	s.showWindows = s.value("least-inflight", 0) > 0
	total := int(number(s.t, s.d.CmdArgs[0].Key))
	conf := s.members(total)
	newcomers := total + int(s.value("newcomers", 0))
	for i := range newcomers + int(s.value("strangers", 0)) + int(s.value("new-witnesses", 0)) {
		a := &actor{id: NodeID(i + 1), log: newMemoryLog()}
		a.cfg = Config{
			ID: a.id, ElectionTimeout: 1000, Heartbeat: 100, Configuration: conf,
			MaxAppendBytes:      int(s.value("append-bytes", 0)),
			MaxInflightAppends:  int(s.value("inflight", 0)),
			MaxInflightBytes:    int(s.value("inflight-bytes", 0)),
			MinInflightAppends:  int(s.value("least-inflight", 0)),
			MaxElectionTimeout:  Time(s.value("most-election", 0)),
			MaxUncommittedBytes: int(s.value("uncommitted-bytes", 0)),
			MaxPendingReads:     int(s.value("reads", 0)),
			TailBytes:           int(s.value("tail-bytes", 0)),
			MaxPinnedEntries:    int(s.value("pinned", 0)),
			ClockBound:          Time(s.value("clock-bound", 0)),
			QuiesceAfter:        Time(s.value("quiesce-after", 0)),
			ApplyDurable:        s.flag("apply-durable"),
			DisablePreVote:      s.flag("no-pre-vote"),
			DisableCheckQuorum:  s.flag("no-check-quorum"),
		}
		if i >= total && i < newcomers || i >= newcomers && s.flag("new-witnesses") {
			a.cfg.Configuration = Configuration{} // it waits to be told
		}
		a.cfg.Witness = isWitness(&conf, a.id) || i >= newcomers && s.flag("new-witnesses")
		s.nodes = append(s.nodes, a)
		s.start(a)
	}
}

func (s *stage) start(a *actor) {
	a.boot++
	a.cfg.Seed, a.cfg.Boot = uint64(a.id), a.boot
	if a.image != nil {
		a.cfg.Configuration, a.cfg.ConfigurationIndex = a.image.Configuration, a.image.ConfigurationIndex
	}
	node, err := New(a.cfg, a.log, a.hs, a.applied, s.now)
	if err != nil {
		s.printf("%d: %v\n", a.id, err)
		return
	}
	setMutant(node, s.mutant)
	a.node, a.queued, a.eff = node, nil, Effects{}
	s.step(a, Event{Kind: EventTimer})
}

// crash drops what is not on the disk, but for the first keep writes.
func (s *stage) crash(a *actor) {
	for _, w := range a.queued[:s.value("keep", 0)] {
		a.store(w)
	}
	a.node, a.queued, a.applied, a.commit = nil, nil, 0, 0
	if a.image != nil {
		a.applied, a.commit = a.image.Index, a.image.Index // restored from its image
	}
}

func (a *actor) store(w diskWrite) {
	if w.hs != nil {
		a.hs = *w.hs
	}
	if w.install != nil {
		a.log.install(w.install)
		a.image = w.install
	}
	a.log.store(w.truncate, w.from, w.entries)
}

// step feeds one event and shows what came of it.
func (s *stage) step(a *actor, in Event) {
	in.Now = s.now
	if a.node == nil {
		s.printf("%d: is down\n", a.id)
		return
	}
	if err := a.node.Step(in, &a.eff); err != nil {
		s.printf("%d: %v\n", a.id, err)
		a.node = nil
		return
	}
	if !a.held {
		s.carryOut(a)
	}
}

// carryOut does what the driver does with Effects.
func (s *stage) carryOut(a *actor) {
	out := &a.eff
	a.held = false
	s.show(a)
	if out.WriteID != 0 {
		w := diskWrite{id: out.WriteID, epoch: out.Epoch, install: out.Install, truncate: out.TruncateFrom, from: out.AppendFrom}
		w.entries = slices.Clone(out.Append)
		if out.HardState != nil {
			hs := *out.HardState
			w.hs = &hs
		}
		a.queued = append(a.queued, w)
	}
	for _, m := range out.SendNow {
		s.post(m)
	}
	for _, g := range out.SendAfter {
		i := slices.IndexFunc(a.queued, func(w diskWrite) bool { return w.id == g.WriteID })
		a.queued[i].gated = append(a.queued[i].gated, g.Message)
	}
	if out.Install != nil {
		a.commit = out.Install.Index
	}
	if !out.Commit.Empty() {
		a.commit = out.Commit.Hi - 1
	}
	a.log.compact(out.CompactTo)
	a.timer = out.NextTimer
	out.Reset()
}

func (s *stage) post(m Message) {
	m.Entries = slices.Clone(m.Entries)
	s.net = append(s.net, m)
}

// persist completes the oldest writes and lets go of what waited for them.
func (s *stage) persist(a *actor, count int) {
	for range count {
		w := a.queued[0]
		a.queued = a.queued[1:]
		a.store(w)
		for _, m := range w.gated {
			s.printf("%d: released by write %d: %s\n", a.id, w.id, scriptMessage(&m))
			s.post(m)
		}
		s.step(a, Event{Kind: EventPersisted, WriteID: w.id, Epoch: w.epoch})
	}
}

// deliver hands over messages in the order in which they were sent:
// deliver from=1 to=2 kind=append count=1 drop|copy|newest.
func (s *stage) deliver() {
	var picked []Message
	var rest []Message
	limit := s.count(len(s.net))
	pick := func(m Message) {
		if !s.matches(&m) || len(picked) >= limit {
			rest = append(rest, m)
			return
		}
		picked = append(picked, m)
		if s.flag("copy") {
			rest = append(rest, m)
		}
	}
	if s.flag("newest") {
		slices.Reverse(s.net)
	}
	for _, m := range s.net {
		pick(m)
	}
	if s.flag("newest") {
		slices.Reverse(rest)
	}
	s.net = rest
	if len(picked) == 0 {
		s.printf("nothing to deliver\n")
	}
	for _, m := range picked {
		s.handOver(m, s.flag("drop"))
	}
}

func (s *stage) matches(m *Message) bool {
	from, to := s.value("from", 0), s.value("to", 0)
	if (from != 0 && int64(m.From) != from) || (to != 0 && int64(m.To) != to) {
		return false
	}
	for _, arg := range s.d.CmdArgs {
		if arg.Key == "kind" && !slices.Contains(arg.Vals, m.Kind.String()) {
			return false
		}
	}
	return true
}

// handOver delivers one message, or loses it. A request is a call of its own.
func (s *stage) handOver(m Message, drop bool) {
	to := s.nodes[m.To-1]
	switch {
	case drop || s.cut[[2]NodeID{m.From, m.To}]:
		s.printf("lost: %s\n", scriptMessage(&m))
		return
	case to.node == nil:
		s.printf("lost: %s: %d is down\n", scriptMessage(&m), m.To)
		return
	}
	s.printf("%s\n", scriptMessage(&m))
	s.calls++
	m.Call = s.calls
	s.step(to, Event{Kind: EventMessage, Message: &m})
}
