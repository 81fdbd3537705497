package transport

import (
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Lane is the urgency of a call. Frames of a lower lane leave before those of a
// higher one, always: a lane that is never empty starves the ones behind it.
type Lane uint8

// The lanes, most urgent first.
const (
	LaneControl  Lane = iota // votes, heartbeats, read rounds
	LaneAppend               // log entries
	LaneSnapshot             // chunks of state
	LaneBulk                 // whatever may wait: repair, background copies
	laneCount
)

// String names the lane.
func (l Lane) String() string {
	if l < laneCount {
		return [...]string{"control", "append", "snapshot", "bulk"}[l]
	}
	return "unknown lane"
}

// Network is one node's view of the others. TCP and Memory implement it. All methods
// are safe for concurrent use; none but Close blocks.
//
// A network may also have Peer, as TCP has, which says whether a peer can be reached; the engine
// then shows it.
type Network interface {
	// Call sends req to a peer. req is encoded before Call returns and not kept.
	//
	// When Call returns nil, done runs exactly once, on a goroutine of the transport,
	// and must not block. resp is of m's response type (nil for a oneway or void
	// method). It is reused: it and its lists are valid until done returns. Its byte
	// slices alias a frame that is never recycled and may be kept.
	//
	// When Call returns an error nothing was sent and done never runs: ErrUnreachable,
	// ErrQueueFull, ErrClosed, ErrTooLarge or an error of the codec.
	//
	// The error given to done is a declared exception (a codec.Exception), a
	// *RemoteError, a *ProtocolError, ErrUnreachable (queued, but no byte of it left)
	// or ErrDisconnected (it may have arrived).
	Call(to raftpb.NodeID, lane Lane, m *codec.Method, req codec.Message, done func(resp codec.Message, err error)) error

	// SetPeer adds a peer or moves it to another dial address. A move closes the
	// connections to the old address. The own id is ignored.
	SetPeer(id raftpb.NodeID, addr string)
	// RemovePeer forgets a peer and closes the connections to it.
	RemovePeer(id raftpb.NodeID)

	// SetCodec changes what later calls are sent in. Connections stay: every frame
	// names its codec. Peers that do not decode it get the best one that both sides know.
	SetCodec(c codec.Codec)

	// Addr is the address listened on, with the port that was chosen.
	Addr() string
	// Metrics returns the counters as they stand.
	Metrics() Metrics
	// Close sends what is queued, for at most Config.CloseTimeout, ends every
	// connection and waits for all goroutines. Calls in flight end with
	// ErrDisconnected. It is idempotent.
	Close() error
}

// Handler serves inbound calls.
type Handler interface {
	// ServeCall runs on the connection's reader goroutine and must not block. The
	// answer is given there or later, by exactly one Reply or Fail.
	ServeCall(c *Call)
}
