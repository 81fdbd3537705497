package transport

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
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

	// Refused counts what this side refused, by reason: frames, and connections.
	Refused map[Reason]uint64
	// QueueBytes is what is encoded and not written, per peer, now.
	QueueBytes map[raftpb.NodeID]int
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

	mu      sync.Mutex
	refused map[Reason]uint64
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
	return Metrics{
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
