package runtime

import "github.com/seed-814fcd60/raftwire/engine/internal/raft"

// spread draws a pause from the upper half of d, so that groups and hosts whose calls
// failed together do not call again together. It is drawn from who rests, for whom, and
// how often it has: worlds replay it.
func spread(d raft.Time, g *Group, peer raft.NodeID, time int) raft.Time {
	x := uint64(g.self)<<48 ^ uint64(g.id)<<24 ^ uint64(peer)<<8 ^ uint64(time)
	for range 2 { // the finalizer of SplitMix64
		x += 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
	}
	return d/2 + raft.Time(x%uint64(d/2+1))
}
