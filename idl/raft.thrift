/**
 * raft.thrift -- the one definition of every message that crosses a socket.
 *
 * Evolution rules (checked by tools/idlcheck against idl/raft.lock):
 *   1. A field id is never reused or retyped; a removed field's id goes into the
 *      struct's `reserved` annotation.
 *   2. No field is ever `required`.  Plain ("default") fields are always written
 *      and keep their default when absent; `optional` fields are written only
 *      when set.
 *   3. New fields are added as `optional`, or plain with a default that means
 *      "what the old code did".
 *   4. Ids 1..15 are kept for fields on the hot path (one-byte compact header).
 *   5. Enum value 0 says "not stated" and is never a positive answer; readers keep unknown numbers.
 *   6. Methods are never renamed; arguments are exactly one request struct; method names are unique over
 *      all services of a port; each method carries (id = "n") for native frames.
 *   7. Thrift has no unsigned: a crc32c rides zero-extended in i64, -1 = absent.
 *
 * Annotations of our generator, which change nothing on the wire: (id = "n") numbers a method, (max = "n") is the most
 * bytes or elements that a decoder takes, (hot = "1") asks for code that is longer and faster.
 */
namespace go raftpb
namespace py raftwire
namespace java io.raftwire
namespace rs raftwire
namespace cpp raftwire
namespace js raftwire

/** One Raft group. A host runs many. */
typedef i64 GroupID
/** One host, in every group that it is a member of. From 1; 0 is nobody. */
typedef i64 NodeID
/** The epoch of a leader: never falls, and has at most one leader. */
typedef i64 Term
/** A position in a log, from 1. */
typedef i64 Index

/** What Hello.version says. */
const i32 PROTOCOL_VERSION = 1
/** The largest frame by default, without its length field; stock Thrift libraries have the same limit. */
const i32 MAX_FRAME_BYTES = 16384000
/** A HeartbeatRequest has no more beats than this. */
const i32 MAX_GROUPS_PER_HEARTBEAT = 4096

/** How messages are encoded; 64 to 127 are for private codecs. */
enum Codec {
  UNSPECIFIED = 0
  THRIFT_COMPACT = 1
  THRIFT_BINARY = 2
  MSGPACK = 3
}

/** What the body of an entry is. */
enum EntryKind {
  UNSPECIFIED = 0
  /** body is an encoded Payload. */
  COMMAND = 1
  /** A new leader's first entry. */
  NOOP = 2
  /** body is an encoded Configuration. */
  CONFIG = 3
  /** A session is opened or closed; body is an encoded SessionChange. */
  SESSION = 4
}

/**
 * What a client proposes.  Always Thrift Compact, whatever codec the connection uses: encoded once at Propose; the
 * same bytes are checksummed, stored, sent and stored again.
 */
struct Payload {
  1: binary command
  2: optional i64 session
  3: optional i64 serial
  /** The client has the answers of all serials below this one. */
  4: optional i64 ackedBelow
} (hot = "1")

/** What becomes of a session. */
enum SessionChangeKind { UNSPECIFIED = 0, OPEN = 1, CLOSE = 2 }
/** Bounds of a group's session table. They ride in the log, so that every member applies the same ones. */
struct SessionLimits {
  /** Sessions at a time; one more expires the least recently used, by log position. */
  1: i32 sessions
  /** Serials that one session may have open. */
  2: i32 window
  /** Bytes of the table. */
  3: i64 bytes
  /** A longer result is not kept: a retry learns where the command was applied, not what it returned. */
  4: i32 resultBytes
}
/** The body of a SESSION entry, in Thrift Compact. OPEN carries limits, and the entry's index becomes the session; CLOSE names it. */
struct SessionChange { 1: SessionChangeKind kind, 2: optional i64 session, 3: optional SessionLimits limits }
/** A command that was applied in a session; dropped when its result was too long to keep. */
struct SessionRecord { 1: i64 serial, 2: Index index, 3: Term term, 4: binary result, 5: bool dropped }
/** One session: what was applied and is not acknowledged, by rising serial. */
struct SessionState { 1: i64 session, 2: i32 window, 3: i64 ackedBelow, 4: Index used, 5: list<SessionRecord> records }
/** The session table of a group at one index, the least recently used session first. Part of a snapshot, in Thrift Compact. */
struct SessionTable { 1: i32 version = 1, 2: SessionLimits limits, 3: list<SessionState> sessions }

/** One log entry = body (above) + position.  Its index is AppendRequest.prevIndex + 1 + its place in the list. */
struct Entry {
  1: Term term
  2: EntryKind kind
  3: binary body
  /** CRC-32C over the kind's byte and body, computed where the body was encoded, verified before every write and after every read. */
  4: i64 crc32c = -1
  /** To a witness the body of a COMMAND is left out; its length is told.  A CONFIG is never stripped. */
  5: optional i32 strippedBytes
} (hot = "1")

/** What a node is in a group at present. */
enum Role { UNKNOWN = 0, FOLLOWER = 1, PRECANDIDATE = 2, CANDIDATE = 3, LEADER = 4, LEARNER = 5 }
/** What a member may do: a learner has no vote, a witness has one but no state machine. */
enum Suffrage { UNSPECIFIED = 0, VOTER = 1, LEARNER = 2, WITNESS = 3 }

/** One member of a configuration. */
struct Member {
  1: NodeID id
  2: string address
  3: Suffrage suffrage
  /** A wiped store takes a new incarnation; a Hello with another one than the configuration's is refused. */
  4: i64 incarnation
  5: optional i32 priority
}

/** Who is in a group. */
struct Configuration {
  1: list<Member> incoming
  /** Non-empty while a joint configuration is in force. */
  2: list<Member> outgoing
  3: bool autoLeave
  /** Raised by an operator's recovery from quorum loss: older nodes cannot return. */
  4: i64 epoch
}

/** Why a vote was not granted. */
enum RejectReason { NONE = 0, STALE_TERM = 1, LOG_BEHIND = 2, ALREADY_VOTED = 3, LEADER_ALIVE = 4, UNCERTAIN = 5, NOT_MEMBER = 6, LAGGING = 7, LEASE_PROMISED = 8 }

// ---------------------------------------------------------------- peer RPCs

/** A candidate asks for a vote; with preVote, whether it would get one. */
struct VoteRequest {
  1: GroupID group
  2: Term term
  3: NodeID candidate
  4: Index lastIndex
  5: Term lastTerm
  6: bool preVote
  /** Set when the vote follows a TimeoutNow: leases do not refuse it. */
  7: bool transfer
}

/** The answer to a VoteRequest. */
struct VoteResponse {
  1: GroupID group
  2: Term term
  3: bool granted
  4: bool preVote
  5: RejectReason reason
  /** The term asked for: tells a late answer from a current one. */
  6: Term askedTerm
}

/** The leader sends entries, or none to learn where the follower is. */
struct AppendRequest {
  1: GroupID group
  2: Term term
  3: NodeID leader
  4: Index prevIndex
  5: Term prevTerm
  6: Index commit
  7: list<Entry> entries
  /** Heartbeat round, echoed; used by ReadIndex and the leader lease. */
  8: i64 round
} (hot = "1")

/** What became of an AppendRequest. */
enum AppendStatus { UNSPECIFIED = 0, OK = 1, LOG_MISMATCH = 2, STALE_TERM = 3, NEED_SNAPSHOT = 4, BUSY = 5, UNCERTAIN = 6 }

/** The answer to an AppendRequest. */
struct AppendResponse {
  1: GroupID group
  2: Term term
  3: AppendStatus status
  /** Of the request answered: tells stale pipelined answers apart. */
  4: Index prevIndex
  /** On OK: durable and matching up to here, never beyond prevIndex + entries of THAT request. */
  5: Index matched
  6: i64 round
  7: optional Term conflictTerm
  8: optional Index conflictIndex
  9: optional Index lastIndex
} (hot = "1")

/** One beat; a HeartbeatRequest carries those of every group this node leads. */
struct Beat {
  1: GroupID group
  2: Term term
  /** min(leader's commit, what the recipient is known to match). */
  3: Index commit
  4: i64 round
  5: bool quiesce
} (hot = "1")

/** The beats of all groups that one node leads and another follows. */
struct HeartbeatRequest {
  1: NodeID leader
  2: list<Beat> beats
  /** A new value wakes quiesced groups. */
  3: i64 bootId
} (hot = "1")

/** A beat whose answer needs a term made durable first is left out of this reply and answered later. */
struct BeatAck {
  1: GroupID group
  2: Term term
  3: i64 round
  4: bool wake
} (hot = "1")

/** The answers to the beats of one HeartbeatRequest. */
struct HeartbeatResponse {
  1: list<BeatAck> acks
}

/** What a snapshot is of. */
struct SnapshotMeta {
  1: Index index
  2: Term term
  3: Configuration config
  4: Index configIndex
  5: i64 sizeBytes
  6: i32 format
  /** Content identity: a transfer resumes wherever the same id is offered. */
  7: binary snapshotId
  8: binary sha256
}

/** A piece of a snapshot, in the order of the offsets. */
struct SnapshotChunk {
  1: GroupID group
  2: Term term
  3: NodeID leader
  /** Who sends: the leader, or a follower in its place. */
  4: NodeID source
  5: binary snapshotId
  /** Sent on the first chunk, and again after a resume. */
  6: optional SnapshotMeta meta
  7: i64 offset
  8: binary data
  9: i64 chunkCrc32c = -1
  10: bool done
  /** Beside meta: members that may hold the same snapshot. The receiver may take it from them (ReadSnapshot). */
  11: optional list<NodeID> holders
} (hot = "1")

/** What became of a SnapshotChunk. */
enum SnapshotStatus { UNSPECIFIED = 0, OK = 1, RESUME_AT = 2, CHECKSUM_MISMATCH = 3, REJECTED = 4, INSTALLED = 5, ELSEWHERE = 6 }

/** The answer to a SnapshotChunk. */
struct SnapshotAck {
  1: GroupID group
  2: Term term
  3: binary snapshotId
  4: SnapshotStatus status
  /** The next offset this node wants. */
  5: i64 nextOffset
  /** On INSTALLED: what it now matches. */
  6: Index index
}

/** Asks for a piece of a snapshot that the asked member may hold, byte for byte. */
struct ReadSnapshotRequest { 1: GroupID group, 2: Index index, 3: Term term, 4: binary snapshotId, 5: i64 offset, 6: i32 count }
/** The piece, up to count bytes of it. */
struct ReadSnapshotResponse { 1: GroupID group, 2: i64 offset, 3: binary data, 4: i64 chunkCrc32c = -1 }

/** Repair of damaged entries: whoever holds them intact answers. */
struct FetchRequest { 1: GroupID group, 2: Term term, 3: Index first, 4: i32 count }
struct FetchResponse { 1: GroupID group, 2: Term term, 3: Index first, 4: list<Entry> entries }

/** The leader hands over: the receiver campaigns at once. */
struct TimeoutNowRequest { 1: GroupID group, 2: Term term, 3: NodeID leader }
/** Whether the receiver campaigns. */
struct TimeoutNowResponse { 1: GroupID group, 2: Term term, 3: bool accepted }

/** A follower asks the leader for an index from which it may serve a read. */
struct ReadIndexRequest { 1: GroupID group, 2: NodeID origin, 3: i64 context }
/** Reads are served once this index is applied; 0: too many wait, ask again later. */
struct ReadIndexResponse { 1: GroupID group, 2: Term term, 3: Index index, 4: i64 context }

/** Why a connection is closed. */
struct GoodbyeRequest { 1: string reason }

/** Who one is and what one can do: the first call on a connection between nodes, and its answer. */
struct Hello {
  1: i32 version = PROTOCOL_VERSION
  2: string cluster
  3: NodeID node
  /** Codecs this side can decode, best first. */
  4: list<Codec> codecs
  5: i32 maxFrame = MAX_FRAME_BYTES
  /** Feature bits; unknown bits are ignored. */
  6: i64 features
  7: string software
  /** sha256 of the IDL's canonical form; differing is allowed, and logged. */
  8: optional binary schema
  /** Whom the dialer means to reach. */
  9: NodeID target
  10: i64 incarnation
  11: i64 epoch
}

// ------------------------------------------------------------------ clients

/** What a read may miss: nothing; nothing, from any node; nothing while clocks keep their bound; recent writes. */
enum Consistency { LINEARIZABLE = 0, FOLLOWER = 1, LEASE = 2, STALE = 3 }

/** A command for the state machine. With session and serial it is applied once, however often it is sent. */
struct ProposeRequest {
  1: GroupID group
  2: binary command
  3: optional i64 session
  4: optional i64 serial
  5: optional i64 ackedBelow
  6: i32 timeoutMs
} (hot = "1")
/** The command was applied, at this position, with this result. */
struct ProposeResponse { 1: GroupID group, 2: Index index, 3: Term term, 4: binary result } (hot = "1")

/** Asks for a session, in which commands are applied exactly once. */
struct OpenSessionRequest { 1: GroupID group, 2: i32 timeoutMs }
/** The session, and how many serials may be open in it at a time. */
struct OpenSessionResponse { 1: GroupID group, 2: i64 session, 3: i32 window }
/** Ends a session. */
struct CloseSessionRequest { 1: GroupID group, 2: i64 session, 3: i32 timeoutMs }
/** The session has ended. */
struct CloseSessionResponse { 1: GroupID group }

/** A query for the state machine. */
struct ReadRequest {
  1: GroupID group
  2: binary query
  3: Consistency consistency = Consistency.LINEARIZABLE
  4: i32 timeoutMs
  5: optional i64 maxStaleMs
  /** Read-your-writes: answer only once applied this far. */
  6: optional Index minIndex
} (hot = "1")
/** The result of a query, on the state with all entries up to index applied. */
struct ReadResponse { 1: GroupID group, 2: Index index, 3: binary result } (hot = "1")

/** Asks how a group is on this node. */
struct StatusRequest { 1: GroupID group }
/** How a leader sends to a follower. */
enum ProgressState { UNSPECIFIED = 0, PROBE = 1, REPLICATE = 2, SNAPSHOT = 3 }
/** A leader's view of one follower. */
struct Progress {
  1: NodeID id
  2: Index matched
  3: Index nextIndex
  4: ProgressState state
  5: i64 lagBytes
  6: i64 lastContactMs
}
/** How well a group is on a node. */
enum Health { UNSPECIFIED = 0, OK = 1, UNCERTAIN = 2, REPAIRING = 3, DISK_STALLED = 4, STOPPED = 5 }
/** A number with a name, for people. */
struct Counter { 1: string name, 2: i64 value }
/** How a group is on this node. */
struct StatusResponse {
  1: GroupID group
  2: NodeID node
  3: Role role
  4: Term term
  5: NodeID vote
  6: NodeID leader
  7: Index firstIndex
  8: Index lastIndex
  9: Index commit
  10: Index applied
  11: Index snapshotIndex
  12: Configuration config
  13: list<Progress> progress
  14: Health health
  15: list<Counter> counters
  /** What an acknowledged write survives: fsync, or what is less. */
  16: optional string durability
}

// -------------------------------------------------------------------- admin

/** What a membership change does. */
enum ChangeKind { UNSPECIFIED = 0, ADD_VOTER = 1, ADD_LEARNER = 2, ADD_WITNESS = 3, REMOVE = 4, PROMOTE = 5, DEMOTE = 6, UPDATE_ADDRESS = 7, REPLACE_ALL = 8 }
/** One step of a membership change. */
struct Change { 1: ChangeKind kind, 2: Member member }
/** A membership change: all steps, or none. */
struct ChangeRequest {
  1: GroupID group
  2: list<Change> changes
  /** Compare-and-set against the index of the configuration in force, when set. */
  3: optional Index expected
  4: i32 timeoutMs
}
/** The configuration that the change led to, and the index of its entry. */
struct ChangeResponse { 1: GroupID group, 2: Index index, 3: Configuration config }
/** A configuration on the way. */
struct PlanStep { 1: Configuration config, 2: i32 toleratedFailures, 3: string note }
/** What a change would do, without doing it. */
struct PlanResponse { 1: GroupID group, 2: list<PlanStep> steps }
/** Asks the leader to hand over; target 0 leaves the choice to it. */
struct TransferRequest { 1: GroupID group, 2: NodeID target }
/** The term in which the new leader leads. */
struct TransferResponse { 1: GroupID group, 2: Term term }
/** Asks for a snapshot now; with compact, the log before it is dropped. */
struct SnapshotRequest { 1: GroupID group, 2: bool compact }
/** The snapshot that was taken. */
struct SnapshotResponse { 1: GroupID group, 2: SnapshotMeta meta }
/** Asks for hashes at one index, to compare nodes. */
struct HashRequest { 1: GroupID group, 2: Index index }
/** Hashes of the state machine and of the log up to index. */
struct HashResponse { 1: GroupID group, 2: Index index, 3: binary state, 4: binary logChain }
/** Asks what a group waits for. */
struct WhyRequest { 1: GroupID group }
/** What a group waits for, in a sentence. */
struct WhyResponse { 1: GroupID group, 2: string sentence, 3: optional NodeID culprit }

// --------------------------------------------------------------- exceptions

/** Why a request was refused. */
enum RejectCode { UNSPECIFIED = 0, TOO_LARGE = 1, BUSY = 2, BAD_ARGUMENT = 3, WRONG_CLUSTER = 4, WRONG_NODE = 5, WRONG_VERSION = 6, AMNESIA = 7, OLD_EPOCH = 8, NOT_ALLOWED = 9, SESSION_EXPIRED = 10, SERIAL_OUT_OF_WINDOW = 11, UNSAFE_CHANGE = 12, CHANGE_IN_PROGRESS = 13 }

/** This node does not lead; retry at leaderAddress when it is set. */
exception NotLeader { 1: GroupID group, 2: optional NodeID leader, 3: optional string leaderAddress, 4: Term term }
/** This node has no such group. */
exception NoSuchGroup { 1: GroupID group }
/** Outcome unknown when maybeApplied: retry only with the same session and serial. */
exception Unavailable {
  1: GroupID group
  2: string reason
  3: bool maybeApplied
  4: optional i32 retryAfterMs
  /** Set when the command is known to be applied, at this index, and only its result cannot be told: do not retry. */
  5: optional Index applied
}
/** The request was refused, and had no effect. */
exception Rejected { 1: GroupID group, 2: RejectCode code, 3: string reason, 4: optional i64 expectedSerial }

/** Between nodes; served only after Handshake on the same connection. Calls flow from dialer to acceptor. */
service RaftPeer {
  Hello Handshake(1: Hello req) throws (1: Rejected rejected) (id = "1")
  VoteResponse Vote(1: VoteRequest req) throws (1: NoSuchGroup noGroup) (id = "2")
  AppendResponse Append(1: AppendRequest req) throws (1: NoSuchGroup noGroup) (id = "3")
  HeartbeatResponse Heartbeat(1: HeartbeatRequest req) (id = "4")
  SnapshotAck InstallSnapshot(1: SnapshotChunk req) throws (1: NoSuchGroup noGroup) (id = "5")
  TimeoutNowResponse TimeoutNow(1: TimeoutNowRequest req) throws (1: NoSuchGroup noGroup) (id = "6")
  ReadIndexResponse ReadIndex(1: ReadIndexRequest req) throws (1: NotLeader notLeader, 2: NoSuchGroup noGroup) (id = "7")
  FetchResponse Fetch(1: FetchRequest req) throws (1: NoSuchGroup noGroup) (id = "8")
  /** The sender is closing this connection on purpose; nothing it left unanswered was lost by the network. */
  oneway void Goodbye(1: GoodbyeRequest req) (id = "9")
  ReadSnapshotResponse ReadSnapshot(1: ReadSnapshotRequest req) throws (1: NoSuchGroup noGroup) (id = "10")
}

/** For everyone who may reach the port. */
service RaftClient {
  ProposeResponse Propose(1: ProposeRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "20")
  ReadResponse Read(1: ReadRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "21")
  OpenSessionResponse OpenSession(1: OpenSessionRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "22")
  CloseSessionResponse CloseSession(1: CloseSessionRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "23")
  StatusResponse Status(1: StatusRequest req) throws (1: NoSuchGroup noGroup) (id = "24")
}

/** For operators: loopback, or a certificate of the admin role. */
service RaftAdmin {
  ChangeResponse ChangeMembership(1: ChangeRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "40")
  PlanResponse PlanChange(1: ChangeRequest req)
    throws (1: NotLeader notLeader, 2: Rejected rejected, 3: NoSuchGroup noGroup) (id = "41")
  TransferResponse TransferLeadership(1: TransferRequest req)
    throws (1: NotLeader notLeader, 2: Unavailable unavailable, 3: Rejected rejected, 4: NoSuchGroup noGroup) (id = "42")
  SnapshotResponse Snapshot(1: SnapshotRequest req) throws (1: Unavailable unavailable, 2: NoSuchGroup noGroup) (id = "43")
  HashResponse Hash(1: HashRequest req) throws (1: Unavailable unavailable, 2: NoSuchGroup noGroup) (id = "44")
  WhyResponse Why(1: WhyRequest req) throws (1: NoSuchGroup noGroup) (id = "45")
}
