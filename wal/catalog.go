package wal

import (
	"hash/crc32"
	"log/slog"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Catalog is a small ordered key-value store beside the segments. What is in it
// can be found in the segments too: it saves reading them, and it knows which
// segments there must be. A Log uses it from one goroutine at a time.
type Catalog interface {
	// Scan calls fn for every key that begins with prefix, ascending, until fn
	// fails. The slices are valid during the call.
	Scan(prefix []byte, fn func(key, value []byte) error) error
	// Apply makes all changes or none; they are durable when it returns and sync is set.
	Apply(changes []CatalogChange, sync bool) error
	Close() error
}

// CatalogChange sets a key, or removes it when Value is nil.
type CatalogChange struct{ Key, Value []byte }

// CatalogOpener opens the catalog in dir of fs, which exists, or makes an empty one.
type CatalogOpener func(fs FS, dir string, logger *slog.Logger) (Catalog, error)

// Keys: "m" meta; 's' u64 segment, big-endian, u16 part: footer.
const keyMeta = "m"

// metaBytes is the size of the catalog's own record.
const metaBytes = 112

// catalogMeta says which segments there are.
//
//	 0 u32 crc32c of the rest  4 u32 format version   8 store id [16]   24 u64 first segment
//	32 u64 newest segment     40 u64 durable LSN     48 i64 node       56 i64 incarnation
//	64 u8 length of cluster   65 cluster [39]       104 u64 reserved
type catalogMeta struct {
	store   [16]byte
	first   uint64 // oldest segment that must be there
	newest  uint64 // newest segment known to have begun
	durable uint64 // everything below was synced
	id      Identity
}

func (m *catalogMeta) encode() []byte {
	b := make([]byte, metaBytes)
	put32(b[4:], formatVersion)
	copy(b[8:], m.store[:])
	put64(b[24:], m.first)
	put64(b[32:], m.newest)
	put64(b[40:], m.durable)
	put64(b[48:], uint64(m.id.Node))
	put64(b[56:], uint64(m.id.Incarnation))
	b[64] = uint8(copy(b[65:104], m.id.Cluster))
	put32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

func decodeMeta(b []byte) (m catalogMeta, ok bool) {
	if len(b) != metaBytes || le32(b) != crc32.Checksum(b[4:], castagnoli) || le32(b[4:]) != formatVersion {
		return m, false
	}
	copy(m.store[:], b[8:])
	m.first, m.newest, m.durable = le64(b[24:]), le64(b[32:]), le64(b[40:])
	m.id = Identity{
		Cluster:     string(b[65 : 65+min(int(b[64]), MaxClusterBytes)]),
		Node:        raftpb.NodeID(le64(b[48:])),
		Incarnation: int64(le64(b[56:])),
	}
	return m, true
}

// readMeta returns the catalog's meta record, nil when there is none that can be believed.
func readMeta(c Catalog) (*catalogMeta, error) {
	var found *catalogMeta
	err := c.Scan([]byte(keyMeta), func(key, value []byte) error {
		if m, ok := decodeMeta(value); ok && string(key) == keyMeta {
			found = &m
		}
		return nil
	})
	return found, err
}

// saveMeta writes the meta record when the segments are others than it says.
// Called by the housekeeper, and by Open and Close when there is none.
func (l *Log) saveMeta() (bool, error) {
	m := catalogMeta{store: l.store, id: l.id}
	l.segs.mu.RLock()
	if n := len(l.segs.list); n > 0 {
		m.first, m.newest = l.segs.list[0].seq, l.segs.list[n-1].seq
	} else {
		m.first = firstSeq
	}
	l.segs.mu.RUnlock()
	if m.first == l.meta.first && m.newest == l.meta.newest && l.meta.store == m.store {
		return false, nil
	}
	return true, l.putMeta(m, nil)
}

// putMeta writes the meta record together with other changes.
func (l *Log) putMeta(m catalogMeta, changes []CatalogChange) error {
	if l.o.Sync == SyncFull {
		l.mu.Lock()
		m.durable = l.durable
		l.mu.Unlock()
	}
	changes = append(changes, CatalogChange{Key: []byte(keyMeta), Value: m.encode()})
	// With a sync in SyncNone too: without one the catalog's database may keep the change in the process, and a segment goes
	// behind it that the catalog names after the process was killed.
	if err := l.cat.Apply(changes, true); err != nil {
		return err
	}
	l.meta = m
	return nil
}

func (l *Log) activeSeq() uint64 {
	l.segs.mu.RLock()
	defer l.segs.mu.RUnlock()
	return l.segs.tail
}
