package world

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Where the trouble upgrade exists, nodes run different versions of the program, and
// each speaks a codec of its own choice: the answer to a call is in the codec of the
// call. The newer version
//
//   - writes fields that the older one does not know, at the end of every message;
//   - calls methods that nobody else serves;
//   - knows a kind of entry that the older one must not skip: its machine stops there,
//     and goes on when the node is upgraded. An operator who upgrades in order would
//     not let that come about; it costs the group a member, and nothing else.
const (
	older = 1 + iota
	newer
)

// newerKind is the kind of entry that only the newer version knows.
const newerKind raftpb.EntryKind = 9

// errUnknownKind is why a machine of the older version stops.
var errUnknownKind = errors.New("an entry is of a kind that this version does not know")

// mixed reports whether there are several versions.
func (w *World) mixed() bool { return w.k.rate[upgrade] > 0 }

// initVersion chooses the version of a node, and its codec.
func (n *node) initVersion() {
	w := n.w
	n.version, n.coder = newer, w.coder
	if w.mixed() {
		n.version = older + w.process.Intn(2)
		n.chooseCodec()
	}
}

func (n *node) chooseCodec() { n.coder, _ = codec.ByID(uint8(1 + n.w.process.Intn(3))) }

// upgrade restarts a node with the other version, which may speak another codec.
func (w *World) upgrade(n *node) {
	n.version = older + newer - n.version
	n.chooseCodec()
	if n.version == newer {
		w.did.upgrades++
	} else {
		w.did.downgrades++
	}
	w.crashNow(n)
}

// upgradeAll ends the upgrade: the newer version is everywhere.
func (w *World) upgradeAll() {
	for _, n := range w.nodes {
		if w.mixed() && n.version == older {
			w.upgrade(n)
		}
	}
}

// recode sends a message of one version through the codec of the call.
func (c *call) recode(by *node, from, to codec.Message) (codec.Message, error) {
	w := c.w
	b, err := c.coder.Append(w.encoded[:0], from)
	if err != nil {
		return nil, err
	}
	if w.mixed() && by.version == newer {
		b = extendMessage(c.coder.ID(), b)
		w.did.extended++
	}
	w.encoded = b
	return to, c.coder.Decode(slices.Clone(b), to, nil) // what is decoded lies in the bytes
}

// Fields of the future: an id that no struct of raft.thrift comes near.
const (
	futureField    = 900
	futureElements = 64 // of a struct that is an array
)

// extendMessage adds a field that nobody knows to an encoded struct.
func extendMessage(id uint8, b []byte) []byte {
	switch id {
	case codec.IDCompact: // type binary, id as a zigzag varint, length, bytes, stop
		b = append(b[:len(b)-1], 0x08)
		b = binary.AppendUvarint(b, futureField<<1)
		return append(b, 3, 'n', 'e', 'w', 0)
	case codec.IDBinary: // type string, id, length, bytes, stop
		b = binary.BigEndian.AppendUint16(append(b[:len(b)-1], 0x0b), futureField)
		return append(b, 0, 0, 0, 3, 'n', 'e', 'w', 0)
	default:
		if b[0]&0xf0 != 0x90 { // an array of up to 15 elements: all others stay as they are
			return b
		}
		n := int(b[0] & 0x0f)
		out := append([]byte{0xdc, 0, futureElements}, b[1:]...)
		for range futureElements - n - 1 {
			out = append(out, 0xc0)
		}
		return append(out, 0xa3, 'n', 'e', 'w')
	}
}

// future is what a node of the newer version does that others do not understand.
func (w *World) future(n, to *node) {
	if n.version != newer || n.host == nil {
		return
	}
	if w.process.Chance(0.7) {
		w.did.unknownCalls++
		_ = wire{n}.Call(to.id, transport.LaneControl, raftpb.RaftClientStatus, &raftpb.StatusRequest{}, func(_ codec.Message, err error) {
			if err == nil {
				w.fail("version", "node %d serves a method that no node serves", to.id)
			}
		})
		return
	}
	m := w.anyGroup(&w.process).members[n.place]
	c := &m.g.clients
	if w.did.unknownEntries > 20 {
		return
	}
	cmd := c.drawWrite()
	e := c.entry(&cmd)
	e.Kind, e.Crc32c = newerKind, wal.EntryChecksum(newerKind, e.Body)
	m.g.judge.Watched.Proposed(m.g.judge.Sum(&e))
	if m.group.Propose(e, &operation{c: c, at: m, cmd: cmd}) != nil { // nobody waits for it
		return
	}
	w.did.unknownEntries++
	c.processes++
	c.record(&cmd, c.processes, w.now, n, oracle.Op{Status: oracle.Info})
	w.poke(n)
}

// understands is an error if one of the entries is beyond this version. Then none of
// them is applied: a machine that keeps its state on disk must not stop half way.
func (n *node) understands(entries []raft.Entry) error {
	for i := range entries {
		if n.version == older && entries[i].Kind == newerKind {
			return errUnknownKind
		}
	}
	return nil
}

// stopped reports whether a group ended because its node is too old for it.
func (m *member) stopped(err error) bool {
	if m.n.version != older || !errors.Is(err, errUnknownKind) {
		return false
	}
	if !m.tooOld {
		m.tooOld = true
		m.g.w.did.stopped++
	}
	return true
}
