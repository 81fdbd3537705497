package engine_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

// Operators replace certificates before they expire, and sometimes the authority that signs
// them, in a running cluster: no operation fails, no connection ends, nobody is elected.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	old, renewed := newAuthority(t), newAuthority(t)
	show := func(signer *transporttest.Authority, id engine.NodeID, roots ...*transporttest.Authority) *transport.Identity {
		x, err := signer.Issue(nil, transport.NodeURI("test", id))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range roots {
			x.Roots.AddCert(r.Certificate())
		}
		return x
	}
	c := newCluster(t, 3, func(cfg *engine.Config) {
		cfg.ElectionTimeout = 0
		cfg.Identity = show(old, cfg.Node)
	})
	g := c.group(c.leader())
	c.propose("first")
	before := c.hosts[c.leader()].Metrics()

	var done, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for failed.Load() == 0 {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := g.Propose(t.Context(), []byte("x")); err != nil {
					failed.Add(1)
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	for _, step := range []func(engine.NodeID) *transport.Identity{
		func(id engine.NodeID) *transport.Identity { return show(old, id, renewed) },
		func(id engine.NodeID) *transport.Identity { return show(renewed, id, old) },
		func(id engine.NodeID) *transport.Identity { return show(renewed, id) },
	} {
		for id := engine.NodeID(1); id <= 3; id++ {
			if err := c.hosts[id].SetIdentity(step(id)); err != nil {
				t.Fatal(err)
			}
			until := done.Load() + 200
			c.eventually("traffic", func() bool { return done.Load() >= until || failed.Load() > 0 })
		}
	}
	close(stop)
	clients.Wait()
	after := c.hosts[c.leader()].Metrics()
	if after.Network.Dials != before.Network.Dials {
		t.Errorf("%d connections were opened again", after.Network.Dials-before.Network.Dials)
	}

	// Who comes back, comes back under the new authority.
	last := c.leader()%3 + 1
	c.stop(last)
	c.adjust = func(cfg *engine.Config) { cfg.ElectionTimeout, cfg.Identity = 0, show(renewed, cfg.Node) }
	c.start(last)
	c.propose("after the restart")
	c.eventually("what was proposed to arrive", func() bool {
		lines := c.lines(last)
		return len(lines) > 0 && lines[len(lines)-1] == "after the restart"
	})
}

func newAuthority(t *testing.T) *transporttest.Authority {
	t.Helper()
	a, err := transporttest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}
