package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// gate is a ledger whose Apply waits until the gate is open.
type gate struct {
	ledger
	open    chan struct{}
	arrived chan struct{} // Apply waits
	once    sync.Once
}

func (g *gate) Apply(b engine.Batch, results []engine.Result) error {
	if len(b.Commands) > 0 {
		g.once.Do(func() { close(g.arrived) })
		<-g.open
	}
	return g.ledger.Apply(b, results)
}

// A machine that hangs in Apply holds up its own group and no other of the same worker.
// When it comes to itself it applies all that has come meanwhile, once and in order.
func TestAMachineThatHangsHoldsUpNoOtherGroup(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.Workers = 1 })
	stuck := &gate{open: make(chan struct{}), arrived: make(chan struct{})}
	h := c.hosts[1]
	g, err := h.Start(t.Context(), engine.GroupConfig{ID: 100, Members: c.members(), Machine: stuck})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group to be led", func() bool { return g.Leader() == 1 })
	var ended sync.WaitGroup
	var want []string
	var mu sync.Mutex
	var got []string
	propose := func(n int) {
		for range n {
			line := fmt.Sprintf("command %d", len(want))
			want = append(want, line)
			ended.Add(1)
			err := g.ProposeAsync([]byte(line), func(_ engine.Result, err error) {
				defer ended.Done()
				if err != nil {
					t.Errorf("%s: %v", line, err)
				}
				mu.Lock()
				got = append(got, line)
				mu.Unlock()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	propose(10)
	<-stuck.arrived
	for i := range 100 { // through the same worker and applier
		c.propose(fmt.Sprint("in another group ", i))
		propose(1)
	}
	if lines := c.lines(1); len(lines) != 100 {
		t.Errorf("the other group has applied %d commands, want 100", len(lines))
	}
	close(stuck.open)
	ended.Wait()
	if !slices.Equal(stuck.lines, want) || !slices.Equal(got, want) {
		t.Errorf("the group that hung applied %d commands and answered %d, want %d in order", len(stuck.lines), len(got), len(want))
	}
	c.propose("afterwards")
}

// Groups that hang, many at a time, are stopped when they come to themselves, and none of
// their commands is forgotten.
func TestGroupsThatHangCanBeStopped(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.Workers = 1 })
	h := c.hosts[1]
	open := make(chan struct{})
	const groups = 20
	var ended, stopped sync.WaitGroup
	for id := engine.GroupID(100); id < 100+groups; id++ {
		stuck := &gate{open: open, arrived: make(chan struct{})}
		g, err := h.Start(t.Context(), engine.GroupConfig{ID: id, Members: c.members(), Machine: stuck})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the group to be led", func() bool { return g.Leader() == 1 })
		ended.Add(1)
		if err := g.ProposeAsync([]byte("a command"), func(engine.Result, error) { ended.Done() }); err != nil {
			t.Fatal(err)
		}
		<-stuck.arrived
		if id%2 == 0 {
			stopped.Go(func() {
				if err := g.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	c.propose("while all others hang")
	close(open)
	ended.Wait()
	stopped.Wait()
}
