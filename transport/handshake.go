package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// featureNative is the bit of Hello.features that says: takes native frames.
const featureNative = 1

// handshakeSeq is the seqid of a dialer's Handshake call, its first.
const handshakeSeq = 1

func isHandshake(name []byte) bool {
	return string(name) == "Handshake" || string(name) == "RaftPeer:Handshake"
}

// hello is what this side says of itself. target is 0 in an answer.
func (n *network) hello(target raftpb.NodeID) *raftpb.Hello {
	h := &raftpb.Hello{
		Version:     raftpb.ProtocolVersion,
		Cluster:     n.cfg.Cluster,
		Node:        n.cfg.Node,
		MaxFrame:    int32(n.cfg.MaxFrame),
		Features:    featureNative,
		Software:    n.cfg.Software,
		Target:      target,
		Incarnation: n.cfg.Incarnation,
		Epoch:       n.cfg.Epoch,
	}
	for _, c := range n.cfg.Codecs {
		h.Codecs = append(h.Codecs, raftpb.Codec(c.ID()))
	}
	return h
}

// judge checks what both sides of a handshake check of the other.
func (n *network) judge(h *raftpb.Hello, dialed bool) error {
	no := func(r Reason, code raftpb.RejectCode, format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		return &ProtocolError{Reason: r, Err: &raftpb.Rejected{Code: code, Reason: text}}
	}
	switch {
	case h.Version != raftpb.ProtocolVersion:
		return no(ReasonWrongVersion, raftpb.RejectCodeWrongVersion, "protocol version %d, this node speaks %d", h.Version, raftpb.ProtocolVersion)
	case h.Cluster != n.cfg.Cluster:
		return no(ReasonWrongCluster, raftpb.RejectCodeWrongCluster, "cluster %q, this node is of %q", clip(h.Cluster), n.cfg.Cluster)
	case !dialed && h.Target != n.cfg.Node:
		return no(ReasonWrongNode, raftpb.RejectCodeWrongNode, "meant for node %d, this is %d", h.Target, n.cfg.Node)
	case h.Node <= 0 || h.Node == n.cfg.Node:
		return no(ReasonWrongNode, raftpb.RejectCodeWrongNode, "node id %d is not valid here", h.Node)
	case int(h.MaxFrame) < n.cfg.MaxFrame:
		return no(ReasonSmallFrames, raftpb.RejectCodeBadArgument, "takes frames of %d bytes, this node sends up to %d", h.MaxFrame, n.cfg.MaxFrame)
	}
	common := slices.ContainsFunc(h.Codecs, func(c raftpb.Codec) bool {
		return c > 0 && c < 128 && n.codecs.find(uint8(c)) != nil
	})
	if !common && h.Features&featureNative != 0 {
		return no(ReasonUnknownCodec, raftpb.RejectCodeBadArgument, "codecs %v, this node has none of them", h.Codecs)
	}
	return nil
}

// admissible asks the owner of the network about the other side of a connection.
func (n *network) admissible(p Peer) error {
	if n.cfg.Admit == nil {
		return nil
	}
	err := n.cfg.Admit(p)
	if err == nil {
		return nil
	}
	var rejected *raftpb.Rejected
	if !errors.As(err, &rejected) {
		rejected = &raftpb.Rejected{Code: raftpb.RejectCodeNotAllowed, Reason: err.Error()}
	}
	return &ProtocolError{Reason: ReasonNotAdmitted, Err: rejected}
}

// clip shortens a peer's text for messages.
func clip(s string) string { return s[:min(len(s), 64)] }

// handshake answers the Handshake call c. A refusal is told and ends the connection.
func (a *accepted) handshake(c *Call, body []byte) error {
	m := a.net.methods.handshake
	c.method, c.Method = m, m.Method
	a.enter(c)
	req, err := m.parseArgs(body, c.proto, &a.net.limits)
	if err != nil {
		c.Fail(&RemoteError{Type: RemoteProtocol, Message: err.Error()})
		return a.lingerUntilSent(&ProtocolError{Reason: ReasonBadBody, Err: err})
	}
	h := req.(*raftpb.Hello)
	err = a.net.judge(h, false)
	if err == nil && a.net.cfg.Identity != nil && a.holder.Node != h.Node {
		err = &ProtocolError{Reason: ReasonWrongCertificate, Err: &raftpb.Rejected{
			Code: raftpb.RejectCodeNotAllowed, Reason: fmt.Sprintf("the certificate is not that of node %d", h.Node),
		}}
	}
	if err == nil && a.from != 0 && a.from != h.Node {
		err = refuse(ReasonWrongNode, "node %d on the connection of %d", h.Node, a.from)
	}
	if err == nil {
		err = a.net.admissible(Peer{Hello: h, Holder: a.holder, RemoteAddr: a.nc.RemoteAddr().String()})
	}
	if err != nil {
		c.Fail(err)
		return a.lingerUntilSent(err)
	}
	first := a.from == 0
	a.net.admit(a, h.Node)
	a.maxFrame.Store(int64(h.MaxFrame))
	a.reader.trust(peerReadAhead, peerEager)
	c.Reply(a.net.hello(0))
	if first {
		a.net.dialNow(h.Node)
	}
	return nil
}

// admit counts an accepted connection as that of a peer.
func (n *network) admit(a *accepted, from raftpb.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.from == 0 {
		n.clients--
		if a.late {
			n.late--
			a.late = false
		}
	}
	a.from = from
}

// lingerUntilSent ends the connection with err once what is queued has left.
func (a *accepted) lingerUntilSent(err error) error {
	f := a.net.frames.answer() // an empty frame, behind all others
	f.sent = func(error) { a.fail(err) }
	a.mu.Lock()
	if a.failed == nil {
		a.push(LaneBulk, f)
	}
	a.mu.Unlock()
	return a.linger()
}

// greet sends Hello on a fresh connection to target and waits for the answer.
func (n *network) greet(ctx context.Context, nc net.Conn, target raftpb.NodeID) (*dialed, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	c := newDialed(n, nc)
	var h *raftpb.Hello
	holder, err := n.identify(ctx, nc)
	if err == nil && n.cfg.Identity != nil && holder.Node != target {
		err = refuse(ReasonWrongCertificate, "the certificate is not that of node %d", target)
	}
	if err == nil {
		h, err = c.exchange(n.hello(target))
		var why *raftpb.Rejected
		if errors.As(err, &why) && n.cfg.Refused != nil {
			n.cfg.Refused(target, why)
		}
	}
	if err == nil {
		err = n.judge(h, true)
	}
	if err == nil && h.Node != target {
		err = refuse(ReasonWrongNode, "node %d answers, dialed %d", h.Node, target)
	}
	if err == nil {
		err = n.admissible(Peer{Hello: h, Holder: holder, RemoteAddr: nc.RemoteAddr().String(), Dialed: true})
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = refuse(ReasonTimeout, "no answer to Handshake within %v", n.cfg.HandshakeTimeout)
	}
	if err != nil {
		n.counters.refuseErr(err)
		nc.Close()
		return nil, err
	}
	c.adopt(h)
	c.target = target
	return c, nil
}

// exchange makes the Handshake call on a connection that nobody else uses yet.
func (c *dialed) exchange(mine *raftpb.Hello) (*raftpb.Hello, error) {
	f, m := &frame{seq: handshakeSeq}, c.net.methods.handshake
	c.seq.Store(handshakeSeq)
	f.b = appendEnvelope(make([]byte, lengthBytes), protoCompact, messageCall, m.Name, handshakeSeq)
	var err error
	if f.b, err = m.appendArgs(f.b, protoCompact, mine); err != nil {
		return nil, err
	}
	f.seal()
	n, err := c.nc.Write(f.b)
	c.net.counters.wrote(1, int64(n))
	if err != nil {
		return nil, err
	}
	p, answer, err := c.reader.next(nil)
	if err != nil {
		return nil, err
	}
	c.net.counters.framesIn.Add(1)
	if p == protoNative {
		return nil, refuse(ReasonNoHandshake, "native frame before the handshake")
	}
	e, body, err := parseEnvelope(answer[lengthBytes:], p)
	switch {
	case err != nil:
		return nil, err
	case e.typ == messageException:
		return nil, parseRemoteError(body, p)
	case e.typ != messageReply || e.seq != handshakeSeq:
		return nil, refuse(ReasonBadKind, "message type %d, seqid %d in answer to Handshake", e.typ, e.seq)
	}
	h := new(raftpb.Hello)
	if err := m.parseResult(body, p, h, &c.net.limits); err != nil {
		return nil, wrapDecode(err)
	}
	return h, nil
}

// adopt takes over what the other side can do.
func (c *dialed) adopt(h *raftpb.Hello) {
	c.native = h.Features&featureNative != 0
	if c.serial = !c.native; c.native {
		c.probe = c.ping
	}
	c.maxFrame = int(h.MaxFrame)
	for _, k := range h.Codecs {
		if k > 0 && int(k) < len(c.decodes) {
			c.decodes[k] = true
		}
	}
	c.reader.trust(answerReadAhead, peerEager)
}

// dialNow ends the pause before the next attempt to dial a peer: it has just shown that it lives.
func (n *network) dialNow(id raftpb.NodeID) {
	n.mu.RLock()
	p := n.peers[id]
	n.mu.RUnlock()
	if p != nil {
		p.kick()
	}
}
