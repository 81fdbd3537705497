package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// nodeHash is an endpoint's hash.
type nodeHash struct {
	addr    string
	witness bool // it has no state
	raftpb.HashResponse
	err error
}

// What comes of a comparison.
const (
	hashesEqual   = "equal"
	hashesDiffer  = "NOT EQUAL"
	hashesUnknown = "not compared"
)

// Bounds of the search for an index that no endpoint has passed.
const (
	hashLead     = 64 // entries from the end of the log to the first index tried
	hashPatience = 2 * time.Second
)

// hash compares the endpoints. It fails when they differ, or when one has no hash to compare.
func (o *operation) hash([]string) error {
	at := raftpb.Index(o.c.Int64("at"))
	if o.c.IsSet("at") && at < 1 {
		return usage("hash: --at: %d is not an index, from 1", at)
	}
	var all []nodeHash
	if o.c.IsSet("at") {
		all = o.hashes(o.ctx, at, o.statuses())
	} else {
		at, all = o.hashesNow()
	}
	outcome := compare(all)
	if err := o.printHashes(at, all, outcome); err != nil || outcome == hashesEqual {
		return err
	}
	return errFound
}

// hashesNow hashes the endpoints at an index of its choice. Nobody can say what the state was at an index that was passed: where
// nothing is written, the last one is taken; otherwise one that is still to come, and further and further ahead until all endpoints
// have been asked in time.
func (o *operation) hashesNow() (at raftpb.Index, all []nodeHash) {
	lead := raftpb.Index(0)
	for {
		nodes := o.statuses()
		at = 0
		for i := range nodes {
			at = max(at, nodes[i].Applied)
			if lead > 0 {
				at = max(at, nodes[i].LastIndex+lead)
			}
		}
		ctx, cancel := context.WithTimeout(o.ctx, hashPatience)
		all = o.hashes(ctx, at, nodes)
		late := ctx.Err()
		cancel()
		again := slices.ContainsFunc(all, func(h nodeHash) bool {
			var unavailable *raftpb.Unavailable
			return errors.As(h.err, &unavailable) || errors.Is(h.err, context.DeadlineExceeded)
		})
		if !again || o.ctx.Err() != nil {
			return at, all
		}
		if lead = max(hashLead, 2*lead); errors.Is(late, context.DeadlineExceeded) {
			lead = 0 // the index did not come: nothing is written any more
		}
	}
}

func (o *operation) hashes(ctx context.Context, at raftpb.Index, nodes []nodeStatus) []nodeHash {
	return each(o, func(addr string) (h nodeHash) {
		h.addr = addr
		if i := slices.IndexFunc(nodes, func(s nodeStatus) bool { return s.addr == addr }); nodes[i].isWitness() {
			h.witness = true
			return h
		}
		h.err = o.cluster.At(ctx, addr, raftpb.RaftAdminHash, &raftpb.HashRequest{Group: o.group, Index: at}, &h.HashResponse)
		return h
	})
}

func (s *nodeStatus) isWitness() bool {
	return slices.ContainsFunc(s.Config.Incoming, func(m raftpb.Member) bool { return m.ID == s.Node && m.Suffrage == raftpb.SuffrageWitness })
}

// compare says whether all have the same. A voter without a machine has a hash of its log only.
func compare(all []nodeHash) string {
	var first *nodeHash
	var state []byte
	outcome := hashesEqual
	for i := range all {
		h := &all[i]
		switch {
		case h.witness:
			continue
		case h.err != nil:
			outcome = hashesUnknown
			continue
		}
		if state == nil && len(h.State) > 0 {
			state = h.State
		}
		if first == nil {
			first = h
		}
		if h.Index != first.Index || !bytes.Equal(h.LogChain, first.LogChain) || len(h.State) > 0 && !bytes.Equal(h.State, state) {
			return hashesDiffer
		}
	}
	if first == nil {
		return hashesUnknown
	}
	return outcome
}

func (o *operation) printHashes(at raftpb.Index, all []nodeHash, outcome string) error {
	list := []any{}
	for i := range all {
		h := &all[i]
		switch {
		case h.witness:
			list = append(list, object{"endpoint": h.addr, "witness": true})
		case h.err != nil:
			list = append(list, object{"endpoint": h.addr, "error": h.err.Error()})
		default:
			list = append(list, object{"endpoint": h.addr, "index": h.Index, "state": hex.EncodeToString(h.State), "logChain": hex.EncodeToString(h.LogChain)})
		}
	}
	if o.json() {
		return o.printJSON(object{"index": at, "equal": outcome == hashesEqual, "differ": outcome == hashesDiffer, "nodes": list})
	}
	for i := range all {
		h := &all[i]
		switch {
		case h.witness:
			fmt.Fprintf(o.out, "%s: a witness, which has no state\n", h.addr)
		case h.err != nil:
			fmt.Fprintf(o.out, "%s: %v\n", h.addr, h.err)
		default:
			fmt.Fprintf(o.out, "%s: index %d state %x log %x\n", h.addr, h.Index, h.State, h.LogChain)
		}
	}
	if outcome == hashesUnknown {
		outcome = fmt.Sprintf("not all can be compared at %d", at)
	}
	_, err := fmt.Fprintln(o.out, outcome)
	return err
}
