package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// HashStateMachine is a StateMachine that knows a hash of its state. Equal states have equal
// hashes. Of other machines the bytes of a snapshot are hashed, which takes as long as
// writing one, while nothing is applied.
type HashStateMachine interface {
	StateMachine
	Hash() ([]byte, error)
}

// StateHash is a hash of the state at one index: of the machine, and of what the engine
// keeps of sessions. Members whose hashes at an index differ have drifted apart: a machine
// did something that does not follow from the commands, or its memory is damaged.
type StateHash struct {
	Index Index
	Sum   [sha256.Size]byte
	// Log is the hash over the entries of the log up to Index, 0 if it is not known. Where it
	// differs too, the members have applied different commands.
	Log uint64
}

// Divergence is a difference between two members that was found.
type Divergence struct {
	Index        Index
	Node, Other  NodeID
	Mine, Theirs [sha256.Size]byte
	LogDiffers   bool // not only the states: they have applied different commands
}

// ErrNoHash says that the hash at an index is not known: the index was applied before
// anybody asked, and it is not, or no more, among the newest that GroupConfig.HashEvery
// had taken. A witness has no state, and none at any index.
var ErrNoHash = errors.New("engine: no hash at that index")

// keptHashes is how many of the newest hashes a group keeps, and at how many indexes
// callers may wait for one.
const keptHashes = 16

// hashes are the newest hashes of a group, by rising index, and those that callers wait
// for. Safe for concurrent use.
type hashes struct {
	mu     sync.Mutex
	kept   []StateHash
	wanted []wantedHash

	pending atomic.Int64 // of wanted, those not taken yet
}

// wantedHash is a hash that somebody waits for.
type wantedHash struct {
	index   Index
	callers int
	known   bool
	StateHash
}

// want has the hash at index taken when it is applied, until drop is called. It reports
// false when too many indexes are waited for.
func (h *hashes) want(index Index) (drop func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.find(index)
	if i < 0 {
		if len(h.wanted) == keptHashes {
			return nil, false
		}
		i = len(h.wanted)
		h.wanted = append(h.wanted, wantedHash{index: index})
		h.pending.Add(1)
	}
	h.wanted[i].callers++
	return func() { h.drop(index) }, true
}

func (h *hashes) drop(index Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.find(index)
	if h.wanted[i].callers--; h.wanted[i].callers > 0 {
		return
	}
	if !h.wanted[i].known {
		h.pending.Add(-1)
	}
	h.wanted = slices.Delete(h.wanted, i, i+1)
}

func (h *hashes) find(index Index) int {
	return slices.IndexFunc(h.wanted, func(w wantedHash) bool { return w.index == index })
}

// wants reports whether somebody waits for the hash at index. It costs nothing while
// nobody waits for any.
func (h *hashes) wants(index Index) bool {
	if h.pending.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.find(index)
	return i >= 0 && !h.wanted[i].known
}

func (h *hashes) give(s StateHash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(s.Index); i >= 0 && !h.wanted[i].known {
		h.wanted[i].known, h.wanted[i].StateHash = true, s
		h.pending.Add(-1)
	}
}

func (h *hashes) add(s StateHash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) == keptHashes {
		h.kept = append(h.kept[:0], h.kept[1:]...)
	}
	h.kept = append(h.kept, s)
}

func (h *hashes) at(index Index) (StateHash, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.kept {
		if s.Index == index {
			return s, true
		}
	}
	if i := h.find(index); i >= 0 && h.wanted[i].known {
		return h.wanted[i].StateHash, true
	}
	return StateHash{}, false
}

// hash hashes the state. The caller sees to it that nothing is applied meanwhile, and that all
// that was taken was flushed. What a machine on disk says of how far it is depends on
// where batches ended; that it covers index does not.
func (m *machine) hash(index Index, log uint64) (StateHash, error) {
	if m.disk != nil {
		if err := m.cover(index); err != nil {
			return StateHash{}, fmt.Errorf("state machine: apply: %w", err)
		}
	}
	sum := sha256.New()
	sum.Write(m.sessions.Append(nil))
	if h, ok := m.sm.(HashStateMachine); ok {
		b, err := h.Hash()
		if err != nil {
			return StateHash{}, fmt.Errorf("state machine: hash: %w", err)
		}
		sum.Write(b)
	} else {
		s, err := m.sm.Snapshot()
		if err != nil {
			return StateHash{}, fmt.Errorf("state machine: hash: %w", err)
		}
		_, err = s.WriteTo(sum)
		if err = errors.Join(err, s.Close()); err != nil {
			return StateHash{}, fmt.Errorf("state machine: hash: %w", err)
		}
	}
	return StateHash{index, [sha256.Size]byte(sum.Sum(nil)), log}, nil
}

// Hash returns the hash of the state at index; 0: at what is applied now. It waits until
// so much is applied, and hashes just there, however fast commands go by. The hash of an
// index that is applied already is known if nothing was applied since, or if it is one of the
// newest multiples of GroupConfig.HashEvery; otherwise the error is ErrNoHash. ErrBusy:
// too many indexes are waited for. Safe for concurrent use.
func (g *Group) Hash(ctx context.Context, index Index) (StateHash, error) {
	if index < 0 {
		return StateHash{}, ErrNoHash
	}
	if s, err := g.Status(); err != nil || s.isWitness() {
		return StateHash{}, cmp.Or(err, ErrNoHash)
	}
	if index > 0 {
		drop, ok := g.machine.hashes.want(index)
		if !ok {
			return StateHash{}, fmt.Errorf("engine: hash: %w", ErrBusy)
		}
		defer drop()
	}
	var out StateHash
	way := readWay{mode: runtime.ReadLocal, least: index}
	err := g.wait(ctx, way, func() (err error) {
		g.group.Exclusively(func() { out, err = g.hashHere(index) })
		return err
	})
	return out, err
}

func (s *Status) isWitness() bool {
	return slices.ContainsFunc(s.Members, func(m Member) bool { return m.ID == s.Node && m.Suffrage == Witness })
}

// hashHere runs while nothing is applied or read.
func (g *Group) hashHere(index Index) (StateHash, error) {
	if index == 0 || index == g.Applied() {
		at, log := g.group.Chain()
		return g.machine.hash(at, log)
	}
	if s, ok := g.machine.hashes.at(index); ok {
		return s, nil
	}
	return StateHash{}, ErrNoHash
}

// compare asks the other members for their hash of what this leader has just hashed.
func (g *Group) compare(mine StateHash) {
	if g.Leader() != g.host.cfg.Node || !g.comparing.CompareAndSwap(false, true) {
		return
	}
	members := *g.addresses.Load()
	g.host.tasks.Go(func() {
		defer g.comparing.Store(false)
		ctx, cancel := g.host.bounded(10 * g.host.cfg.ElectionTimeout)
		defer cancel()
		for id := range members {
			if id != g.host.cfg.Node {
				g.compareWith(ctx, id, mine)
			}
		}
	})
}

func (g *Group) compareWith(ctx context.Context, id NodeID, mine StateHash) {
	req := &raftpb.HashRequest{Group: g.id, Index: mine.Index}
	got, err := callMember(ctx, g.host, id, raftpb.RaftAdminHash, req, func(m codec.Message) raftpb.HashResponse {
		return *m.(*raftpb.HashResponse)
	})
	theirs := got.State
	if err != nil || len(theirs) != sha256.Size || bytes.Equal(theirs, mine.Sum[:]) {
		return // a member that cannot tell, now or at that index, is asked the next time
	}
	d := &Divergence{Index: mine.Index, Node: g.host.cfg.Node, Other: id, Mine: mine.Sum, Theirs: [sha256.Size]byte(theirs)}
	d.LogDiffers = mine.Log != 0 && len(got.LogChain) == logChainBytes && binary.LittleEndian.Uint64(got.LogChain) != mine.Log
	g.diverged.Store(d)
	g.host.counters.divergences.Add(1)
	g.host.tell(Event{Kind: EventDiverged, Group: g.id, Peer: id, Index: d.Index})
	g.host.cfg.Logger.Error("states differ", "node", d.Node, "group", g.id, "peer", id, "index", d.Index)
}

// bounded is a context that ends after some time, and when the host is closed.
func (h *Host) bounded(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	h.tasks.Go(func() {
		select {
		case <-h.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// serveHash answers nodes of the cluster too: they compare.
func (h *Host) serveHash(c *transport.Call, req *raftpb.HashRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	index := req.Index
	h.tasks.Go(func() {
		ctx, cancel := h.bounded(10 * time.Second)
		defer cancel()
		s, err := g.Hash(ctx, index)
		if err != nil {
			c.Fail(&raftpb.Unavailable{Group: g.id, Reason: err.Error()})
			return
		}
		r := &raftpb.HashResponse{Group: g.id, Index: s.Index, State: s.Sum[:]}
		if s.Log != 0 {
			r.LogChain = binary.LittleEndian.AppendUint64(nil, s.Log)
		}
		c.Reply(r)
	})
}

const logChainBytes = 8 // of HashResponse.logChain: see docs/spec/snapshot.md
