package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// verifyLimit bounds how long members may take to apply the same index once the load
// is over.
const verifyLimit = 20 * time.Second

// verdict is what comparing the members found.
type verdict struct {
	hashEqual bool
	settled   bool     // members came to the same index, so there was something to compare
	faults    []string // empty: everything acknowledged was applied everywhere, once
}

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// verify compares all members of all groups at one applied index each, and what they
// have applied with what the clients saw acknowledged. No load may be running. It waits
// for members that are behind, for at most limit.
func verify(ctx context.Context, cl *cluster, l *load, limit time.Duration) verdict {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v := verdict{hashEqual: true, settled: true}
	for g := range cl.groups {
		group := engine.GroupID(g + 1)
		states, err := settle(ctx, cl, group)
		if err != nil {
			v.hashEqual, v.settled = false, false
			v.fault("group %d: %v", group, err)
			continue
		}
		v.compareStates(group, states)
		v.compareChains(cl, group)
		v.compareClients(ctx, cl, group, l.clients)
	}
	v.checkReads(l)
	return v
}

// settle waits until all members of a group have applied the same index and returns
// their states as of it.
func settle(ctx context.Context, cl *cluster, group engine.GroupID) ([]machineState, error) {
	states := make([]machineState, len(cl.members))
	applied := make([]engine.Index, len(cl.members))
	var last error
	same := func() bool {
		for i, m := range cl.members {
			var answer []byte
			if answer, applied[i], last = m.query(ctx, group, "state"); last != nil {
				return false
			}
			if states[i], last = parseState(answer); last != nil {
				return false
			}
			if applied[i] != applied[0] {
				return false
			}
		}
		return cl.leader(ctx, group) != 0 // or nothing moves because nobody leads
	}
	if err := poll(ctx, cl.failed, same); err != nil {
		return nil, fmt.Errorf("the nodes did not come to the same index, they have applied %v: %w", applied, errors.Join(err, last))
	}
	return states, nil
}

func (v *verdict) compareStates(group engine.GroupID, states []machineState) {
	for i, s := range states {
		if s.Hash != states[0].Hash {
			v.hashEqual = false
			v.fault("group %d: state hash of node %d is %016x after %d commands, node 1's is %016x after %d",
				group, i+1, s.Hash, s.Commands, states[0].Hash, states[0].Commands)
		}
		if s.Duplicates > 0 {
			v.fault("group %d: node %d applied %d commands twice", group, i+1, s.Duplicates)
		}
		if s.Refused > 0 {
			v.fault("group %d: node %d refused %d commands", group, i+1, s.Refused)
		}
	}
}

// compareChains compares the engine's own hashes over the entries.
func (v *verdict) compareChains(cl *cluster, group engine.GroupID) {
	index, hash, ok := cl.members[0].chain(group)
	for i, m := range cl.members {
		otherIndex, other, has := m.chain(group)
		if ok && has && index == otherIndex && hash != other {
			v.hashEqual = false
			v.fault("group %d: the log of node %d differs from node 1's at or before index %d", group, i+1, index)
		}
	}
}

// compareClients checks that every member has applied everything acknowledged.
// Nothing was applied twice, or compareStates has said so.
func (v *verdict) compareClients(ctx context.Context, cl *cluster, group engine.GroupID, clients []*client) {
	for i, m := range cl.members {
		applied, err := appliedClients(ctx, m, group)
		if err != nil {
			v.fault("group %d: node %d: %v", group, i+1, err)
			continue
		}
		var lost, losers uint64
		var example string
		for _, c := range clients {
			if c.group != group {
				continue
			}
			if first, n := applied[c.id].missing(c.applied); n > 0 {
				if lost == 0 {
					example = fmt.Sprintf("sequence %d of client %d", first, c.id)
				}
				lost, losers = lost+n, losers+1
			}
		}
		if lost > 0 {
			v.fault("group %d: node %d has not applied %d acknowledged commands of %d clients, the first is %s", group, i+1, lost, losers, example)
		}
	}
}

// checkReads reports reads that did not see what had been acknowledged before them.
func (v *verdict) checkReads(l *load) {
	var stale uint64
	for _, c := range l.clients {
		stale += c.stale.Load()
	}
	if stale > 0 {
		v.fault("%d reads were stale, the first: %s", stale, *l.firstStale.Load())
	}
}

// appliedClients asks a member for what it has applied, by client.
func appliedClients(ctx context.Context, m member, group engine.GroupID) (map[uint32]spans, error) {
	all := map[uint32]spans{}
	for from := uint64(0); ; {
		answer, _, err := m.query(ctx, group, "clients "+strconv.FormatUint(from, 10))
		if err != nil {
			return nil, err
		}
		next := uint64(0)
		for line := range strings.Lines(string(answer)) {
			name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if name == "next" {
				if next, err = strconv.ParseUint(rest, 10, 32); err != nil || next <= from {
					return nil, fmt.Errorf("answer to \"clients\": bad line %q", line)
				}
				continue
			}
			id, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("answer to \"clients\": bad line %q", line)
			}
			if all[uint32(id)], err = parseSpans(rest); err != nil {
				return nil, err
			}
		}
		if next == 0 {
			return all, nil
		}
		from = next
	}
}
