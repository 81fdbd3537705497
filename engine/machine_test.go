package engine_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// vault is a state machine that keeps its state on a disk of its own: here a value that
// outlives the host. What one Apply changes, the commands' lines and what the engine
// knows, is stored together or not at all.
type vault struct{ disk *vaultDisk }

type vaultDisk struct {
	mu      sync.Mutex
	lines   []string
	applied engine.Index
	meta    map[string][]byte
	fail    int // this many stores fail
	forget  bool
	twice   []engine.Index // applied again
}

func newVaultDisk() *vaultDisk { return &vaultDisk{meta: map[string][]byte{}} }

func (v vault) Apply(b engine.Batch, results []engine.Result) error {
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, cmd := range b.Commands {
		if cmd.Index <= d.applied {
			d.twice = append(d.twice, cmd.Index)
		}
		results[i].Data = fmt.Appendf(nil, "line %d", len(d.lines)+i+1)
	}
	if d.forget {
		return nil
	}
	meta := b.Meta(results)
	if d.fail > 0 {
		d.fail--
		return errors.New("vault: the disk is full")
	}
	for _, kv := range meta {
		if len(kv.Key) == 0 || kv.Key[0] != 0 || len(kv.Key) > 32 {
			return fmt.Errorf("vault: key %x", kv.Key)
		}
		if kv.Value == nil {
			delete(d.meta, string(kv.Key))
			continue
		}
		d.meta[string(kv.Key)] = kv.Value
	}
	for _, cmd := range b.Commands {
		d.lines = append(d.lines, string(cmd.Data))
	}
	d.applied = b.Last
	return nil
}

func (v vault) Query([]byte) ([]byte, error) { return nil, nil }

func (v vault) Applied() (engine.Index, error) {
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	return v.disk.applied, nil
}

func (v vault) LoadMeta(fn func(key, value []byte)) error {
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	for key, value := range v.disk.meta {
		fn([]byte(key), value)
	}
	return nil
}

func (v vault) Sync() error { return nil }

// vaultState is what a snapshot of a vault holds: all that is on its disk.
type vaultState struct {
	Lines   []string
	Meta    map[string][]byte
	Applied engine.Index
}

func (v vault) Snapshot() (engine.Snapshot, error) {
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	b, err := json.Marshal(vaultState{v.disk.lines, hexKeys(v.disk.meta), v.disk.applied})
	return engine.BytesSnapshot(b), err
}

func (v vault) Restore(r io.Reader) error {
	var s vaultState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	v.disk.lines, v.disk.applied, v.disk.meta = s.Lines, s.Applied, map[string][]byte{}
	for key, value := range s.Meta {
		name, err := hex.DecodeString(key)
		if err != nil {
			return err
		}
		v.disk.meta[string(name)] = value
	}
	return nil
}

func hexKeys(m map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for key, value := range m {
		out[hex.EncodeToString([]byte(key))] = value
	}
	return out
}

func (d *vaultDisk) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// vaults is a cluster of machines on disks that outlive their hosts.
func vaults(t *testing.T, nodes int) (*cluster, []*vaultDisk) { return vaultsOf(t, nodes, nil) }

func vaultsOf(t *testing.T, nodes int, adjust func(*engine.Config)) (*cluster, []*vaultDisk) {
	disks := make([]*vaultDisk, nodes+1)
	for i := range disks {
		disks[i] = newVaultDisk()
	}
	next := 0
	c := newClusterOf(t, 0, adjust, func() engine.StateMachine { return vault{disks[next]} })
	for id := engine.NodeID(1); id <= engine.NodeID(nodes); id++ {
		c.addrs[id] = freeAddress(t)
	}
	for id := range c.addrs {
		next = int(id)
		c.start(id)
	}
	c.machine = nil
	return c, disks
}

func (c *cluster) startVault(id engine.NodeID, disks []*vaultDisk) {
	c.machine = func() engine.StateMachine { return vault{disks[id]} }
	c.start(id)
}

// A machine on disk goes on where its state ends: after restarts nothing is applied twice,
// nothing is missing, and a session still knows what it has applied, because that is
// stored with the state.
func TestAMachineOnDiskGoesOnWhereItsStateEnds(t *testing.T) {
	c, disks := vaults(t, 3)
	s, err := c.group(c.leader()).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := proposeIn(t, caller(t, c.addrs[1]), s.ID(), 1, 1, "zero") // or a redirection
	for node := engine.NodeID(2); err != nil && node <= 3; node++ {
		first, err = proposeIn(t, caller(t, c.addrs[node]), s.ID(), 1, 1, "zero")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"zero"}
	for round := range 3 {
		for i := range 20 {
			want = append(want, fmt.Sprintf("round %d line %d", round, i))
			c.propose(want[len(want)-1])
		}
		for id := range c.addrs {
			c.stop(id)
		}
		for id := range c.addrs {
			c.startVault(id, disks)
		}
		leader := c.leader()
		again, err := proposeIn(t, caller(t, c.addrs[leader]), s.ID(), 1, 1, "zero")
		if err != nil || again.Index != first.Index || string(again.Result) != "line 1" {
			t.Errorf("round %d: the retry: %+v, %v; want line 1 at %d", round, again, err, first.Index)
		}
	}
	for id := range c.addrs {
		c.eventually("all lines on every node", func() bool { return slices.Equal(disks[id].all(), want) })
		if len(disks[id].twice) > 0 {
			t.Errorf("node %d: applied again: %v", id, disks[id].twice)
		}
	}
}

// A machine on disk that does not store what the engine gives it is stopped at once, not
// found out after a restart; and so is one whose stored keys are not the engine's.
func TestAMachineOnDiskMustKeepWhatItIsGiven(t *testing.T) {
	c, disks := vaults(t, 1)
	leader := c.leader()
	disks[1].mu.Lock()
	disks[1].forget = true
	disks[1].mu.Unlock()
	_, err := c.group(leader).Propose(t.Context(), []byte("x"))
	var failed *engine.FailedError
	if !errors.As(err, &failed) {
		t.Errorf("propose: %v, want FailedError", err)
	}
	d := newVaultDisk()
	d.meta["strange"] = []byte{1}
	_, err = c.hosts[1].Start(t.Context(), engine.GroupConfig{ID: 99, Members: c.members(), Machine: vault{d}})
	if err == nil {
		t.Error("a machine with keys of somebody else was started")
	}
	_, err = c.hosts[1].Start(t.Context(), engine.GroupConfig{ID: 99, Members: c.members(), Machine: vault{newVaultDisk()}, OnApplyError: engine.Skip})
	if err == nil {
		t.Error("a machine on disk was allowed to skip")
	}
}

// policyCluster is one node whose machine returns errors, with a policy.
func policyCluster(t *testing.T, m engine.StateMachine, p engine.ApplyPolicy) (*cluster, *engine.Group) {
	t.Helper()
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.Workers = 1 })
	c.leader()
	g, err := c.hosts[1].Start(t.Context(), engine.GroupConfig{ID: 50, Members: c.members(), Machine: m, OnApplyError: p})
	if err != nil {
		t.Fatal(err)
	}
	return c, g
}

// With Retry a batch is applied again until it succeeds, in order, with its session
// commands; other groups of the same worker go on meanwhile, and the status tells.
func TestRetryAppliesABatchAgainUntilItSucceeds(t *testing.T) {
	d := newVaultDisk()
	c, g := policyCluster(t, vault{d}, engine.Retry)
	s, err := g.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.fail = 3
	d.mu.Unlock()
	ends := make(chan error, 1)
	go func() {
		_, err := s.Propose(t.Context(), []byte("stubborn"))
		ends <- err
	}()
	c.eventually("a first failure", func() bool { st, err := g.Status(); return err == nil && st.ApplyFault != nil })
	c.propose("elsewhere")
	if err := <-ends; err != nil {
		t.Fatalf("after the retries: %v", err)
	}
	if r, err := g.Propose(t.Context(), []byte("next")); err != nil || string(r.Data) != "line 2" {
		t.Errorf("%q, %v", r.Data, err)
	}
	if got := d.all(); !slices.Equal(got, []string{"stubborn", "next"}) {
		t.Errorf("lines %v", got)
	}
	if st, err := g.Status(); err != nil || st.ApplyFault == nil || st.ApplyFault.Count != 3 || st.Err != nil {
		t.Errorf("status: fault %+v, end %v, %v; want 3 faults of a group that runs", st.ApplyFault, st.Err, err)
	}
}

// A group that is stopped while its machine fails again and again ends what waits.
func TestStoppingEndsTheRetries(t *testing.T) {
	d := newVaultDisk()
	c, g := policyCluster(t, vault{d}, engine.Retry)
	c.eventually("a leader", func() bool { return g.Leader() != 0 })
	d.mu.Lock()
	d.fail = 1 << 30
	d.mu.Unlock()
	ends, reads := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := g.Propose(t.Context(), []byte("never"))
		ends <- err
	}()
	c.eventually("a failure", func() bool { st, err := g.Status(); return err == nil && st.ApplyFault != nil })
	go func() { reads <- g.Read(t.Context(), engine.Linearizable, func() error { return nil }) }()
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ends; !errors.Is(err, engine.ErrClosed) || !errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("propose: %v, want ErrClosed with an open outcome", err)
	}
	if err := <-reads; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("read: %v, want ErrClosed", err)
	}
}

// picky refuses the commands of a batch all together when one of them is poison.
type picky struct{ ledger }

func (p *picky) Apply(b engine.Batch, results []engine.Result) error {
	for _, cmd := range b.Commands {
		if string(cmd.Data) == "poison" {
			return errors.New("picky: poison")
		}
	}
	return p.ledger.Apply(b, results)
}

// With Skip only the command that fails is left out, wherever it stands in its batch; its
// proposer is told, and so is who sends it again in its session.
func TestSkipLeavesOutWhatFails(t *testing.T) {
	m := &picky{}
	c, g := policyCluster(t, m, engine.Skip)
	c.eventually("a leader", func() bool { return g.Leader() != 0 })
	s, err := g.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 40)
	for i := range 40 {
		cmd := fmt.Sprint("fine ", i)
		if i%10 == 5 {
			cmd = "poison"
		}
		if err := g.ProposeAsync([]byte(cmd), func(_ engine.Result, err error) { ends <- err }); err != nil {
			t.Fatal(err)
		}
	}
	skipped := 0
	for range 40 {
		var apply *engine.ApplyError
		if err := <-ends; errors.As(err, &apply) {
			skipped++
		} else if err != nil {
			t.Errorf("propose: %v", err)
		}
	}
	if skipped != 4 {
		t.Errorf("%d commands skipped, want 4", skipped)
	}
	client := caller(t, c.addrs[1])
	req := &raftpb.ProposeRequest{Group: 50, Command: []byte("poison"), Session: opt(s.ID()), Serial: opt(9)}
	var r raftpb.ProposeResponse
	wantRejected(t, client.Call(t.Context(), raftpb.RaftClientPropose, req, &r), raftpb.RejectCodeBadArgument)
	var unavailable *raftpb.Unavailable
	if err := client.Call(t.Context(), raftpb.RaftClientPropose, req, &r); !errors.As(err, &unavailable) || !unavailable.Applied.Set {
		t.Errorf("the retry: %v, want Unavailable with the place", err)
	}
	if st, err := g.Status(); err != nil || st.Err != nil || st.ApplyFault == nil {
		t.Errorf("status %+v, %v: want a fault, and a group that runs", st, err)
	}
	err = g.Read(t.Context(), engine.Linearizable, func() error {
		if len(m.lines) != 36 {
			t.Errorf("%d lines applied, want 36", len(m.lines))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
