package runtime

import (
	"encoding/binary"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Chain extends the hash of a log prefix, which ends before first, by entries. 0 stands for
// a hash that is not known, but where the log begins, and stays 0.
func Chain(chain uint64, first raft.Index, entries []raft.Entry) uint64 {
	if chain == 0 && first > 1 {
		return 0
	}
	for i := range entries {
		chain = chainHash(chain, &entries[i])
	}
	return chain
}

// chainHash extends the hash of a log prefix by one entry. Two members with the
// same value at the same index have applied the same entries.
func chainHash(chain uint64, e *raft.Entry) uint64 {
	x := chain ^ uint64(e.Term)<<40 ^ uint64(e.Kind)<<33 ^ uint64(e.Crc32c)
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// chain extends the hash of the log up to from by the entries up to to, as far as the log
// still has them: otherwise it is not known.
func (r *Recovery) chain(chain uint64, from, to raft.Index) uint64 {
	var buf []raft.Entry
	var bodies wal.ReadBuffer
	for lo := from + 1; lo <= to; lo += raft.Index(len(buf)) {
		var err error
		if buf, err = readable(r.log, &bodies, buf[:0], lo, to+1, maxJobBytes); err != nil {
			return 0
		}
		chain = Chain(chain, lo, buf)
	}
	return chain
}

// chainOf reads the hash over the entries that an image stands for; 0: it does not say.
func chainOf(image *snapshot.Image) (chain uint64, err error) {
	err = image.Facts(func(kv snapshot.KeyValue) error {
		if string(kv.Key) == chainKey && len(kv.Value) == 8 {
			chain = binary.LittleEndian.Uint64(kv.Value)
		}
		return nil
	})
	return chain, err
}
