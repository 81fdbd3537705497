/**
 * The hot messages of idl/raft.thrift for the official compiler. A test holds them
 * to the original: both encode to the same bytes.
 */
namespace go apache

typedef i64 GroupID
typedef i64 NodeID
typedef i64 Term
typedef i64 Index

enum EntryKind {
  UNSPECIFIED = 0
  COMMAND = 1
  NOOP = 2
  CONFIG = 3
  SESSION = 4
}

struct Entry {
  1: Term term
  2: EntryKind kind
  3: binary body
  4: i64 crc32c = -1
  5: optional i32 strippedBytes
}

struct AppendRequest {
  1: GroupID group
  2: Term term
  3: NodeID leader
  4: Index prevIndex
  5: Term prevTerm
  6: Index commit
  7: list<Entry> entries
  8: i64 round
}

struct Beat {
  1: GroupID group
  2: Term term
  3: Index commit
  4: i64 round
  5: bool quiesce
}

struct HeartbeatRequest {
  1: NodeID leader
  2: list<Beat> beats
  3: i64 bootId
}
