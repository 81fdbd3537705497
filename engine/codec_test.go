package engine_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Operators change the codec of a running cluster node by node. Clients must not
// notice: no operation fails, no connection is opened again.
func TestTheCodecChangesUnderLoadNodeByNode(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.ElectionTimeout = 0 })
	leader := c.leader()
	g := c.group(leader)
	dials := func() (n int64) {
		for _, h := range c.hosts {
			n += int64(h.Metrics().Network.Dials)
		}
		return n
	}
	c.propose("the lanes open with the first calls")
	c.eventually("all connections", func() bool {
		for _, h := range c.hosts {
			if h.Metrics().Network.PeersConnected != 2 {
				return false
			}
		}
		return true
	})
	before := dials()

	var done atomic.Int64
	var failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 16 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := g.Propose(t.Context(), fmt.Appendf(nil, "%d/%d", client, i)); err != nil {
					failed.Add(1)
					t.Errorf("client %d: %v", client, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for _, name := range []string{"msgpack", "thrift-binary", "thrift-compact"} {
		for id := engine.NodeID(1); id <= 3; id++ {
			if err := c.hosts[id].SetCodec(name); err != nil {
				t.Fatal(err)
			}
			// Enough traffic in every mix of codecs.
			until := done.Load() + 500
			c.eventually("traffic in the new mix", func() bool { return done.Load() >= until || failed.Load() > 0 })
		}
	}
	close(stop)
	clients.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of %d operations failed", n, done.Load())
	}
	if n := dials(); n != before {
		t.Errorf("%d dials while the codecs changed, want none", n-before)
	}
	t.Logf("%d operations, %d failed", done.Load(), failed.Load())
	if err := c.hosts[1].SetCodec("morse"); err == nil {
		t.Error("an unknown codec was accepted")
	}
}
