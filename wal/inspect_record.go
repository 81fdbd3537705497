package wal

import (
	"strings"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// recordInfo makes a checked record readable.
func recordInfo(h *recordHeader, rec []byte, lsn uint64) RecordInfo {
	types := map[uint8]string{
		recEntries: "entries", recHardState: "hard-state", recCompact: "compact", recTruncate: "truncate",
		recSnapshot: "snapshot", recDestroy: "destroy", recTrust: "trust",
	}
	info := RecordInfo{
		LSN: lsn, Type: types[h.typ], Flags: flagNames(h.flags), Group: h.group,
		Index: raftpb.Index(h.index), Term: raftpb.Term(h.term),
	}
	switch h.typ {
	case recHardState:
		info.Hard, _ = decodeHardState(rec[recordHeaderBytes:])
	case recSnapshot:
		info.Keep, info.Data = h.count == 1, rec[recordHeaderBytes:]
	case recEntries:
		info.Entries = tableEntries(h, rec)
		for _, i := range badEntries(h, rec) {
			info.BadBody = append(info.BadBody, raftpb.Index(i))
		}
	}
	return info
}

func flagNames(flags uint8) string {
	var names []string
	for _, f := range []struct {
		bit  uint8
		name string
	}{{recStripped, "stripped"}, {recRestated, "restated"}, {recRepair, "repair"}} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ",")
}

// tableEntries lists the entries of a record; bodies are not checked.
func tableEntries(h *recordHeader, rec []byte) []raftpb.Entry {
	es := make([]raftpb.Entry, h.count)
	at := h.covered()
	for i := range es {
		slot := decodeSlot(rec[recordHeaderBytes+i*entrySlotBytes:])
		es[i] = raftpb.Entry{Term: raftpb.Term(h.term), Kind: raftpb.EntryKind(slot.kind), Crc32c: int64(slot.crc)}
		if h.flags&recStripped != 0 {
			es[i].StrippedBytes = codec.Some(int32(slot.bytes))
			continue
		}
		end := min(at+int(slot.bytes), len(rec))
		es[i].Body = rec[at:end:end]
		at = end
	}
	return es
}
