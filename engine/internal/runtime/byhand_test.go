package runtime

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// roll is a machine that remembers every command with its index.
type roll struct{ lines []rollLine }

type rollLine struct {
	index raft.Index
	text  string
}

func (m *roll) Apply(entries []raft.Entry, first raft.Index, _ []Completion) error {
	for i := range entries {
		if entries[i].Kind == raftpb.EntryKindCommand {
			m.lines = append(m.lines, rollLine{first + raft.Index(i), string(entries[i].Body)})
		}
	}
	return nil
}

func (m *roll) Complete() {}

func (m *roll) Capture(raft.Index) (Capture, error) { return rollCapture(slices.Clone(m.lines)), nil }

type rollCapture []rollLine

func (rollCapture) Facts() []snapshot.KeyValue { return nil }
func (rollCapture) Close() error               { return nil }

func (c rollCapture) Write(w *snapshot.Writer) error {
	for _, l := range c {
		b := binary.AppendUvarint(nil, uint64(l.index))
		b = binary.AppendUvarint(b, uint64(len(l.text)))
		if _, err := w.Write(append(b, l.text...)); err != nil {
			return err
		}
	}
	return nil
}

func (m *roll) Restore(image *snapshot.Image) error {
	m.lines = nil
	return image.Read(nil, func(r io.Reader) error {
		in := bufio.NewReader(r)
		for {
			index, err := binary.ReadUvarint(in)
			if errors.Is(err, io.EOF) {
				return nil
			}
			n, err2 := binary.ReadUvarint(in)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			text := make([]byte, n)
			if _, err := io.ReadFull(in, text); err != nil {
				return err
			}
			m.lines = append(m.lines, rollLine{raft.Index(index), string(text)})
		}
	}, nil)
}

// member is a host that is driven by hand, with one group, on a disk of its own.
type member struct {
	id      raft.NodeID
	fs      wal.FS
	log     *wal.Log
	images  *snapshot.Store
	host    *Host
	manual  Manual
	group   *Group
	machine *roll
	cut     bool // from all others, who see it at once
	silent  bool // what is sent to it, or by it, is lost without a word
	hung    bool // its disk takes no write

	promised raft.Index // what it has said to be durable
	refusals int        // of snapshots that it offered
}

// hands are members that a test drives, one thing at a time, and the network between them.
type hands struct {
	t       testing.TB
	clock   *stopped
	members []*member
	queue   []func()
	policy  SnapshotPolicy
	limits  SnapshotLimits

	unsynced bool // a fault: snapshots are not synced

	quiesceAfter, stallAfter raft.Time
	spares                   int // segments that are made ahead
	heartbeats, beats        int // sent; and what they carried

	slowest raft.Time // the longest election time-out; 0: it does not change
	lag     raft.Time // what requests take
	later   []laterCall
}

// laterCall is a request on its way.
type laterCall struct {
	at      raft.Time
	deliver func()
}

const handGroup GroupID = 7

type noTimer struct{}

func (noTimer) Reset(time.Duration) bool { return false }
func (noTimer) Stop() bool               { return false }

// Now and NewTimer make the clock of a test one of the log's.
type logClock struct{ *stopped }

func (c logClock) Now() time.Time          { return time.Unix(0, int64(c.now)) }
func (logClock) NewTimer(func()) wal.Timer { return noTimer{} }

type seeded struct{ *rand.ChaCha8 }

func (h *hands) openLog(id raft.NodeID, fs wal.FS) (*wal.Log, error) {
	log, _, err := wal.Open("data", wal.Options{
		Identity: wal.Identity{Cluster: "test", Node: id, Incarnation: int64(id)}, FS: fs, Catalog: wal.FileCatalog, Manual: true,
		Clock: logClock{h.clock}, Random: seeded{rand.NewChaCha8([32]byte{byte(id)})}, SegmentBytes: 64 << 10, Spares: h.spares,
		CacheBytes: -1, Logger: slog.New(slog.DiscardHandler), OnFatal: func(error) {},
	})
	return log, err
}

func (h *hands) configuration() raft.Configuration {
	var c raft.Configuration
	for id := raft.NodeID(1); id <= 3; id++ {
		c.Incoming = append(c.Incoming, raftpb.Member{ID: id, Address: fmt.Sprint(id), Suffrage: raftpb.SuffrageVoter})
	}
	return c
}

// open starts a member from what its disk holds.
func (h *hands) open(id raft.NodeID, fs wal.FS) (*member, error) {
	m := &member{id: id, fs: fs, machine: new(roll)}
	var err error
	if m.log, err = h.openLog(id, fs); err != nil {
		return nil, err
	}
	m.images = snapshot.New(fs, "data/snapshot", snapshot.Options{NoSync: h.unsynced})
	images, err := m.images.Group(handGroup)
	if err != nil {
		return nil, err
	}
	found, err := Recover(m.log.Group(handGroup), images)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	if found.Finish != nil {
		if err := h.write(m.log, found.Finish); err != nil {
			return nil, err
		}
	}
	conf, at := h.configuration(), raft.Index(0)
	if found.Image != nil {
		conf, at = found.Image.Meta().Config, found.Image.Meta().Index
	}
	applied, chain, err := found.Restore(m.machine, 0)
	if err != nil {
		return nil, err
	}
	m.host = New(Config{
		Node: id, Workers: 1, MaxInboxBytes: 64 << 20, MaxEventBytes: 4 << 20, Logger: slog.New(slog.DiscardHandler),
		Clock: h.clock, Snapshots: h.limits, Tap: m,
		StallAfter: h.stallAfter, Presence: Presence{Interval: 1e8, Patience: 5e8},
	}, m.log, int64(h.clock.now)+1)
	m.manual = m.host.Manual(handNetwork{h, m})
	hard := m.log.Group(handGroup).HardState()
	m.group, err = m.host.Start(GroupConfig{
		ID: handGroup, Machine: m.machine, Observer: nobody{}, Images: images, Policy: h.policy,
		Hard:    raft.HardState{Term: hard.Term, Vote: hard.Vote, Commit: hard.Commit},
		Applied: applied, Chain: chain, ConfigAt: at,
		Raft: raft.Config{ID: id, Configuration: conf, ElectionTimeout: 1e9, Heartbeat: 1e8, Seed: uint64(id), Boot: uint64(h.clock.now) + 1,
			QuiesceAfter: h.quiesceAfter, MaxElectionTimeout: h.slowest},
	})
	return m, err
}

func (h *hands) write(log *wal.Log, b *wal.Batch) error {
	var got error
	log.Submit(b, func(err error) { got = err })
	for log.Step() {
	}
	return got
}

// Stepped implements Tap.
func (m *member) Stepped(_ *Group, in *raft.Event, _ *raft.Effects) {
	if in.Kind == raft.EventMessage && in.Message.SnapshotStatus == raftpb.SnapshotStatusRejected {
		m.refusals++
	}
}

// Durable implements Tap.
func (m *member) Durable(*Group, uint64) {}

// Leaves implements Tap: an answer promises.
func (m *member) Leaves(_ *Group, x *raft.Message, _ uint64) {
	if x.Kind == raft.MessageAppendAnswer && x.Status == raftpb.AppendStatusOk || x.Kind == raft.MessageSnapshotAnswer {
		m.promised = max(m.promised, x.Matched)
	}
}

// handNetwork is the network as one member sees it.
type handNetwork struct {
	h *hands
	m *member
}

type handAnswer struct {
	h    *hands
	m    *codec.Method
	done func(codec.Message, error)
}

func (a handAnswer) Reply(resp codec.Message) {
	b := resp.AppendCompact(nil)
	a.h.queue = append(a.h.queue, func() {
		got := a.m.NewResponse()
		_, err := got.ParseCompact(b, &codec.Limits{})
		a.done(got, err)
	})
}

func (a handAnswer) Fail(err error) { a.h.queue = append(a.h.queue, func() { a.done(nil, err) }) }

// Call implements transport.Network.
func (n handNetwork) Call(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	b, from, answer := req.AppendCompact(nil), n.m, handAnswer{n.h, m, done}
	if hb, ok := req.(*raftpb.HeartbeatRequest); ok {
		n.h.heartbeats++
		n.h.beats += len(hb.Beats)
	}
	deliver := func() {
		there := n.h.members[to-1]
		if from.silent || there != nil && there.silent {
			return
		}
		if from.cut || there == nil || there.cut {
			answer.Fail(transport.ErrUnreachable)
			return
		}
		got := m.NewRequest()
		if _, err := got.ParseCompact(b, &codec.Limits{}); err != nil {
			answer.Fail(err)
			return
		}
		c := new(transport.Call)
		c.Direct(m, from.id, lane, got, answer)
		if !there.host.ServePeer(c) {
			answer.Fail(errors.ErrUnsupported)
		}
	}
	if n.h.lag > 0 {
		n.h.later = append(n.h.later, laterCall{n.h.clock.now + n.h.lag, deliver})
		return nil
	}
	n.h.queue = append(n.h.queue, deliver)
	return nil
}

func (handNetwork) SetPeer(raftpb.NodeID, string) {}
func (handNetwork) RemovePeer(raftpb.NodeID)      {}
func (handNetwork) SetCodec(codec.Codec)          {}
func (handNetwork) Addr() string                  { return "" }
func (handNetwork) Metrics() transport.Metrics    { return transport.Metrics{} }
func (handNetwork) Close() error                  { return nil }

// settle lets everybody work until there is nothing left to do.
func (h *hands) settle() {
	h.t.Helper()
	for range 100_000 {
		busy := false
		for _, m := range h.members {
			busy = m.work() || busy
		}
		if h.next() {
			busy = true
		}
		if !busy {
			return
		}
	}
	h.t.Fatal("the members do not come to rest")
}

// next delivers the oldest message, if there is one.
func (h *hands) next() bool {
	if len(h.queue) == 0 {
		return false
	}
	deliver := h.queue[0]
	h.queue = h.queue[1:]
	deliver()
	return true
}

// deliver lets everybody write and talk once, but touch no file of a snapshot.
func (h *hands) deliver() {
	for _, m := range h.members {
		for m.log.Step() {
		}
		m.manual.Step()
	}
	h.next()
}

// work does one round of a member's work.
func (m *member) work() (busy bool) {
	for !m.hung && m.log.Step() {
		busy = true
	}
	if m.manual.Ready() {
		m.manual.Step()
		busy = true
	}
	if m.manual.Jobs() > 0 {
		m.manual.Apply()
		busy = true
	}
	if !busy && m.manual.Tasks() > 0 { // files are slow
		m.manual.Task()
		busy = true
	}
	return busy
}

// pass lets time go by, a beat at a time.
func (h *hands) pass(beats int) {
	h.t.Helper()
	for range beats {
		h.clock.now += 1e8
		for len(h.later) > 0 && h.later[0].at <= h.clock.now {
			h.queue = append(h.queue, h.later[0].deliver)
			h.later = h.later[1:]
		}
		for _, m := range h.members {
			if m.manual.Next() <= h.clock.now {
				m.manual.Step()
			}
		}
		h.settle()
	}
}

// campaign makes a member ask for votes, at once.
func (h *hands) campaign(id raft.NodeID) {
	h.t.Helper()
	m := h.members[id-1]
	m.manual.w.now = h.clock.now
	m.manual.w.stepCore(m.group, raft.Event{Kind: raft.EventCampaign})
	m.manual.w.submit()
	m.manual.w.send.flush()
	h.settle()
}

// propose proposes a command at a member. What becomes of it the machines tell.
func (h *hands) propose(id raft.NodeID, text string) {
	h.t.Helper()
	e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: []byte(text)}
	e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
	if err := h.members[id-1].group.Propose(e, nobody{}); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}
