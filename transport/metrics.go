package transport

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// Metrics are counters since Listen, and gauges where it says "now".
type Metrics struct {
	BytesIn, BytesOut   uint64 // on sockets, handshakes included
	FramesIn, FramesOut uint64
	Writes              uint64 // system calls that wrote

	CallsOut    uint64 // Calls accepted
	CallsFailed uint64 // of these, ended by RemoteError, ProtocolError, ErrUnreachable or ErrDisconnected
	CallsIn     uint64 // calls given to the Handler
	CallsNow    int    // given to the Handler and not answered, now
	// DoubleReplies counts answers given to a call that had one: a fault of the Handler.
	DoubleReplies uint64

	Dials, DialsFailed uint64 // attempts; those without a finished handshake
	Accepted           uint64
	PeersConnected     int // peers with a usable connection, now
	ConnsIn            int // accepted connections, now
	ClientConns        int // of these, without a handshake, now

	// Methods are the calls that this side made, by the method's name in the IDL. Those
	// that a Call refused with an error are not among them.
	Methods map[string]CallMetrics

	// Refused counts what this side refused, by reason: frames, and connections.
	Refused map[Reason]uint64
	// Peers says of every peer whether it can be reached, now.
	Peers map[raftpb.NodeID]PeerMetrics
	// QueueBytes is what is encoded and not written, per peer, now.
	QueueBytes map[raftpb.NodeID]int
}

// CallMetrics is what became of the calls of one method.
type CallMetrics struct {
	// Durations are those of the calls that were answered, a declared exception
	// included: from Call to the answer decoded.
	Durations histogram.Histogram
	Failed    uint64 // ended by RemoteError, ProtocolError, ErrUnreachable or ErrDisconnected
}

// callCounters are the live form of CallMetrics.
type callCounters struct {
	durations histogram.Recorder
	failed    atomic.Uint64
}

func (c *callCounters) ended(began time.Time, failed bool) {
	if failed {
		c.failed.Add(1)
		return
	}
	c.durations.Record(time.Since(began))
}

// counters are the live form of Metrics.
type counters struct {
	bytesIn, bytesOut     atomic.Uint64
	framesIn, framesOut   atomic.Uint64
	writes                atomic.Uint64
	callsOut, callsFailed atomic.Uint64
	callsIn               atomic.Uint64
	callsNow              atomic.Int64
	doubleReplies         atomic.Uint64
	dials, dialsFailed    atomic.Uint64
	accepted              atomic.Uint64

	methods sync.Map // *codec.Method -> *callCounters

	mu      sync.Mutex
	refused map[Reason]uint64
}

// of returns the counters of a method that this side calls.
func (c *counters) of(m *codec.Method) *callCounters {
	v, ok := c.methods.Load(m)
	if !ok {
		v, _ = c.methods.LoadOrStore(m, new(callCounters))
	}
	return v.(*callCounters)
}

func (c *counters) wrote(frames int, bytes int64) {
	c.writes.Add(1)
	c.framesOut.Add(uint64(frames))
	c.bytesOut.Add(uint64(bytes))
}

func (c *counters) refuse(r Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[Reason]uint64{}
	}
	c.refused[r]++
}

// refuseErr counts err if it is a violation of the protocol.
func (c *counters) refuseErr(err error) {
	if r := reasonOf(err); r != "" {
		c.refuse(r)
	}
}

func (c *counters) snapshot() Metrics {
	c.mu.Lock()
	refused := maps.Clone(c.refused)
	c.mu.Unlock()
	if refused == nil {
		refused = map[Reason]uint64{}
	}
	methods := map[string]CallMetrics{}
	c.methods.Range(func(m, v any) bool {
		calls, name := v.(*callCounters), m.(*codec.Method).Name
		sum, one := methods[name], calls.durations.Read() // two services may have a name in common
		sum.Durations.Add(&one)
		sum.Failed += calls.failed.Load()
		methods[name] = sum
		return true
	})
	return Metrics{
		Methods: methods,
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(),
		Writes:   c.writes.Load(),
		CallsOut: c.callsOut.Load(), CallsFailed: c.callsFailed.Load(),
		CallsIn: c.callsIn.Load(), CallsNow: int(c.callsNow.Load()),
		DoubleReplies: c.doubleReplies.Load(),
		Dials:         c.dials.Load(), DialsFailed: c.dialsFailed.Load(),
		Accepted: c.accepted.Load(),
		Refused:  refused,
	}
}
