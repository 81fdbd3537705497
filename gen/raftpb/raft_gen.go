// Provisional: replaced by raftgen output.

package raftpb

import "github.com/seed-814fcd60/raftwire/codec"

type GroupID int64
type NodeID int64
type Term int64
type Index int64

const ProtocolVersion = 1
const MaxFrameBytes = 16384000
const MaxGroupsPerHeartbeat = 4096

type Codec int32

const (
	CodecUnspecified   Codec = 0
	CodecThriftCompact Codec = 1
	CodecThriftBinary  Codec = 2
	CodecMsgpack       Codec = 3
)

type EntryKind int32

const (
	EntryKindUnspecified EntryKind = 0
	EntryKindCommand     EntryKind = 1
	EntryKindNoop        EntryKind = 2
	EntryKindConfig      EntryKind = 3
	EntryKindSession     EntryKind = 4
)

type Role int32

const (
	RoleUnknown      Role = 0
	RoleFollower     Role = 1
	RolePrecandidate Role = 2
	RoleCandidate    Role = 3
	RoleLeader       Role = 4
	RoleLearner      Role = 5
)

type Suffrage int32

const (
	SuffrageUnspecified Suffrage = 0
	SuffrageVoter       Suffrage = 1
	SuffrageLearner     Suffrage = 2
	SuffrageWitness     Suffrage = 3
)

type RejectReason int32

const (
	RejectReasonNone          RejectReason = 0
	RejectReasonStaleTerm     RejectReason = 1
	RejectReasonLogBehind     RejectReason = 2
	RejectReasonAlreadyVoted  RejectReason = 3
	RejectReasonLeaderAlive   RejectReason = 4
	RejectReasonUncertain     RejectReason = 5
	RejectReasonNotMember     RejectReason = 6
	RejectReasonLagging       RejectReason = 7
	RejectReasonLeasePromised RejectReason = 8
)

type AppendStatus int32

const (
	AppendStatusUnspecified  AppendStatus = 0
	AppendStatusOk           AppendStatus = 1
	AppendStatusLogMismatch  AppendStatus = 2
	AppendStatusStaleTerm    AppendStatus = 3
	AppendStatusNeedSnapshot AppendStatus = 4
	AppendStatusBusy         AppendStatus = 5
	AppendStatusUncertain    AppendStatus = 6
)

type SnapshotStatus int32

const (
	SnapshotStatusUnspecified      SnapshotStatus = 0
	SnapshotStatusOk               SnapshotStatus = 1
	SnapshotStatusResumeAt         SnapshotStatus = 2
	SnapshotStatusChecksumMismatch SnapshotStatus = 3
	SnapshotStatusRejected         SnapshotStatus = 4
	SnapshotStatusInstalled        SnapshotStatus = 5
)

type Consistency int32

const (
	ConsistencyLinearizable Consistency = 0
	ConsistencyFollower     Consistency = 1
	ConsistencyLease        Consistency = 2
	ConsistencyStale        Consistency = 3
)

type ProgressState int32

const (
	ProgressStateUnspecified ProgressState = 0
	ProgressStateProbe       ProgressState = 1
	ProgressStateReplicate   ProgressState = 2
	ProgressStateSnapshot    ProgressState = 3
)

type Health int32

const (
	HealthUnspecified Health = 0
	HealthOk          Health = 1
	HealthUncertain   Health = 2
	HealthRepairing   Health = 3
	HealthDiskStalled Health = 4
	HealthStopped     Health = 5
)

type ChangeKind int32

const (
	ChangeKindUnspecified   ChangeKind = 0
	ChangeKindAddVoter      ChangeKind = 1
	ChangeKindAddLearner    ChangeKind = 2
	ChangeKindAddWitness    ChangeKind = 3
	ChangeKindRemove        ChangeKind = 4
	ChangeKindPromote       ChangeKind = 5
	ChangeKindDemote        ChangeKind = 6
	ChangeKindUpdateAddress ChangeKind = 7
	ChangeKindReplaceAll    ChangeKind = 8
)

type RejectCode int32

const (
	RejectCodeUnspecified       RejectCode = 0
	RejectCodeTooLarge          RejectCode = 1
	RejectCodeBusy              RejectCode = 2
	RejectCodeBadArgument       RejectCode = 3
	RejectCodeWrongCluster      RejectCode = 4
	RejectCodeWrongNode         RejectCode = 5
	RejectCodeWrongVersion      RejectCode = 6
	RejectCodeAmnesia           RejectCode = 7
	RejectCodeOldEpoch          RejectCode = 8
	RejectCodeNotAllowed        RejectCode = 9
	RejectCodeSessionExpired    RejectCode = 10
	RejectCodeSerialOutOfWindow RejectCode = 11
	RejectCodeUnsafeChange      RejectCode = 12
	RejectCodeChangeInProgress  RejectCode = 13
)

type Payload struct {
	Command    []byte           // 1
	Session    codec.Opt[int64] // 2
	Serial     codec.Opt[int64] // 3
	AckedBelow codec.Opt[int64] // 4
}
type Entry struct {
	Term          Term             // 1
	Kind          EntryKind        // 2
	Body          []byte           // 3
	Crc32c        int64            // 4
	StrippedBytes codec.Opt[int32] // 5
}
type Member struct {
	ID          NodeID           // 1
	Address     string           // 2
	Suffrage    Suffrage         // 3
	Incarnation int64            // 4
	Priority    codec.Opt[int32] // 5
}
type Configuration struct {
	Incoming  []Member // 1
	Outgoing  []Member // 2
	AutoLeave bool     // 3
	Epoch     int64    // 4
}
type VoteRequest struct {
	Group     GroupID // 1
	Term      Term    // 2
	Candidate NodeID  // 3
	LastIndex Index   // 4
	LastTerm  Term    // 5
	PreVote   bool    // 6
	Transfer  bool    // 7
}
type VoteResponse struct {
	Group     GroupID      // 1
	Term      Term         // 2
	Granted   bool         // 3
	PreVote   bool         // 4
	Reason    RejectReason // 5
	AskedTerm Term         // 6
}
type AppendRequest struct {
	Group     GroupID // 1
	Term      Term    // 2
	Leader    NodeID  // 3
	PrevIndex Index   // 4
	PrevTerm  Term    // 5
	Commit    Index   // 6
	Entries   []Entry // 7
	Round     int64   // 8
}
type AppendResponse struct {
	Group         GroupID          // 1
	Term          Term             // 2
	Status        AppendStatus     // 3
	PrevIndex     Index            // 4
	Matched       Index            // 5
	Round         int64            // 6
	ConflictTerm  codec.Opt[Term]  // 7
	ConflictIndex codec.Opt[Index] // 8
	LastIndex     codec.Opt[Index] // 9
}
type Beat struct {
	Group   GroupID // 1
	Term    Term    // 2
	Commit  Index   // 3
	Round   int64   // 4
	Quiesce bool    // 5
}
type HeartbeatRequest struct {
	Leader NodeID // 1
	Beats  []Beat // 2
	BootID int64  // 3
}
type BeatAck struct {
	Group GroupID // 1
	Term  Term    // 2
	Round int64   // 3
	Wake  bool    // 4
}
type HeartbeatResponse struct {
	Acks []BeatAck // 1
}
type SnapshotMeta struct {
	Index       Index         // 1
	Term        Term          // 2
	Config      Configuration // 3
	ConfigIndex Index         // 4
	SizeBytes   int64         // 5
	Format      int32         // 6
	SnapshotID  []byte        // 7
	Sha256      []byte        // 8
}
type SnapshotChunk struct {
	Group       GroupID       // 1
	Term        Term          // 2
	Leader      NodeID        // 3
	Source      NodeID        // 4
	SnapshotID  []byte        // 5
	Meta        *SnapshotMeta // 6
	Offset      int64         // 7
	Data        []byte        // 8
	ChunkCrc32c int64         // 9
	Done        bool          // 10
}
type SnapshotAck struct {
	Group      GroupID        // 1
	Term       Term           // 2
	SnapshotID []byte         // 3
	Status     SnapshotStatus // 4
	NextOffset int64          // 5
	Index      Index          // 6
}
type FetchRequest struct {
	Group GroupID // 1
	Term  Term    // 2
	First Index   // 3
	Count int32   // 4
}
type FetchResponse struct {
	Group   GroupID // 1
	Term    Term    // 2
	First   Index   // 3
	Entries []Entry // 4
}
type TimeoutNowRequest struct {
	Group  GroupID // 1
	Term   Term    // 2
	Leader NodeID  // 3
}
type TimeoutNowResponse struct {
	Group    GroupID // 1
	Term     Term    // 2
	Accepted bool    // 3
}
type ReadIndexRequest struct {
	Group   GroupID // 1
	Origin  NodeID  // 2
	Context int64   // 3
}
type ReadIndexResponse struct {
	Group   GroupID // 1
	Term    Term    // 2
	Index   Index   // 3
	Context int64   // 4
}
type GoodbyeRequest struct {
	Reason string // 1
}
type Hello struct {
	Version     int32   // 1
	Cluster     string  // 2
	Node        NodeID  // 3
	Codecs      []Codec // 4
	MaxFrame    int32   // 5
	Features    int64   // 6
	Software    string  // 7
	Schema      []byte  // 8
	Target      NodeID  // 9
	Incarnation int64   // 10
	Epoch       int64   // 11
}
type ProposeRequest struct {
	Group      GroupID          // 1
	Command    []byte           // 2
	Session    codec.Opt[int64] // 3
	Serial     codec.Opt[int64] // 4
	AckedBelow codec.Opt[int64] // 5
	TimeoutMs  int32            // 6
}
type ProposeResponse struct {
	Group  GroupID // 1
	Index  Index   // 2
	Term   Term    // 3
	Result []byte  // 4
}
type OpenSessionRequest struct {
	Group     GroupID // 1
	TimeoutMs int32   // 2
}
type OpenSessionResponse struct {
	Group   GroupID // 1
	Session int64   // 2
	Window  int32   // 3
}
type CloseSessionRequest struct {
	Group     GroupID // 1
	Session   int64   // 2
	TimeoutMs int32   // 3
}
type CloseSessionResponse struct {
	Group GroupID // 1
}
type ReadRequest struct {
	Group       GroupID          // 1
	Query       []byte           // 2
	Consistency Consistency      // 3
	TimeoutMs   int32            // 4
	MaxStaleMs  codec.Opt[int64] // 5
	MinIndex    codec.Opt[Index] // 6
}
type ReadResponse struct {
	Group  GroupID // 1
	Index  Index   // 2
	Result []byte  // 3
}
type StatusRequest struct {
	Group GroupID // 1
}
type Progress struct {
	ID            NodeID        // 1
	Matched       Index         // 2
	NextIndex     Index         // 3
	State         ProgressState // 4
	LagBytes      int64         // 5
	LastContactMs int64         // 6
}
type Counter struct {
	Name  string // 1
	Value int64  // 2
}
type StatusResponse struct {
	Group         GroupID       // 1
	Node          NodeID        // 2
	Role          Role          // 3
	Term          Term          // 4
	Vote          NodeID        // 5
	Leader        NodeID        // 6
	FirstIndex    Index         // 7
	LastIndex     Index         // 8
	Commit        Index         // 9
	Applied       Index         // 10
	SnapshotIndex Index         // 11
	Config        Configuration // 12
	Progress      []Progress    // 13
	Health        Health        // 14
	Counters      []Counter     // 15
}
type Change struct {
	Kind   ChangeKind // 1
	Member Member     // 2
}
type ChangeRequest struct {
	Group     GroupID          // 1
	Changes   []Change         // 2
	Expected  codec.Opt[Index] // 3
	TimeoutMs int32            // 4
}
type ChangeResponse struct {
	Group  GroupID       // 1
	Index  Index         // 2
	Config Configuration // 3
}
type PlanStep struct {
	Config            Configuration // 1
	ToleratedFailures int32         // 2
	Note              string        // 3
}
type PlanResponse struct {
	Group GroupID    // 1
	Steps []PlanStep // 2
}
type TransferRequest struct {
	Group  GroupID // 1
	Target NodeID  // 2
}
type TransferResponse struct {
	Group GroupID // 1
	Term  Term    // 2
}
type SnapshotRequest struct {
	Group   GroupID // 1
	Compact bool    // 2
}
type SnapshotResponse struct {
	Group GroupID      // 1
	Meta  SnapshotMeta // 2
}
type HashRequest struct {
	Group GroupID // 1
	Index Index   // 2
}
type HashResponse struct {
	Group    GroupID // 1
	Index    Index   // 2
	State    []byte  // 3
	LogChain []byte  // 4
}
type WhyRequest struct {
	Group GroupID // 1
}
type WhyResponse struct {
	Group    GroupID           // 1
	Sentence string            // 2
	Culprit  codec.Opt[NodeID] // 3
}
type NotLeader struct {
	Group         GroupID           // 1
	Leader        codec.Opt[NodeID] // 2
	LeaderAddress codec.Opt[string] // 3
	Term          Term              // 4
}
type NoSuchGroup struct {
	Group GroupID // 1
}
type Unavailable struct {
	Group        GroupID          // 1
	Reason       string           // 2
	MaybeApplied bool             // 3
	RetryAfterMs codec.Opt[int32] // 4
}
type Rejected struct {
	Group          GroupID          // 1
	Code           RejectCode       // 2
	Reason         string           // 3
	ExpectedSerial codec.Opt[int64] // 4
}
