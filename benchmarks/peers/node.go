package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"
)

// members is the size of every cluster measured here.
const members = 3

// NodeConfig says how to start one member of a cluster.
type NodeConfig struct {
	ID     int      // from 1
	Addrs  []string // peer address of every member, by ID-1
	Dir    string   // private data directory of this member; exists and is empty
	Groups int      // Raft groups; 1 unless the engine can do more
	Opt    Options
}

// Options are the knobs of engines. The zero value of each is the setting that
// this harness takes for the expert's choice.
type Options struct {
	Default     bool   // the engine's own defaults rather than the tuned set
	MaxAppend   int    // hashicorp/raft MaxAppendEntries; 0: 1024
	InFlight    int    // hashicorp/raft MaxRPCsInFlight; 0: the library's default
	LogDBMemory string // dragonboat memory class: tiny, small, medium or large; "": large
	LogPieces   int    // dragonboat engine and log store shards; 0: 16
	NoYield     bool   // etcdraft, floor: cut a batch at once, not after letting ready clients run
	Codec       string // raftwire: the codec of requests; "": thrift-compact
	Workers     int    // raftwire: workers per host; 0: the library's default
}

// Node is one running member, whatever engine is behind it. Its methods are safe
// for concurrent use.
type Node interface {
	// Leads reports whether this member leads the group and can take proposals.
	Leads(group int) bool
	// HandOver asks this member, if it leads the group, to pass leadership on.
	HandOver(group, to int)
	// Client returns a handle that exactly one closed-loop client uses.
	Client(group int) (Client, error)
	// Applied returns what this member's state machines have applied so far.
	Applied() state
	Close() error
}

// Counter is a Node that knows more about itself than the machine can tell.
type Counter interface {
	// Counts returns totals since the start, by name.
	Counts() map[string]uint64
}

// Client proposes commands to the member that created it.
type Client interface {
	// Propose returns once cmd is durable on a quorum and applied by the proposing
	// member. cmd never changes: engines may keep a reference.
	Propose(cmd []byte) error
}

// engine is one system that can be measured.
type engine struct {
	name   string
	groups bool // can run more than one
	stays  bool // cannot pass leadership on: in one process, clients go to whoever leads
	start  func(NodeConfig) (Node, error)
	// prepare, where it is set, runs once in the process before any member starts.
	prepare func()
	// settings, where it is set, leaves files in a directory that the library reads
	// from the working directory before main runs.
	settings func(dir string) error
}

// engines lists what -sys accepts.
func engines() []engine {
	list := floorEngines()
	list = append(list, hraftEngines()...)
	list = append(list, dragonboatEngines()...)
	return append(list, etcdRaftEngine(), raftwireEngine())
}

func engineNames() string {
	var names []string
	for _, e := range engines() {
		names = append(names, e.name)
	}
	return strings.Join(names, " ")
}

func findEngine(name string) (engine, error) {
	for _, e := range engines() {
		if e.name == name {
			return e, nil
		}
	}
	return engine{}, fmt.Errorf("unknown system %q, have: %s", name, engineNames())
}

// errOneGroup is the answer of engines that were asked for more.
var errOneGroup = errors.New("this engine runs one group")

// state is what state machines have applied: members that applied the same
// commands in the same order have the same state.
type state struct {
	Commands, Bytes uint64
	Hash            uint64 // order-dependent within a group
}

func (s state) add(o state) state {
	return state{s.Commands + o.Commands, s.Bytes + o.Bytes, s.Hash + o.Hash}
}

// machine is the state machine that every engine replicates, one per group: it
// counts commands and bytes and chains a checksum over the commands.
type machine struct {
	commands, bytes atomic.Uint64
	sum             atomic.Uint32
}

// apply is called by one goroutine at a time, in the order of the log.
func (m *machine) apply(cmd []byte) {
	m.commands.Store(m.commands.Load() + 1)
	m.bytes.Store(m.bytes.Load() + uint64(len(cmd)))
	m.sum.Store(crc32.Update(m.sum.Load(), castagnoli, cmd))
}

func (m *machine) state() state {
	return state{m.commands.Load(), m.bytes.Load(), uint64(m.sum.Load())}
}

// castagnoli is only read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// machines are those of one member, by group.
type machines []machine

func (ms machines) state() state {
	var s state
	for i := range ms {
		s = s.add(ms[i].state())
	}
	return s
}
