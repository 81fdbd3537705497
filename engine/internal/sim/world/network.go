package world

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// link is one direction between two nodes.
type link struct {
	cut     int   // how many partitions cut it
	clogged int64 // until when nothing arrives
	last    int64 // arrival of the newest, if it delivers in order
}

// call is a request and its answer on their way. A request that arrives twice is two
// calls, of which the second answers nobody.
type call struct {
	transport.Call

	w        *World
	slot     int32
	from, to *node
	coder    codec.Codec // of the caller, when it called
	fromLife uint32
	held     bool // by the callee, which owes the answer
	served   bool // held, and the answer has somewhere to go
	refs     int  // answers on their way, and one for the request
	done     func(codec.Message, error)
	err      error
	answer   codec.Message // nil with err

	vote      raftpb.VoteRequest
	append_   raftpb.AppendRequest
	beats     raftpb.HeartbeatRequest
	readIndex raftpb.ReadIndexRequest

	voteAnswer      raftpb.VoteResponse
	appendAnswer    raftpb.AppendResponse
	beatsAnswer     raftpb.HeartbeatResponse
	readIndexAnswer raftpb.ReadIndexResponse
}

// wire is the network as one node sees it. It implements transport.Network.
type wire struct{ n *node }

var _ transport.Network = wire{}

// errLost is what a caller is told when its connection breaks.
var errLost = transport.ErrDisconnected

// Call implements transport.Network.
func (x wire) Call(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	w := x.n.w
	if to < 1 || int(to) > len(w.nodes) {
		return transport.ErrUnreachable
	}
	peer := w.nodes[to-1]
	c := w.newCall(x.n, peer)
	c.done = done
	copied, err := c.copyRequest(m, req)
	if err != nil {
		w.fail("codec", "node %d: request %s: %v", x.n.id, m.Name, err)
		return err
	}
	c.Direct(m, x.n.id, lane, copied, c)
	w.send(c, true)
	if w.strikes(duplicate, &w.network) {
		twin := w.newCall(x.n, peer)
		if copied, err = twin.copyRequest(m, req); err == nil {
			twin.Direct(m, x.n.id, lane, copied, twin)
			w.send(twin, true)
		}
	}
	return nil
}

// send puts a request, or an answer, on its link. What is lost breaks the connection:
// the caller learns of it some time.
func (w *World) send(c *call, request bool) {
	l, kind := &w.links[c.from.place][c.to.place], evRequest
	if request {
		c.from.sent++
	} else {
		l, kind = &w.links[c.to.place][c.from.place], evAnswer
		c.to.sent++
	}
	d := w.k.minDelay + w.network.N(w.k.moreDelay)
	if l.cut > 0 || w.strikes(loss, &w.network) {
		w.did.lost++
		c.err, kind = errLost, evAnswer
		d += w.network.N(2 * election)
		w.push(w.now+d, event{kind: kind, slot: c.slot})
		return
	}
	if w.strikes(late, &w.network) {
		d += w.network.N(10 * election)
	}
	at := max(w.now+d, l.clogged)
	if w.k.fifo {
		at = max(at, l.last)
		l.last = at
	}
	w.push(at, event{kind: kind, slot: c.slot})
}

// arrives is the end of a way: the request is handed to its node, the answer to who
// asked.
func (w *World) arrives(e event) {
	c := w.calls[e.slot]
	n := c.to
	if e.kind == evAnswer {
		n = c.from
	}
	if n.pausedUntil > w.now && n.up {
		w.push(n.pausedUntil, e)
		return
	}
	n.event = e
	if e.kind == evAnswer {
		w.guard(n, (*node).answered)
		c.refs--
		w.freeCall(c)
		return
	}
	if !n.up || n.host == nil { // nobody listens there
		c.err = transport.ErrUnreachable
		w.send(c, false)
		return
	}
	c.held, c.served = true, true
	w.guard(n, (*node).serve)
}

func (n *node) serve() {
	w := n.w
	c := w.calls[n.event.slot]
	if w.o.Trace != nil {
		w.trace(n, "request", "%s from %d: %+v", c.Method.Name, c.From, c.Request)
	}
	if !n.host.ServePeer(&c.Call) {
		c.Fail(fmt.Errorf("world: method %s is not served", c.Method.Name))
	}
	n.after()
}

func (n *node) answered() {
	w := n.w
	c := w.calls[n.event.slot]
	if c.done == nil || !n.up || n.life != c.fromLife {
		return
	}
	if w.o.Trace != nil {
		w.trace(n, "answer", "%s from %d: %+v %v", c.Method.Name, c.to.id, c.answer, c.err)
	}
	if c.err != nil {
		c.done(nil, c.err)
	} else {
		c.done(c.answer, nil)
	}
	n.after()
}

// Reply implements transport.Answerer.
func (c *call) Reply(resp codec.Message) {
	c.held = false
	if !c.served {
		c.w.freeCall(c)
		return
	}
	c.served = false
	var err error
	if c.answer, err = c.copyAnswer(resp); err != nil {
		c.w.fail("codec", "node %d: answer to %s: %v", c.to.id, c.Method.Name, err)
		return
	}
	c.w.send(c, false)
	// A transport answers once, but the cores can bear more. Streams count on it.
	if c.done != nil && c.Lane != transport.LaneSnapshot && c.w.strikes(duplicate, &c.w.network) {
		c.refs++
		c.w.send(c, false)
	}
}

// Fail implements transport.Answerer.
func (c *call) Fail(err error) {
	c.held = false
	if !c.served {
		c.w.freeCall(c)
		return
	}
	c.served = false
	if err == nil {
		err = errors.New("world: no answer")
	}
	c.err = err
	c.w.send(c, false)
}

// hangUp ends the calls that a node had been given and did not answer, when it ends.
func (w *World) hangUp(n *node) {
	for _, c := range w.calls {
		if !c.held || c.to != n {
			continue
		}
		c.held = false
		if !c.served {
			w.freeCall(c)
			continue
		}
		c.served, c.err = false, errLost
		w.push(w.now+w.network.N(election), event{kind: evAnswer, slot: c.slot})
	}
}

// resetLink breaks the connection: of what the callee was given and did not answer the
// caller is told that it is lost.
func (w *World) resetLink(from, to *node) {
	for _, c := range w.calls {
		if c.served && c.from == from && c.to == to {
			c.served = false
			c.err = errLost
			w.push(w.now+1, event{kind: evAnswer, slot: c.slot})
		}
	}
}

func (w *World) newCall(from, to *node) *call {
	var c *call
	if k := len(w.free); k > 0 {
		c = w.calls[w.free[k-1]]
		w.free = w.free[:k-1]
	} else {
		c = &call{w: w, slot: int32(len(w.calls))}
		w.calls = append(w.calls, c)
	}
	c.from, c.to, c.fromLife, c.refs, c.held, c.served = from, to, from.life, 1, false, false
	c.coder = from.coder
	c.done, c.err, c.answer = nil, nil, nil
	return c
}

// freeCall gives back a call of which nothing is on its way and that nobody holds.
func (w *World) freeCall(c *call) {
	if c.refs > 0 || c.held {
		return
	}
	clear(c.append_.Entries)
	c.append_.Entries = c.append_.Entries[:0]
	c.done = nil
	w.free = append(w.free, c.slot)
}

// copyRequest is what encoding, sending and decoding do: the receiver gets a message
// of its own, which shares only the bytes of entries.
func (c *call) copyRequest(m *codec.Method, req codec.Message) (codec.Message, error) {
	var to codec.Message
	switch r := req.(type) {
	case *raftpb.VoteRequest:
		c.vote = *r
		to = &c.vote
	case *raftpb.AppendRequest:
		entries := append(c.append_.Entries[:0], r.Entries...)
		c.append_ = *r
		c.append_.Entries = entries
		to = &c.append_
		c.spoil(entries)
	case *raftpb.HeartbeatRequest:
		beats := append(c.beats.Beats[:0], r.Beats...)
		c.beats = *r
		c.beats.Beats = beats
		to = &c.beats
	case *raftpb.ReadIndexRequest:
		c.readIndex = *r
		to = &c.readIndex
	default:
		return c.recode(c.from, req, m.NewRequest())
	}
	if !c.w.k.coded {
		return to, nil
	}
	return c.recode(c.from, to, to)
}

func (c *call) copyAnswer(resp codec.Message) (codec.Message, error) {
	var to codec.Message
	switch r := resp.(type) {
	case *raftpb.VoteResponse:
		c.voteAnswer = *r
		to = &c.voteAnswer
	case *raftpb.AppendResponse:
		c.appendAnswer = *r
		to = &c.appendAnswer
	case *raftpb.HeartbeatResponse:
		acks := append(c.beatsAnswer.Acks[:0], r.Acks...)
		c.beatsAnswer = *r
		c.beatsAnswer.Acks = acks
		to = &c.beatsAnswer
	case *raftpb.ReadIndexResponse:
		c.readIndexAnswer = *r
		to = &c.readIndexAnswer
	default:
		return c.recode(c.to, resp, c.Method.NewResponse())
	}
	if !c.w.k.coded {
		return to, nil
	}
	return c.recode(c.to, to, to)
}

// spoil flips a bit in the body of one entry, in a copy: its checksum must tell.
func (c *call) spoil(entries []raftpb.Entry) {
	w := c.w
	if len(entries) == 0 || !w.strikes(corrupt, &w.network) {
		return
	}
	e := &entries[w.network.Intn(len(entries))]
	if len(e.Body) == 0 {
		return
	}
	e.Body = slices.Clone(e.Body)
	e.Body[w.network.Intn(len(e.Body))] ^= 1 << w.network.Intn(8)
}

// SetPeer implements transport.Network: everybody can reach everybody.
func (wire) SetPeer(raftpb.NodeID, string) {}

// RemovePeer implements transport.Network.
func (wire) RemovePeer(raftpb.NodeID) {}

// SetCodec implements transport.Network.
func (wire) SetCodec(codec.Codec) {}

// Addr implements transport.Network.
func (wire) Addr() string { return "world" }

// Metrics implements transport.Network.
func (wire) Metrics() transport.Metrics { return transport.Metrics{} }

// Close implements transport.Network.
func (wire) Close() error { return nil }
