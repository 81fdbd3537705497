package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	iofs "io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Peer is another node of the cluster that wants to talk to this one, or that this one has
// dialed: see Config.Admit.
type Peer struct {
	Cluster     string
	Node        NodeID
	Certificate transport.Holder // what its certificate says; nothing without TLS
	RemoteAddr  string
	Incarnation int64 // of its data directory: another one each time that it is made anew; 0: it has none
	Epoch       int64 // of the cluster, as it knows it: see PlanRecovery
	Dialed      bool  // this host opened the connection
}

var (
	// ErrAmnesia says that a node comes with another data directory than the cluster knows it by:
	// it has forgotten what it promised. Remove it from its groups and add it again.
	ErrAmnesia = errors.New("engine: node has lost its data directory")
	// ErrOldEpoch says that a node has slept through a recovery from the loss of a quorum: what
	// it knows has been given up. Wipe it, remove it from its groups and add it again.
	ErrOldEpoch = errors.New("engine: node is of an older epoch")
	// ErrNotAdmitted says that another node refuses this one for another reason.
	ErrNotAdmitted = errors.New("engine: not admitted")
)

// AdmissionError says that another node refuses to talk to this one. It matches one of the
// errors above.
type AdmissionError struct {
	By     NodeID
	Code   raftpb.RejectCode
	Reason string
}

func (e *AdmissionError) Error() string {
	return fmt.Sprintf("%v: refused by node %d: %s", e.Unwrap(), e.By, e.Reason)
}

// Unwrap returns which of the errors above it is.
func (e *AdmissionError) Unwrap() error {
	switch e.Code {
	case raftpb.RejectCodeAmnesia:
		return ErrAmnesia
	case raftpb.RejectCodeOldEpoch:
		return ErrOldEpoch
	}
	return ErrNotAdmitted
}

// admission remembers by which data directory it knows each member of its groups, and
// refuses one that comes with another: its log and votes are gone, and a group that
// counted with them could lose what is committed. It believes the first that it meets.
// Who is removed from a group's configuration is forgotten, and believed anew when added again.
type admission struct {
	host *Host
	fs   wal.FS
	path string // "": nothing is remembered: of a log in memory nothing is promised

	disk sync.Mutex // held while the file is written
	mu   sync.Mutex
	admissionState
	refusals map[NodeID]*AdmissionError // of this node, by others
}

// admissionState is what the file holds.
type admissionState struct {
	epoch int64
	known map[NodeID]int64 // incarnations
}

// maxKnownNodes bounds the file.
const maxKnownNodes = 1 << 16

// judge implements transport.Config.Admit.
func (a *admission) judge(p transport.Peer) error {
	h := p.Hello
	a.mu.Lock()
	known, epoch := a.known[h.Node], a.epoch
	a.mu.Unlock()
	switch {
	case h.Epoch < epoch:
		return &raftpb.Rejected{
			Code: raftpb.RejectCodeOldEpoch, Reason: fmt.Sprintf("node %d is of epoch %d, the cluster is of %d", h.Node, h.Epoch, epoch),
		}
	case known != 0 && h.Incarnation != known:
		return &raftpb.Rejected{
			Code: raftpb.RejectCodeAmnesia, Reason: fmt.Sprintf("node %d is known by another data directory", h.Node),
		}
	}
	if admit := a.host.cfg.Admit; admit != nil {
		err := admit(Peer{
			Cluster: h.Cluster, Node: h.Node, Certificate: p.Holder, RemoteAddr: p.RemoteAddr,
			Incarnation: h.Incarnation, Epoch: h.Epoch, Dialed: p.Dialed,
		})
		if err != nil {
			return err
		}
	}
	if p.Dialed { // what it refused is over
		a.mu.Lock()
		delete(a.refusals, h.Node)
		a.mu.Unlock()
	}
	a.learn(h.Node, h.Incarnation)
	return nil
}

// learn remembers a member that is met for the first time. The connection does not wait for
// the disk: a power loss in the next moments costs what was learned, as if the two met anew.
func (a *admission) learn(id NodeID, incarnation int64) {
	if a.path == "" || incarnation == 0 || !a.host.book.lists(id) {
		return
	}
	a.mu.Lock()
	if a.known[id] != 0 || len(a.known) >= maxKnownNodes {
		a.mu.Unlock()
		return
	}
	a.known[id] = incarnation
	a.mu.Unlock()
	a.storeSoon()
}

func (a *admission) storeSoon() {
	a.host.tasks.Go(func() {
		if err := a.store(); err != nil {
			a.host.cfg.Logger.Warn("members not stored", "node", a.host.cfg.Node, "err", err)
		}
	})
}

// forget drops nodes that are members no more.
func (a *admission) forget(ids []NodeID) {
	a.mu.Lock()
	changed := false
	for _, id := range ids {
		changed = changed || a.known[id] != 0
		delete(a.known, id)
	}
	a.mu.Unlock()
	if changed {
		a.storeSoon()
	}
}

// refused implements transport.Config.Refused.
func (a *admission) refused(by NodeID, why *raftpb.Rejected) {
	a.mu.Lock()
	old := a.refusals[by]
	e := &AdmissionError{By: by, Code: why.Code, Reason: why.Reason}
	a.refusals[by] = e
	a.mu.Unlock()
	if old == nil || *old != *e {
		a.host.cfg.Logger.Error("refused by another node", "node", a.host.cfg.Node, "peer", by, "err", e)
	}
}

// NotAdmitted returns why other nodes refuse to talk to this one, joined: AdmissionErrors.
// nil: nobody does, as far as is known.
func (h *Host) NotAdmitted() error {
	a := h.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []error
	for _, id := range slices.Sorted(maps.Keys(a.refusals)) {
		all = append(all, a.refusals[id])
	}
	return errors.Join(all...)
}

// Readmit makes this host believe a node whatever data directory it comes with, the next
// time. It is safe only when that node was no voter of a group since it lost its directory:
// to remove it from its groups, and to add it again, does the same by itself.
func (h *Host) Readmit(id NodeID) error {
	a := h.admission
	a.mu.Lock()
	delete(a.known, id)
	a.mu.Unlock()
	if err := a.store(); err != nil {
		return fmt.Errorf("engine: readmit node %d: %w", id, err)
	}
	return nil
}

// Epoch returns the epoch of the cluster that this host is in: see PlanRecovery.
func (h *Host) Epoch() int64 {
	h.admission.mu.Lock()
	defer h.admission.mu.Unlock()
	return h.admission.epoch
}

// The file, little-endian: magic "RWPEERS1", crc of what follows, epoch i64, then for each
// node its id and incarnation, i64 each.
const (
	peersName  = "peers"
	peersMagic = "RWPEERS1"
	peersHead  = len(peersMagic) + 4 + 8
)

func newAdmission(h *Host, fs wal.FS) (*admission, error) {
	a := &admission{host: h, fs: fs, admissionState: admissionState{known: map[NodeID]int64{}}, refusals: map[NodeID]*AdmissionError{}}
	if h.cfg.Durability == Memory {
		return a, nil
	}
	a.path = fs.PathJoin(h.cfg.Dir, peersName)
	var err error
	if a.admissionState, err = readPeers(fs, a.path); err != nil {
		return nil, err
	}
	if h.cfg.Epoch > a.epoch {
		a.epoch = h.cfg.Epoch
		return a, a.store()
	}
	return a, nil
}

// store writes the file anew: beside the old one, synced, then in its place.
func (a *admission) store() error {
	if a.path == "" {
		return nil
	}
	a.disk.Lock()
	defer a.disk.Unlock()
	a.mu.Lock()
	s := admissionState{a.epoch, maps.Clone(a.known)}
	a.mu.Unlock()
	return writePeers(a.fs, a.path, s)
}

func (s *admissionState) encode() []byte {
	b := append([]byte(peersMagic), 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.epoch))
	for _, id := range slices.Sorted(maps.Keys(s.known)) {
		b = binary.LittleEndian.AppendUint64(b, uint64(id))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.known[id]))
	}
	binary.LittleEndian.PutUint32(b[len(peersMagic):], crc32.Checksum(b[len(peersMagic)+4:], castagnoli()))
	return b
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func decodePeers(b []byte) (admissionState, error) {
	s := admissionState{known: map[NodeID]int64{}}
	if len(b) < peersHead || (len(b)-peersHead)%16 != 0 || string(b[:len(peersMagic)]) != peersMagic ||
		binary.LittleEndian.Uint32(b[len(peersMagic):]) != crc32.Checksum(b[len(peersMagic)+4:], castagnoli()) {
		return s, errors.New("damaged")
	}
	s.epoch = int64(binary.LittleEndian.Uint64(b[len(peersMagic)+4:]))
	for rest := b[peersHead:]; len(rest) > 0; rest = rest[16:] {
		s.known[NodeID(binary.LittleEndian.Uint64(rest))] = int64(binary.LittleEndian.Uint64(rest[8:]))
	}
	return s, nil
}

func readPeers(fs wal.FS, path string) (admissionState, error) {
	s := admissionState{known: map[NodeID]int64{}}
	f, err := fs.Open(path)
	if errors.Is(err, iofs.ErrNotExist) || errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }() // it was only read
	st, err := f.Stat()
	if err != nil {
		return s, err
	}
	if st.Size() > int64(peersHead+16*maxKnownNodes) {
		return s, fmt.Errorf("%s: %d bytes", path, st.Size())
	}
	b := make([]byte, st.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return s, err
	}
	if s, err = decodePeers(b); err != nil {
		return s, fmt.Errorf("%s: %w: without it a node that lost its data directory could not be told; if none has, remove the file", path, err)
	}
	return s, nil
}

func writePeers(fs wal.FS, path string, s admissionState) error {
	tmp := path + ".tmp"
	f, err := fs.Create(tmp, "raftwire-peers")
	if err != nil {
		return err
	}
	_, err = f.Write(s.encode())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(tmp, path); err != nil {
		return err
	}
	d, err := fs.OpenDir(fs.PathDir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
