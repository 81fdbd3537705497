package wal

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Repair stores e, fetched from another member, in the place of the entry of group
// at index, whose body no longer matches its checksum. The term must be the one the
// log has there, which in Raft makes it the same entry; e's checksum must match its
// body. It is durable when Repair returns; reads find it from then on. The rest of
// the log is as it was: nothing behind index is truncated.
func (l *Log) Repair(group raftpb.GroupID, index raftpb.Index, e raftpb.Entry) error {
	if !e.StrippedBytes.Set && EntryChecksum(e.Kind, e.Body) != e.Crc32c {
		return badBatch("group %d: repair of entry %d: body does not match its checksum", group, index)
	}
	var b Batch
	b.Repair(group, index, e)
	if err := l.Write(&b); err != nil {
		return fmt.Errorf("wal: repair: %w", err)
	}
	l.repaired.Add(1)
	return nil
}

// checkRepair tells why o cannot stand in for an entry of its group, whose log is
// [first, last] by now.
func checkRepair(o *op, first, last uint64, matches func(raftpb.Index) bool) error {
	if i := uint64(o.index); i < first || i > last {
		return badBatch("group %d: repair of entry %d, log is [%d, %d]", o.group, o.index, first, last)
	}
	if !matches(o.index) {
		return badBatch("group %d: repair of entry %d: the log has another term than %d there", o.group, o.index, o.term)
	}
	return nil
}

// repair notes where the copy of an entry stands. The record it stands in for
// stays in runs and keeps its segment: the copy is nothing without it.
func (v *groupView) repair(r run) {
	if v.repairs == nil {
		v.repairs = map[uint64]run{}
	}
	v.repairs[r.first] = r
}

// forget drops the repairs outside [first, last].
func (v *groupView) forget() {
	for i := range v.repairs {
		if i < v.first || i > v.last {
			delete(v.repairs, i)
		}
	}
}

// nextRepair returns the lowest repaired position in [lo, hi), hi if there is none.
func (v *groupView) nextRepair(lo, hi uint64) uint64 {
	for i := range v.repairs {
		if i >= lo && i < hi {
			hi = i
		}
	}
	return hi
}
