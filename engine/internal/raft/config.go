package raft

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Defaults of the limits in Config.
const (
	DefaultMaxAppendBytes      = 1 << 20
	DefaultMaxInflightBytes    = 8 << 20
	DefaultMaxInflightAppends  = 256
	DefaultMinInflightBytes    = 1 << 20
	DefaultMinInflightAppends  = 16
	DefaultMaxUncommittedBytes = 64 << 20
	DefaultTailBytes           = 16 << 20
	DefaultMaxPendingReads     = 1 << 16
	DefaultMaxPinnedEntries    = 1 << 20
)

// MaxMembers bounds a configuration: both halves of a joint one together. Sets
// of members are then single words.
const MaxMembers = 64

// entryOverhead is what an entry counts for beyond its body in every limit in
// bytes, so that empty bodies are not free.
const entryOverhead = 64

// Config is what a node is told at its start. Zero limits mean the defaults.
type Config struct {
	ID NodeID // this node; > 0

	// Configuration is the one of the store's snapshot metadata, or the initial one
	// of a fresh group. Empty: a node that waits to be told; it never campaigns.
	Configuration Configuration
	// ConfigurationIndex is the entry that Configuration stood in; 0 for the initial
	// one. It is the snapshot's own, not the position of the snapshot.
	ConfigurationIndex Index
	// Changes is every CONFIG entry of the log, by rising index, if the store's
	// recovery has found them already. nil: New reads the whole log for them.
	Changes []Change

	// Witness says that this node keeps no bodies of commands and has no state machine.
	// It counts as long as no configuration lists the node; then that one does.
	Witness bool

	// ElectionTimeout is E, the upper bound: without a word from a leader a node
	// waits a random time in [E/2, E] before it asks for votes. A leader that has
	// heard of no quorum for E steps down.
	// It is where the node begins, and what leases are promised by.
	ElectionTimeout Time
	// MaxElectionTimeout is how far EventTune may raise E. 0: it stays as it is.
	MaxElectionTimeout Time
	// Heartbeat is the interval of a leader's beats; at most a third of
	// ElectionTimeout, so that one lost beat elects nobody.
	Heartbeat Time

	// Seed starts the node's random generator: give every node another one, or
	// their elections collide.
	Seed uint64
	// Boot must differ at every start of the same node. It keeps contexts of read
	// requests apart that were made before and after a restart.
	Boot uint64

	MaxAppendBytes      int // entries of one append; one entry always fits
	MaxInflightBytes    int // sent to one follower and not answered; one append always fits
	MaxInflightAppends  int // the same in messages
	MinInflightBytes    int // as small as that becomes for a slow follower; at most MaxInflightBytes, which is also its default if that is smaller
	MinInflightAppends  int // the same in messages
	MaxUncommittedBytes int // a leader's backlog: not committed, or not yet durable here; beyond it proposals are refused
	TailBytes           int // what stays in memory, persisted and applied, for followers that lag a little
	MaxPinnedEntries    int // kept for followers that install a snapshot; who takes longer needs another one
	MaxPendingReads     int // reads that wait for a round or an answer; beyond it they are refused

	// ApplyDurable holds committed entries back from Effects.Commit until this
	// node's own write of them completed. A state machine that keeps its own state
	// on disk needs it: its applied index must never be ahead of the durable log.
	ApplyDurable bool

	// Marks counts rare branches as they are taken; nil in production. Nodes of one
	// goroutine may share it.
	Marks *Marks

	// DoubtFrom, if not 0, says that the store may have lost entries from there on, or
	// the term and vote that came with them: it is damaged, rolled back or was wiped
	// (then it is 1). The node then takes entries, but gives no vote and no pre-vote,
	// does not campaign and acknowledges nothing, until Effects.Repaired.
	// The store remembers it over restarts until then.
	DoubtFrom Index
	// VoteDoubt says that term and vote may be older than what was promised. The node
	// then also hears the term of every other voter before it is repaired.
	VoteDoubt bool

	// StateLost, if not 0, says that the store has the log and not the state that it goes
	// on from: applied, given to New, is then where the log begins, and a snapshot of
	// StateLost or more must come before anything is applied. The node asks for it.
	StateLost Index

	// ClockBound switches leases on: it is the most, in nanoseconds, by which the
	// monotonic clocks of two members may drift apart within half an ElectionTimeout,
	// pauses of a whole machine included. A lease is half an ElectionTimeout less this
	// bound. A node that starts gives no vote for half an ElectionTimeout. 0: no leases.
	ClockBound Time

	// QuiesceAfter is for how long a group must have had nothing to do before its leader
	// lets it sleep: no beats, no timers, until somebody wants something. 0: never. The
	// driver must then say EventUnreachable when a peer's host is lost, and again if a
	// node falls asleep (FactQuiesced) while it is.
	QuiesceAfter Time

	DisablePreVote     bool // campaigns raise the term at once
	DisableCheckQuorum bool // leaders never step down for want of a quorum; votes are not refused because a leader is alive
}

// withDefaults returns c with its zero limits filled in.
func (c Config) withDefaults() Config {
	fill := func(v *int, fallback int) {
		if *v == 0 {
			*v = fallback
		}
	}
	fill(&c.MaxAppendBytes, DefaultMaxAppendBytes)
	fill(&c.MaxInflightBytes, DefaultMaxInflightBytes)
	fill(&c.MaxInflightAppends, DefaultMaxInflightAppends)
	fill(&c.MinInflightBytes, min(DefaultMinInflightBytes, c.MaxInflightBytes))
	fill(&c.MinInflightAppends, min(DefaultMinInflightAppends, c.MaxInflightAppends))
	if c.MaxElectionTimeout == 0 {
		c.MaxElectionTimeout = c.ElectionTimeout
	}
	fill(&c.MaxUncommittedBytes, DefaultMaxUncommittedBytes)
	fill(&c.TailBytes, DefaultTailBytes)
	fill(&c.MaxPendingReads, DefaultMaxPendingReads)
	fill(&c.MaxPinnedEntries, DefaultMaxPinnedEntries)
	return c
}

// validate returns all faults of c, joined, each with the name of its field.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("raft: config: "+format, args...))
	}
	if c.ID <= 0 {
		fault("ID: %d, must be > 0", c.ID)
	}
	if c.ElectionTimeout <= 0 || c.ElectionTimeout >= 1<<53 {
		fault("ElectionTimeout: %d, must be > 0 and below 2^53 ns", c.ElectionTimeout)
	}
	if c.MaxElectionTimeout < c.ElectionTimeout || c.MaxElectionTimeout >= 1<<53 {
		fault("MaxElectionTimeout: %d, must be at least ElectionTimeout (%d) and below 2^53 ns", c.MaxElectionTimeout, c.ElectionTimeout)
	}
	if c.Heartbeat <= 0 || c.Heartbeat > c.ElectionTimeout/3 {
		fault("Heartbeat: %d, must be > 0 and at most a third of ElectionTimeout (%d)", c.Heartbeat, c.ElectionTimeout)
	}
	limit := func(name string, v int) {
		if v < 0 {
			fault("%s: %d, must not be negative", name, v)
		}
	}
	limit("MaxAppendBytes", c.MaxAppendBytes)
	limit("MaxInflightBytes", c.MaxInflightBytes)
	limit("MaxInflightAppends", c.MaxInflightAppends)
	least := func(name string, v, most int) {
		if v > most {
			fault("%s: %d, must be at most the %d of its Max", name, v, most)
		}
	}
	limit("MinInflightBytes", c.MinInflightBytes)
	limit("MinInflightAppends", c.MinInflightAppends)
	least("MinInflightBytes", c.MinInflightBytes, c.MaxInflightBytes)
	least("MinInflightAppends", c.MinInflightAppends, c.MaxInflightAppends)
	limit("MaxUncommittedBytes", c.MaxUncommittedBytes)
	limit("TailBytes", c.TailBytes)
	limit("MaxPendingReads", c.MaxPendingReads)
	limit("MaxPinnedEntries", c.MaxPinnedEntries)
	if c.StateLost < 0 {
		fault("StateLost: %d, must not be negative", c.StateLost)
	}
	if c.DoubtFrom < 0 || (c.VoteDoubt && c.DoubtFrom == 0) {
		fault("DoubtFrom: %d, must be > 0 for a store in doubt, and 0 for any other", c.DoubtFrom)
	}
	if c.ClockBound < 0 || (c.ClockBound > 0 && c.ClockBound >= c.ElectionTimeout/2) {
		fault("ClockBound: %d, must be below half of ElectionTimeout (%d), or 0", c.ClockBound, c.ElectionTimeout)
	}
	if c.ClockBound > 0 && c.DisableCheckQuorum {
		fault("ClockBound: leases need DisableCheckQuorum to be false")
	}
	if c.QuiesceAfter < 0 {
		fault("QuiesceAfter: %d, must not be negative", c.QuiesceAfter)
	}
	if err := checkConfiguration(&c.Configuration); err != nil {
		fault("Configuration: %w", err)
	}
	if c.ConfigurationIndex < 0 {
		fault("ConfigurationIndex: %d, must not be negative", c.ConfigurationIndex)
	}
	for i := range c.Changes {
		if err := checkConfiguration(&c.Changes[i].Configuration); err != nil {
			fault("Changes: entry %d: %w", c.Changes[i].Index, err)
		}
		if i > 0 && c.Changes[i].Index <= c.Changes[i-1].Index {
			fault("Changes: entry %d after %d", c.Changes[i].Index, c.Changes[i-1].Index)
		}
	}
	return errors.Join(faults...)
}

// checkConfiguration says whether c can be used: members with ids and a known
// suffrage, no id twice in a half, somebody who can lead, not too many.
func checkConfiguration(c *Configuration) error {
	if len(c.Incoming)+len(c.Outgoing) > MaxMembers {
		return fmt.Errorf("%d members, at most %d", len(c.Incoming)+len(c.Outgoing), MaxMembers)
	}
	if err := checkMembers("incoming", c.Incoming); err != nil {
		return err
	}
	if err := checkMembers("outgoing", c.Outgoing); err != nil {
		return err
	}
	if len(c.Incoming) == 0 {
		if len(c.Outgoing) != 0 {
			return errors.New("joint without an incoming half")
		}
		return nil
	}
	for _, m := range c.Incoming {
		if m.Suffrage == raftpb.SuffrageVoter {
			return nil
		}
	}
	return errors.New("incoming: nobody can lead")
}

func checkMembers(half string, members []Member) error {
	for i, m := range members {
		if m.ID <= 0 {
			return fmt.Errorf("%s: member id %d, must be > 0", half, m.ID)
		}
		if m.Suffrage < raftpb.SuffrageVoter || m.Suffrage > raftpb.SuffrageWitness {
			return fmt.Errorf("%s: member %d: unknown suffrage %d", half, m.ID, m.Suffrage)
		}
		for _, other := range members[:i] {
			if other.ID == m.ID {
				return fmt.Errorf("%s: member %d twice", half, m.ID)
			}
		}
	}
	return nil
}
