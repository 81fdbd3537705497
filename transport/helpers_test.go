package transport_test

import (
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

type handler func(c *transport.Call)

// ServeCall implements transport.Handler.
func (h handler) ServeCall(c *transport.Call) { h(c) }

// config is a complete configuration for a node on a loopback port.
func config(id raftpb.NodeID, h handler) transport.Config {
	return transport.Config{
		Cluster: "test", Node: id, Listen: "127.0.0.1:0",
		Handler: h, Methods: raftpb.RaftPeerMethods, ClientMethods: raftpb.RaftClientMethods,
		Logger:     slog.New(slog.DiscardHandler),
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
}

// listen starts a node; change edits its configuration first.
func listen(t testing.TB, id raftpb.NodeID, h handler, change ...func(*transport.Config)) *transport.TCP {
	t.Helper()
	cfg := config(id, h)
	for _, f := range change {
		f(&cfg)
	}
	n, err := transport.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("what was waited for never came")
		panic("unreachable")
	}
}

// eventually waits until cond holds.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("what was waited for never came")
		}
	}
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// heapInUse is the live heap, in bytes.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
