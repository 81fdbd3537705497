/**
 * kv.thrift -- the service of raftkv, a replicated key-value store. It is served on the port of
 * raft.thrift, beside RaftClient, and follows the same rules of evolution.
 *
 * Keys and values are bytes. A key has 1 to 4,096 bytes and a value at most 8 MiB: longer ones are refused with
 * TOO_LARGE. Keys are ordered by their bytes.
 */
include "raft.thrift"

namespace go kvpb
namespace py raftwire.kv
namespace java io.raftwire.kv
namespace rs raftwire_kv
namespace cpp raftwire.kv
namespace js raftwire.kv

/** The group of a store that has one group. */
const raft.GroupID DEFAULT_GROUP = 1
const i32 MAX_KEY_BYTES = 4096
const i32 MAX_VALUE_BYTES = 8388608
/** A Scan returns no more pairs than this. */
const i32 MAX_SCAN_PAIRS = 10000
/** A Scan ends with the pair that takes it here. */
const i32 MAX_SCAN_BYTES = 4194304

/** What a command does to its key. */
enum Operation {
  UNSPECIFIED = 0
  PUT = 1
  DELETE = 2
  /** Stores value if the key has the value expected. */
  CAS = 3
  /** Puts value behind what the key has. */
  APPEND = 4
}

/**
 * What stands in the log, in Thrift Compact. A program that speaks RaftClient only may propose it.
 */
struct Command {
  1: Operation operation
  2: binary key
  3: binary value
  /** Of a CAS; not set: the key must not exist. */
  4: optional binary expected
}

/** What became of a Command, in Thrift Compact. */
enum Outcome {
  UNSPECIFIED = 0
  DONE = 1
  /** CAS: the key has another value. */
  MISMATCH = 2
  /** The key is empty or over MAX_KEY_BYTES, or the value would be over MAX_VALUE_BYTES. */
  TOO_LARGE = 3
  /** The command makes no sense to this version. */
  UNKNOWN = 4
}
struct Answer {
  1: Outcome outcome
  /** Whether the key had a value before. */
  2: bool existed
  /** On MISMATCH, the value that the key has; not set: none. */
  3: optional binary current
  /** The length of the value now. */
  4: i64 length
}

/** What RaftClient.Read takes, in Thrift Compact: one key, or a range. */
struct Query { 1: optional binary key, 2: optional Range range }
/** The keys from first on, up to last if that is set and not beyond, that begin with prefix. */
struct Range { 1: binary first, 2: optional binary last, 3: i32 limit, 4: bool keysOnly, 5: binary prefix }
struct Pair { 1: binary key, 2: binary value }
/** What RaftClient.Read returns, in Thrift Compact. */
struct Found {
  /** By rising key. */
  1: list<Pair> pairs
  /** There are more: go on behind the last key. */
  2: bool more
}

/** With it a command is applied exactly once, however often it is sent. The session is from RaftClient.OpenSession. */
struct InSession { 1: i64 session, 2: i64 serial, 3: i64 ackedBelow }

struct PutRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: binary key
  3: binary value
  4: i32 timeoutMs
  5: optional InSession once
}
/** index is where the write stands in the log: a read with minIndex sees it, on any node. */
struct PutResponse { 1: raft.Index index, 2: bool existed }

struct DeleteRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: binary key
  4: i32 timeoutMs
  5: optional InSession once
}
struct DeleteResponse { 1: raft.Index index, 2: bool existed }

struct CasRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: binary key
  3: binary value
  4: i32 timeoutMs
  5: optional InSession once
  /** Not set: the key must not exist. */
  6: optional binary expected
}
/** current is what the key has if it was not swapped; not set: nothing. */
struct CasResponse { 1: raft.Index index, 2: bool swapped, 3: optional binary current }

struct AppendRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: binary key
  3: binary value
  4: i32 timeoutMs
  5: optional InSession once
}
/** length is that of the whole value now. */
struct AppendResponse { 1: raft.Index index, 2: i64 length }

struct GetRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: binary key
  3: raft.Consistency consistency = raft.Consistency.LINEARIZABLE
  4: i32 timeoutMs
  /** Of a STALE read: what was acknowledged so long ago may not be missing. */
  5: optional i64 maxStaleMs
  /** Read-your-writes: answer only once applied this far. */
  6: optional raft.Index minIndex
}
/** value is not set when the key does not exist; index is how far the state read was applied. */
struct GetResponse { 1: raft.Index index, 2: optional binary value }

struct ScanRequest {
  1: raft.GroupID group = DEFAULT_GROUP
  2: Range range
  3: raft.Consistency consistency = raft.Consistency.LINEARIZABLE
  4: i32 timeoutMs
  5: optional i64 maxStaleMs
  6: optional raft.Index minIndex
}
struct ScanResponse { 1: raft.Index index, 2: list<Pair> pairs, 3: bool more }

/** A replicated key-value store, for everyone who may reach the port. */
service KV {
  PutResponse Put(1: PutRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "100")
  DeleteResponse Delete(1: DeleteRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "101")
  CasResponse Cas(1: CasRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "102")
  AppendResponse AppendValue(1: AppendRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "103")
  GetResponse Get(1: GetRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "104")
  ScanResponse Scan(1: ScanRequest req)
    throws (1: raft.NotLeader notLeader, 2: raft.Unavailable unavailable, 3: raft.Rejected rejected, 4: raft.NoSuchGroup noGroup) (id = "105")
}
