package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// accepted is a connection that the other side opened: calls come in, answers go out.
type accepted struct {
	conn
	deadline *time.Timer  // for the first good frame
	spoken   bool         // it came; the reader's
	charged  int          // bytes of the frame at hand that count against MaxClientBytes; the reader's
	late     bool         // accepted over MaxConns: may only handshake
	maxFrame atomic.Int64 // longest frame the other side takes
	holder   Holder       // of its certificate; the reader's until the first call

	// Written by the reader under net.mu, read by it without.
	from raftpb.NodeID // 0 before the handshake

	calls    map[uint32]*Call // unanswered, the last of each seqid; under mu
	inflight int              // unanswered; under mu
}

// accept takes a connection over, or refuses it.
func (n *network) accept(nc net.Conn) {
	a := &accepted{calls: map[uint32]*Call{}}
	nc = n.secure(nc, tls.Server, (*Identity).accepting)
	a.maxFrame.Store(int64(n.cfg.MaxFrame))
	a.conn.init(n, nc)
	n.mu.Lock()
	ok := !n.closed
	if ok && n.clients-n.late >= n.cfg.MaxConns {
		ok, a.late = n.late < maxLate, true
	}
	if ok {
		n.accepted[a] = struct{}{}
		n.clients++
		if a.late {
			n.late++
		}
		n.spawn(a.serve)
	}
	closed := n.closed
	n.mu.Unlock()
	if !ok {
		if !closed {
			n.counters.refuse(ReasonTooMany)
		}
		nc.Close()
	}
}

// maxLate bounds connections over MaxConns that are given the time to handshake.
const maxLate = 256

// serve reads calls until the connection ends.
func (a *accepted) serve() {
	a.deadline = time.AfterFunc(a.net.cfg.HandshakeTimeout, func() {
		a.fail(refuse(ReasonTimeout, "no complete frame within %v", a.net.cfg.HandshakeTimeout))
	})
	var err error
	if a.holder, err = a.net.identify(a.net.ctx, a.nc); err == nil {
		err = a.read()
	}
	a.fail(err)
	a.uncharge()
	a.deadline.Stop()
	a.abandon(nil)
	a.forget()
	a.mu.Lock()
	err = a.failed
	a.mu.Unlock()
	if reason := reasonOf(err); reason != "" {
		level := slog.LevelDebug // anyone can cause these at any rate
		if a.from != 0 || handshakeReason(reason) {
			level = slog.LevelWarn
		}
		a.net.log.Log(a.net.ctx, level, "connection refused", "addr", a.nc.RemoteAddr().String(), "peer", int64(a.from), "err", err)
	}
}

// handshakeReason says that a node, probably one of ours, is set up wrong.
func handshakeReason(r Reason) bool {
	switch r {
	case ReasonWrongCluster, ReasonWrongNode, ReasonWrongVersion, ReasonSmallFrames, ReasonNotAdmitted, ReasonWrongCertificate, ReasonPlain:
		return true
	}
	return false
}

// forget takes the connection out of the network's count.
func (a *accepted) forget() {
	a.net.mu.Lock()
	defer a.net.mu.Unlock()
	delete(a.net.accepted, a)
	if a.from == 0 {
		a.net.clients--
		if a.late {
			a.net.late--
		}
	}
}

func (a *accepted) read() error {
	for {
		if err := a.pause(); err != nil {
			return err
		}
		p, f, err := a.reader.next(a.checkLarge)
		if errors.Is(err, io.EOF) {
			a.lastAnswers()
		}
		if err != nil && !errors.Is(err, errSkipped) {
			return err
		}
		a.net.counters.framesIn.Add(1)
		fits := err == nil && a.charge(len(f))
		if p == protoNative {
			err = a.nativeCall(f)
		} else {
			err = a.thriftCall(p, f[lengthBytes:], fits)
		}
		a.uncharge()
		if err != nil {
			return err
		}
		if !a.spoken {
			a.spoken = true
			a.deadline.Stop()
			if a.from == 0 {
				a.reader.trust(clientReadAhead, clientEager)
			}
		}
	}
}

// charge counts the frame at hand against what all clients together may hold, unless that
// is done already, and reports whether it fits.
func (a *accepted) charge(size int) bool {
	if a.from != 0 || a.charged != 0 {
		return true
	}
	if a.net.clientBytes.Add(int64(size)) > int64(a.net.cfg.MaxClientBytes) {
		a.net.clientBytes.Add(-int64(size))
		return false
	}
	a.charged = size
	return true
}

// uncharge gives back what no call has taken over.
func (a *accepted) uncharge() {
	a.net.clientBytes.Add(-int64(a.charged))
	a.charged = 0
}

// pause holds the reader back while too many answers are on their way: that fills the
// other side's send buffer and slows it down. A peer is not held back for its number of
// calls, since that would stop its heartbeats too: it gets RemoteBusy.
func (a *accepted) pause() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	cfg := &a.net.cfg
	for a.failed == nil && (a.queued > cfg.MaxQueueBytes || a.from == 0 && a.inflight >= cfg.MaxInflight) {
		a.room.Wait()
	}
	return a.failed
}

// lastAnswers waits, after the other side has sent its last call, until the answers that
// are queued have left, and for a client until all calls are answered: a client may shut
// its sending half and wait. A peer that closes its half wants no more.
func (a *accepted) lastAnswers() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.failed == nil && (a.queued > 0 || a.from == 0 && a.inflight > 0 && a.net.dialing.Err() == nil) {
		a.room.Wait()
	}
}

// checkLarge lets a connection without a handshake send a frame over the eager limit only
// as a call of a method that is served to it, and skips it when clients hold too much.
func (a *accepted) checkLarge(p protocol, size int, head []byte) error {
	if a.from != 0 {
		return nil
	}
	if p == protoNative {
		return refuse(ReasonNoHandshake, "native frame before the handshake")
	}
	e, _, err := parseEnvelope(head[lengthBytes:], p)
	if err != nil {
		return err
	}
	if m := a.net.methods.byName[string(e.name)]; m == nil || m.peerOnly {
		return refuse(ReasonUnknownMethod, "large frame for method %q", e.name)
	}
	if !a.charge(size) {
		return errSkipped
	}
	return nil
}

func (a *accepted) nativeCall(f []byte) error {
	if a.from == 0 {
		return refuse(ReasonNoHandshake, "native frame before the handshake")
	}
	h, body, err := openFrame(f)
	if err != nil {
		return err
	}
	if h.kind != kindCall && h.kind != kindOneway {
		return refuse(ReasonBadKind, "kind %d from the side that dialed", h.kind)
	}
	c := &Call{From: a.from, Lane: h.lane, conn: a, proto: protoNative, seq: h.seq,
		codec: a.net.codecs.find(h.codec), codecID: h.codec}
	m := a.net.methods.byID[h.method]
	if m == nil || m.Oneway != (h.kind == kindOneway) {
		return a.decline(c, unknownMethod(h.method, h.kind == kindOneway), ReasonUnknownMethod,
			&RemoteError{Type: RemoteUnknownMethod, Message: "method is not served here"})
	}
	c.method, c.Method = m, m.Method
	if c.codec == nil {
		return a.decline(c, m, ReasonUnknownCodec, &RemoteError{Type: RemoteProtocol, Message: "codec is not decoded here"})
	}
	req := m.requests.Get().(codec.Message)
	if err := c.codec.Decode(body, req, &a.net.limits); err != nil {
		return a.decline(c, m, ReasonBadBody, &RemoteError{Type: RemoteProtocol, Message: err.Error()})
	}
	c.Request = req
	return a.dispatch(c)
}

// unknownMethod stands in for a method that is not served, to answer it.
func unknownMethod(id uint16, oneway bool) *method {
	return &method{Method: &codec.Method{ID: id, Oneway: oneway}}
}

// thriftCall serves a Thrift message. Of one that does not fit MaxClientBytes only the
// first bytes are looked at.
func (a *accepted) thriftCall(p protocol, f []byte, fits bool) error {
	e, body, err := parseEnvelope(f, p)
	if err != nil {
		return err
	}
	if e.typ != messageCall && e.typ != messageOneway {
		return refuse(ReasonBadKind, "message type %d from the side that dialed", e.typ)
	}
	c := &Call{From: a.from, Lane: LaneAppend, conn: a, proto: p, seq: e.seq}
	m := a.net.methods.byName[string(e.name)]
	if isHandshake(e.name) {
		return a.handshake(c, body)
	}
	if a.late {
		return refuse(ReasonTooMany, "method %q on a connection over MaxConns", e.name)
	}
	if m == nil || m.peerOnly && a.from == 0 {
		m = &method{Method: &codec.Method{Name: string(e.name), Oneway: e.typ == messageOneway}}
		return a.decline(c, m, ReasonUnknownMethod,
			&RemoteError{Type: RemoteUnknownMethod, Message: "method " + string(e.name) + " is not served here, or not before Handshake"})
	}
	if !fits {
		return a.decline(c, m, ReasonBusy, &RemoteError{Type: RemoteBusy, Message: "clients hold too much memory"})
	}
	c.method, c.Method = m, m.Method
	if c.Request, err = m.parseArgs(body, p, &a.net.limits); err != nil {
		c.Request = nil
		return a.decline(c, m, ReasonBadBody, &RemoteError{Type: RemoteProtocol, Message: err.Error()})
	}
	return a.dispatch(c)
}

// decline counts and answers a call that the handler does not get to see.
func (a *accepted) decline(c *Call, m *method, r Reason, e *RemoteError) error {
	a.net.counters.refuse(r)
	c.method, c.Method = m, m.Method
	a.enter(c)
	c.Fail(e)
	return nil
}

// dispatch gives a call to the handler.
func (a *accepted) dispatch(c *Call) error {
	a.enter(c)
	a.mu.Lock()
	busy := a.inflight > a.net.cfg.MaxInflight
	a.mu.Unlock()
	if busy {
		a.net.counters.refuse(ReasonBusy)
		c.Fail(&RemoteError{Type: RemoteBusy, Message: "too many calls in flight"})
		return nil
	}
	a.net.counters.callsIn.Add(1)
	a.net.cfg.Handler.ServeCall(c)
	return nil
}

// enter gives a call its place among those unanswered.
func (a *accepted) enter(c *Call) {
	if c.Oneway() {
		return
	}
	a.net.counters.callsNow.Add(1)
	c.size, a.charged = a.charged, 0
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inflight++
	if before := a.calls[c.seq]; before != nil {
		before.next, c.blocked = c, true
	}
	a.calls[c.seq] = c
}

// answer queues the answer f of c, and those that waited for it to leave first.
func (a *accepted) answer(c *Call, f *frame) {
	if c.Oneway() {
		return
	}
	a.net.counters.callsNow.Add(-1)
	a.net.clientBytes.Add(-int64(c.size))
	a.mu.Lock()
	defer a.mu.Unlock()
	c.answer = f
	for c != nil && !c.blocked && c.answer != nil {
		if a.failed == nil {
			a.push(c.Lane, c.answer)
		} else {
			a.net.frames.put(c.answer)
		}
		c.answer = nil
		if a.calls[c.seq] == c {
			delete(a.calls, c.seq)
		}
		a.inflight--
		c = c.next
		if c != nil {
			c.blocked = false
		}
	}
	a.room.Broadcast()
}

// linger waits for the other side to close, or for fail; what arrives is dropped. It
// follows an answer that ends the connection: to close with bytes unread would make the
// kernel drop that answer.
func (a *accepted) linger() error {
	if _, err := io.Copy(io.Discard, a.nc); err != nil {
		return err
	}
	return errors.New("connection was refused")
}
