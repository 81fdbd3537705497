// Package tinylib has the hot messages of idl/raft.thrift as msgp's generator wants
// them: structs written as arrays, the smallest and fastest form that it has.
package tinylib

//msgp:tuple Entry AppendRequest Beat HeartbeatRequest

// Entry is a log entry.
type Entry struct {
	Term          int64
	Kind          int32
	Body          []byte
	Crc32c        int64
	StrippedBytes *int32
}

// AppendRequest carries entries to a follower.
type AppendRequest struct {
	Group     int64
	Term      int64
	Leader    int64
	PrevIndex int64
	PrevTerm  int64
	Commit    int64
	Entries   []Entry
	Round     int64
}

// Beat is the heartbeat of one group.
type Beat struct {
	Group   int64
	Term    int64
	Commit  int64
	Round   int64
	Quiesce bool
}

// HeartbeatRequest carries the beats of all groups that a node leads.
type HeartbeatRequest struct {
	Leader int64
	Beats  []Beat
	BootID int64
}
