package transport

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TCP is a Network over TCP.
type TCP struct{ net *network }

// Listen opens the port and begins to dial the peers. A bad cfg is reported with all
// its faults. Close it when done.
func Listen(cfg Config) (*TCP, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive()}
	ln, err := lc.Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err) // "listen tcp ADDRESS: cause"
	}
	return &TCP{start(cfg, ln, dialTCP)}, nil
}

// keepAlive finds a host that vanished while a connection was idle. What vanishes with
// answers due is found by StallTimeout.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// dialTCP connects. Go sets TCP_NODELAY on every TCP connection: frames are batched
// here, by what is queued, and never by a timer.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive()}
	return d.DialContext(ctx, "tcp", addr)
}

// Call implements Network.
func (t *TCP) Call(to raftpb.NodeID, lane Lane, m *codec.Method, req codec.Message, done func(resp codec.Message, err error)) error {
	return t.net.call(to, lane, m, req, done)
}

// SetPeer implements Network.
func (t *TCP) SetPeer(id raftpb.NodeID, addr string) { t.net.setPeer(id, addr) }

// RemovePeer implements Network.
func (t *TCP) RemovePeer(id raftpb.NodeID) { t.net.removePeer(id) }

// SetCodec changes what later calls are sent in. Connections stay: every frame names its
// codec. Peers that do not decode it get the best codec that both sides know.
func (t *TCP) SetCodec(c codec.Codec) { t.net.setCodec(c) }

// SetIdentity changes the certificate to show and the roots to believe in, for connections
// made from now on: those that exist stay. So a certificate is replaced before it expires, and a root
// in three steps: believe in both, change all certificates, forget the old one. It fails on a network
// without TLS, and for an identity that Listen would not take.
func (t *TCP) SetIdentity(id *Identity) error { return t.net.setIdentity(id) }

// Addr implements Network.
func (t *TCP) Addr() string { return t.net.ln.Addr().String() }

// Metrics implements Network.
func (t *TCP) Metrics() Metrics { return t.net.metrics() }

// Peer returns what is known of a peer, as Metrics does, and whether it is one.
func (t *TCP) Peer(id raftpb.NodeID) (m PeerMetrics, known bool) { return t.net.peer(id) }

// Close implements Network.
func (t *TCP) Close() error { return t.net.close() }
