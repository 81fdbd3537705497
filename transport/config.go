package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Peer is a node at the other side of a connection, as Config.Admit sees it.
type Peer struct {
	Hello      *raftpb.Hello
	Holder     Holder // of its certificate; nothing without TLS
	RemoteAddr string
	Dialed     bool // this side opened the connection
}

// Config describes one node's network. Zero values mean the default given. It is
// copied by Listen.
type Config struct {
	// Cluster is the id that both sides of a handshake must share. Required.
	Cluster string
	// Node is this node's id, above 0. Required.
	Node raftpb.NodeID
	// Incarnation and Epoch are told to the other side, whose Admit judges them.
	Incarnation int64
	Epoch       int64
	// Software names this program in handshakes. Default "raftwire".
	Software string

	// Listen is the address to listen on, such as "127.0.0.1:0". Required.
	Listen string
	// Peers are the addresses to dial, by node id; the own id is ignored.
	Peers map[raftpb.NodeID]string

	// Handler serves Methods to peers, after the handshake, and ClientMethods to
	// anyone. It may be nil if both are empty.
	Handler       Handler
	Methods       []*codec.Method
	ClientMethods []*codec.Method

	// Identity, when set, puts every connection under mutual TLS. The certificate must
	// have the NodeURI of Cluster and Node, and be good for servers and for clients. nil: no
	// TLS; then whoever reaches the port and knows the cluster's name may act as a member.
	Identity *Identity

	// Codec is what this side sends requests in, to peers that can decode it.
	// Default: the first of Codecs.
	Codec codec.Codec
	// Codecs are those this side decodes, best first. Default: Thrift Compact, Thrift
	// Binary and msgpack.
	Codecs []codec.Codec

	// Admit, when set, judges who is at the other side of a connection after cluster, node,
	// version and certificate were found right. An error refuses it; a *raftpb.Rejected
	// travels as it is. It runs on a goroutine of the connection, and keeps nothing of p.
	Admit func(p Peer) error

	// Refused, when set, is told that another node has refused the handshake of this one,
	// and why. It runs on goroutines of the transport and must not block.
	Refused func(by raftpb.NodeID, why *raftpb.Rejected)

	// PeerState, when set, is told when calls to a peer become possible and when they end
	// being so. It runs on goroutines of the transport, one call at a time and in order; it must
	// not block.
	PeerState func(id raftpb.NodeID, connected bool)

	// Logger receives connects, disconnects and refusals. Default slog.Default().
	Logger *slog.Logger

	// MaxFrame bounds a frame, in bytes after its length. Peers whose own cap is
	// smaller are refused. Default 16,384,000, at least 64 KiB, at most 1 GiB.
	MaxFrame int
	// MaxQueueBytes bounds what is encoded and not yet written, per connection. A Call
	// past it gets ErrQueueFull; an acceptor past it stops reading that connection.
	// Default 64 MiB, at least MaxFrame.
	MaxQueueBytes int
	// MaxInflight bounds unanswered calls per connection. A Call past it gets
	// ErrQueueFull; an acceptor past it answers peers with RemoteBusy and stops reading
	// a client until answers have left. Default 4096.
	MaxInflight int
	// MaxConns bounds accepted connections that have not handshaken. Past it a
	// connection is accepted only to handshake. Default 16,384.
	MaxConns int
	// MaxClientBytes bounds the frames of unanswered calls of all connections that have
	// not handshaken together. A call past it is answered with RemoteBusy. Default 256 MiB, at
	// least MaxFrame.
	MaxClientBytes int

	// HandshakeTimeout bounds the time from accept to the first complete frame, and from
	// dial to the answer to Hello. Default 5 s.
	HandshakeTimeout time.Duration
	// DialTimeout bounds one attempt to connect. Default 3 s.
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between attempts: it doubles from
	// BackoffMin and each pause is drawn from its upper half. Defaults 20 ms and 2 s.
	BackoffMin, BackoffMax time.Duration
	// FrameTimeout bounds the time from the first to the last byte of a frame, in and
	// out. Default 30 s.
	FrameTimeout time.Duration
	// StallTimeout is how long answers may be due with no byte arriving before a dialed
	// connection is taken for dead. Default 15 s.
	StallTimeout time.Duration
	// ProbeAfter is how long that may last before the other side's transport is asked for a
	// sign of life, so that a handler that takes long is no stall. After twice this the peer
	// counts as not reachable (PeerMetrics). Default a third of StallTimeout; at most half.
	ProbeAfter time.Duration
	// CloseTimeout bounds how long Close goes on sending. Default 1 s.
	CloseTimeout time.Duration
}

// Defaults of Config.
const (
	DefaultMaxFrame         = raftpb.MaxFrameBytes
	DefaultMaxQueueBytes    = 64 << 20
	DefaultMaxInflight      = 4096
	DefaultMaxConns         = 16384
	DefaultMaxClientBytes   = 256 << 20
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultDialTimeout      = 3 * time.Second
	DefaultBackoffMin       = 20 * time.Millisecond
	DefaultBackoffMax       = 2 * time.Second
	DefaultFrameTimeout     = 30 * time.Second
	DefaultStallTimeout     = 15 * time.Second
	DefaultCloseTimeout     = time.Second

	minMaxFrame = 64 << 10
	maxMaxFrame = 1 << 30
)

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// withDefaults returns a copy that shares nothing the caller may change.
func (c Config) withDefaults() Config {
	c.Peers = maps.Clone(c.Peers)
	if len(c.Codecs) == 0 {
		c.Codecs = defaultCodecs()
	}
	if c.Codec == nil {
		c.Codec = c.Codecs[0]
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	orDefault(&c.Software, "raftwire")
	orDefault(&c.MaxFrame, DefaultMaxFrame)
	orDefault(&c.MaxQueueBytes, max(DefaultMaxQueueBytes, c.MaxFrame))
	orDefault(&c.MaxInflight, DefaultMaxInflight)
	orDefault(&c.MaxConns, DefaultMaxConns)
	orDefault(&c.MaxClientBytes, max(DefaultMaxClientBytes, c.MaxFrame))
	orDefault(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	orDefault(&c.DialTimeout, DefaultDialTimeout)
	orDefault(&c.BackoffMin, DefaultBackoffMin)
	orDefault(&c.BackoffMax, max(DefaultBackoffMax, c.BackoffMin))
	orDefault(&c.FrameTimeout, DefaultFrameTimeout)
	orDefault(&c.StallTimeout, DefaultStallTimeout)
	orDefault(&c.ProbeAfter, c.StallTimeout/3)
	orDefault(&c.CloseTimeout, DefaultCloseTimeout)
	return c
}

// validate reports every fault of a Config with its defaults filled in.
func (c *Config) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("transport: config: "+format, args...))
		}
	}
	fault(c.Cluster == "", "Cluster: empty")
	fault(c.Node <= 0, "Node: %d is not above 0", c.Node)
	fault(c.Listen == "", "Listen: empty")
	if c.Identity != nil {
		err := c.Identity.check(c.Cluster, c.Node)
		fault(err != nil, "Identity: %w", err)
	}
	fault(c.Handler == nil && len(c.Methods)+len(c.ClientMethods) > 0, "Handler: nil, but there are methods to serve")
	for id, addr := range c.Peers {
		fault(id <= 0, "Peers: id %d is not above 0", id)
		fault(addr == "", "Peers: address of %d is empty", id)
	}
	seen := map[uint8]bool{}
	for _, k := range c.Codecs {
		fault(k.ID() == 0 || k.ID() > 127, "Codecs: id %d of %s is not in 1..127", k.ID(), k.Name())
		fault(seen[k.ID()], "Codecs: id %d is there twice", k.ID())
		seen[k.ID()] = true
	}
	errs = append(errs, methodFaults(c.Methods, c.ClientMethods)...)
	fault(c.MaxFrame < minMaxFrame || c.MaxFrame > maxMaxFrame, "MaxFrame: %d is not in %d..%d", c.MaxFrame, minMaxFrame, maxMaxFrame)
	fault(c.MaxQueueBytes < c.MaxFrame, "MaxQueueBytes: %d is below MaxFrame", c.MaxQueueBytes)
	fault(c.MaxInflight < 1, "MaxInflight: %d is below 1", c.MaxInflight)
	fault(c.MaxConns < 1, "MaxConns: %d is below 1", c.MaxConns)
	fault(c.MaxClientBytes < c.MaxFrame, "MaxClientBytes: %d is below MaxFrame", c.MaxClientBytes)
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"HandshakeTimeout", c.HandshakeTimeout}, {"DialTimeout", c.DialTimeout}, {"BackoffMin", c.BackoffMin},
		{"FrameTimeout", c.FrameTimeout}, {"StallTimeout", c.StallTimeout}, {"CloseTimeout", c.CloseTimeout},
		{"ProbeAfter", c.ProbeAfter},
	} {
		fault(d.d < 0, "%s: %v is negative", d.name, d.d)
	}
	fault(c.ProbeAfter > c.StallTimeout/2, "ProbeAfter: %v is above half of StallTimeout", c.ProbeAfter)
	fault(c.BackoffMax < c.BackoffMin, "BackoffMax: %v is below BackoffMin", c.BackoffMax)
	return errors.Join(errs...)
}
