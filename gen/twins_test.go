package gen_test

import (
	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest/basis"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	officialbasis "github.com/seed-814fcd60/raftwire/gen/testdata/official/basis"
	officialeverything "github.com/seed-814fcd60/raftwire/gen/testdata/official/everything"
	officialraftpb "github.com/seed-814fcd60/raftwire/gen/testdata/official/raftpb"
)

// twin is a type of ours and the one that the official compiler generated from the same definition.
type twin struct {
	name     string
	ours     func() codec.Message
	official func() thrift.TStruct
}

func pair[O any, T any, PO interface {
	*O
	codec.Message
}, PT interface {
	*T
	thrift.TStruct
}](name string) twin {
	return twin{name, func() codec.Message { return PO(new(O)) }, func() thrift.TStruct { return PT(new(T)) }}
}

// raftpbTypes are all messages of raft.thrift.
func raftpbTypes() []twin {
	return []twin{
		pair[raftpb.Payload, officialraftpb.Payload]("raftpb.Payload"),
		pair[raftpb.SessionLimits, officialraftpb.SessionLimits]("raftpb.SessionLimits"),
		pair[raftpb.SessionChange, officialraftpb.SessionChange]("raftpb.SessionChange"),
		pair[raftpb.SessionRecord, officialraftpb.SessionRecord]("raftpb.SessionRecord"),
		pair[raftpb.SessionState, officialraftpb.SessionState]("raftpb.SessionState"),
		pair[raftpb.SessionTable, officialraftpb.SessionTable]("raftpb.SessionTable"),
		pair[raftpb.Entry, officialraftpb.Entry]("raftpb.Entry"),
		pair[raftpb.Member, officialraftpb.Member]("raftpb.Member"),
		pair[raftpb.Configuration, officialraftpb.Configuration]("raftpb.Configuration"),
		pair[raftpb.VoteRequest, officialraftpb.VoteRequest]("raftpb.VoteRequest"),
		pair[raftpb.VoteResponse, officialraftpb.VoteResponse]("raftpb.VoteResponse"),
		pair[raftpb.AppendRequest, officialraftpb.AppendRequest]("raftpb.AppendRequest"),
		pair[raftpb.AppendResponse, officialraftpb.AppendResponse]("raftpb.AppendResponse"),
		pair[raftpb.Beat, officialraftpb.Beat]("raftpb.Beat"),
		pair[raftpb.HeartbeatRequest, officialraftpb.HeartbeatRequest]("raftpb.HeartbeatRequest"),
		pair[raftpb.BeatAck, officialraftpb.BeatAck]("raftpb.BeatAck"),
		pair[raftpb.HeartbeatResponse, officialraftpb.HeartbeatResponse]("raftpb.HeartbeatResponse"),
		pair[raftpb.SnapshotMeta, officialraftpb.SnapshotMeta]("raftpb.SnapshotMeta"),
		pair[raftpb.SnapshotChunk, officialraftpb.SnapshotChunk]("raftpb.SnapshotChunk"),
		pair[raftpb.SnapshotAck, officialraftpb.SnapshotAck]("raftpb.SnapshotAck"),
		pair[raftpb.ReadSnapshotRequest, officialraftpb.ReadSnapshotRequest]("raftpb.ReadSnapshotRequest"),
		pair[raftpb.ReadSnapshotResponse, officialraftpb.ReadSnapshotResponse]("raftpb.ReadSnapshotResponse"),
		pair[raftpb.FetchRequest, officialraftpb.FetchRequest]("raftpb.FetchRequest"),
		pair[raftpb.FetchResponse, officialraftpb.FetchResponse]("raftpb.FetchResponse"),
		pair[raftpb.TimeoutNowRequest, officialraftpb.TimeoutNowRequest]("raftpb.TimeoutNowRequest"),
		pair[raftpb.TimeoutNowResponse, officialraftpb.TimeoutNowResponse]("raftpb.TimeoutNowResponse"),
		pair[raftpb.ReadIndexRequest, officialraftpb.ReadIndexRequest]("raftpb.ReadIndexRequest"),
		pair[raftpb.ReadIndexResponse, officialraftpb.ReadIndexResponse]("raftpb.ReadIndexResponse"),
		pair[raftpb.GoodbyeRequest, officialraftpb.GoodbyeRequest]("raftpb.GoodbyeRequest"),
		pair[raftpb.Hello, officialraftpb.Hello]("raftpb.Hello"),
		pair[raftpb.ProposeRequest, officialraftpb.ProposeRequest]("raftpb.ProposeRequest"),
		pair[raftpb.ProposeResponse, officialraftpb.ProposeResponse]("raftpb.ProposeResponse"),
		pair[raftpb.OpenSessionRequest, officialraftpb.OpenSessionRequest]("raftpb.OpenSessionRequest"),
		pair[raftpb.OpenSessionResponse, officialraftpb.OpenSessionResponse]("raftpb.OpenSessionResponse"),
		pair[raftpb.CloseSessionRequest, officialraftpb.CloseSessionRequest]("raftpb.CloseSessionRequest"),
		pair[raftpb.CloseSessionResponse, officialraftpb.CloseSessionResponse]("raftpb.CloseSessionResponse"),
		pair[raftpb.ReadRequest, officialraftpb.ReadRequest]("raftpb.ReadRequest"),
		pair[raftpb.ReadResponse, officialraftpb.ReadResponse]("raftpb.ReadResponse"),
		pair[raftpb.StatusRequest, officialraftpb.StatusRequest]("raftpb.StatusRequest"),
		pair[raftpb.Progress, officialraftpb.Progress]("raftpb.Progress"),
		pair[raftpb.Counter, officialraftpb.Counter]("raftpb.Counter"),
		pair[raftpb.StatusResponse, officialraftpb.StatusResponse]("raftpb.StatusResponse"),
		pair[raftpb.Change, officialraftpb.Change]("raftpb.Change"),
		pair[raftpb.ChangeRequest, officialraftpb.ChangeRequest]("raftpb.ChangeRequest"),
		pair[raftpb.ChangeResponse, officialraftpb.ChangeResponse]("raftpb.ChangeResponse"),
		pair[raftpb.PlanStep, officialraftpb.PlanStep]("raftpb.PlanStep"),
		pair[raftpb.PlanResponse, officialraftpb.PlanResponse]("raftpb.PlanResponse"),
		pair[raftpb.TransferRequest, officialraftpb.TransferRequest]("raftpb.TransferRequest"),
		pair[raftpb.TransferResponse, officialraftpb.TransferResponse]("raftpb.TransferResponse"),
		pair[raftpb.SnapshotRequest, officialraftpb.SnapshotRequest]("raftpb.SnapshotRequest"),
		pair[raftpb.SnapshotResponse, officialraftpb.SnapshotResponse]("raftpb.SnapshotResponse"),
		pair[raftpb.HashRequest, officialraftpb.HashRequest]("raftpb.HashRequest"),
		pair[raftpb.HashResponse, officialraftpb.HashResponse]("raftpb.HashResponse"),
		pair[raftpb.WhyRequest, officialraftpb.WhyRequest]("raftpb.WhyRequest"),
		pair[raftpb.WhyResponse, officialraftpb.WhyResponse]("raftpb.WhyResponse"),
		pair[raftpb.NotLeader, officialraftpb.NotLeader]("raftpb.NotLeader"),
		pair[raftpb.NoSuchGroup, officialraftpb.NoSuchGroup]("raftpb.NoSuchGroup"),
		pair[raftpb.Unavailable, officialraftpb.Unavailable]("raftpb.Unavailable"),
		pair[raftpb.Rejected, officialraftpb.Rejected]("raftpb.Rejected"),
	}
}

// raftpbCalls are the arguments and results of all methods of raft.thrift.
func raftpbCalls() []twin {
	return []twin{
		pair[raftpb.RaftPeerHandshakeArgs, officialraftpb.RaftPeerHandshakeArgs]("raftpb.RaftPeerHandshakeArgs"),
		pair[raftpb.RaftPeerHandshakeResult, officialraftpb.RaftPeerHandshakeResult]("raftpb.RaftPeerHandshakeResult"),
		pair[raftpb.RaftPeerVoteArgs, officialraftpb.RaftPeerVoteArgs]("raftpb.RaftPeerVoteArgs"),
		pair[raftpb.RaftPeerVoteResult, officialraftpb.RaftPeerVoteResult]("raftpb.RaftPeerVoteResult"),
		pair[raftpb.RaftPeerAppendArgs, officialraftpb.RaftPeerAppendArgs]("raftpb.RaftPeerAppendArgs"),
		pair[raftpb.RaftPeerAppendResult, officialraftpb.RaftPeerAppendResult]("raftpb.RaftPeerAppendResult"),
		pair[raftpb.RaftPeerHeartbeatArgs, officialraftpb.RaftPeerHeartbeatArgs]("raftpb.RaftPeerHeartbeatArgs"),
		pair[raftpb.RaftPeerHeartbeatResult, officialraftpb.RaftPeerHeartbeatResult]("raftpb.RaftPeerHeartbeatResult"),
		pair[raftpb.RaftPeerInstallSnapshotArgs, officialraftpb.RaftPeerInstallSnapshotArgs]("raftpb.RaftPeerInstallSnapshotArgs"),
		pair[raftpb.RaftPeerInstallSnapshotResult, officialraftpb.RaftPeerInstallSnapshotResult]("raftpb.RaftPeerInstallSnapshotResult"),
		pair[raftpb.RaftPeerTimeoutNowArgs, officialraftpb.RaftPeerTimeoutNowArgs]("raftpb.RaftPeerTimeoutNowArgs"),
		pair[raftpb.RaftPeerTimeoutNowResult, officialraftpb.RaftPeerTimeoutNowResult]("raftpb.RaftPeerTimeoutNowResult"),
		pair[raftpb.RaftPeerReadIndexArgs, officialraftpb.RaftPeerReadIndexArgs]("raftpb.RaftPeerReadIndexArgs"),
		pair[raftpb.RaftPeerReadIndexResult, officialraftpb.RaftPeerReadIndexResult]("raftpb.RaftPeerReadIndexResult"),
		pair[raftpb.RaftPeerFetchArgs, officialraftpb.RaftPeerFetchArgs]("raftpb.RaftPeerFetchArgs"),
		pair[raftpb.RaftPeerFetchResult, officialraftpb.RaftPeerFetchResult]("raftpb.RaftPeerFetchResult"),
		pair[raftpb.RaftPeerGoodbyeArgs, officialraftpb.RaftPeerGoodbyeArgs]("raftpb.RaftPeerGoodbyeArgs"),
		pair[raftpb.RaftPeerReadSnapshotArgs, officialraftpb.RaftPeerReadSnapshotArgs]("raftpb.RaftPeerReadSnapshotArgs"),
		pair[raftpb.RaftPeerReadSnapshotResult, officialraftpb.RaftPeerReadSnapshotResult]("raftpb.RaftPeerReadSnapshotResult"),
		pair[raftpb.RaftClientProposeArgs, officialraftpb.RaftClientProposeArgs]("raftpb.RaftClientProposeArgs"),
		pair[raftpb.RaftClientProposeResult, officialraftpb.RaftClientProposeResult]("raftpb.RaftClientProposeResult"),
		pair[raftpb.RaftClientReadArgs, officialraftpb.RaftClientReadArgs]("raftpb.RaftClientReadArgs"),
		pair[raftpb.RaftClientReadResult, officialraftpb.RaftClientReadResult]("raftpb.RaftClientReadResult"),
		pair[raftpb.RaftClientOpenSessionArgs, officialraftpb.RaftClientOpenSessionArgs]("raftpb.RaftClientOpenSessionArgs"),
		pair[raftpb.RaftClientOpenSessionResult, officialraftpb.RaftClientOpenSessionResult]("raftpb.RaftClientOpenSessionResult"),
		pair[raftpb.RaftClientCloseSessionArgs, officialraftpb.RaftClientCloseSessionArgs]("raftpb.RaftClientCloseSessionArgs"),
		pair[raftpb.RaftClientCloseSessionResult, officialraftpb.RaftClientCloseSessionResult]("raftpb.RaftClientCloseSessionResult"),
		pair[raftpb.RaftClientStatusArgs, officialraftpb.RaftClientStatusArgs]("raftpb.RaftClientStatusArgs"),
		pair[raftpb.RaftClientStatusResult, officialraftpb.RaftClientStatusResult]("raftpb.RaftClientStatusResult"),
		pair[raftpb.RaftAdminChangeMembershipArgs, officialraftpb.RaftAdminChangeMembershipArgs]("raftpb.RaftAdminChangeMembershipArgs"),
		pair[raftpb.RaftAdminChangeMembershipResult, officialraftpb.RaftAdminChangeMembershipResult]("raftpb.RaftAdminChangeMembershipResult"),
		pair[raftpb.RaftAdminPlanChangeArgs, officialraftpb.RaftAdminPlanChangeArgs]("raftpb.RaftAdminPlanChangeArgs"),
		pair[raftpb.RaftAdminPlanChangeResult, officialraftpb.RaftAdminPlanChangeResult]("raftpb.RaftAdminPlanChangeResult"),
		pair[raftpb.RaftAdminTransferLeadershipArgs, officialraftpb.RaftAdminTransferLeadershipArgs]("raftpb.RaftAdminTransferLeadershipArgs"),
		pair[raftpb.RaftAdminTransferLeadershipResult, officialraftpb.RaftAdminTransferLeadershipResult]("raftpb.RaftAdminTransferLeadershipResult"),
		pair[raftpb.RaftAdminSnapshotArgs, officialraftpb.RaftAdminSnapshotArgs]("raftpb.RaftAdminSnapshotArgs"),
		pair[raftpb.RaftAdminSnapshotResult, officialraftpb.RaftAdminSnapshotResult]("raftpb.RaftAdminSnapshotResult"),
		pair[raftpb.RaftAdminHashArgs, officialraftpb.RaftAdminHashArgs]("raftpb.RaftAdminHashArgs"),
		pair[raftpb.RaftAdminHashResult, officialraftpb.RaftAdminHashResult]("raftpb.RaftAdminHashResult"),
		pair[raftpb.RaftAdminWhyArgs, officialraftpb.RaftAdminWhyArgs]("raftpb.RaftAdminWhyArgs"),
		pair[raftpb.RaftAdminWhyResult, officialraftpb.RaftAdminWhyResult]("raftpb.RaftAdminWhyResult"),
	}
}

// everythingTypes are all types of everything.thrift.
func everythingTypes() []twin {
	return []twin{
		pair[everything.Scalars, officialeverything.Scalars]("everything.Scalars"),
		pair[everything.Strict, officialeverything.Strict]("everything.Strict"),
		pair[everything.Defaults, officialeverything.Defaults]("everything.Defaults"),
		pair[everything.Containers, officialeverything.Containers]("everything.Containers"),
		pair[everything.Choice, officialeverything.Choice]("everything.Choice"),
		pair[everything.Tree, officialeverything.Tree]("everything.Tree"),
		pair[everything.Sparse, officialeverything.Sparse]("everything.Sparse"),
		pair[everything.Gaps, officialeverything.Gaps]("everything.Gaps"),
		pair[everything.Choices, officialeverything.Choices]("everything.Choices"),
		pair[everything.Costly, officialeverything.Costly]("everything.Costly"),
		pair[everything.Empty, officialeverything.Empty]("everything.Empty"),
		pair[everything.Words, officialeverything.Words]("everything.Words"),
		pair[everything.Limited, officialeverything.Limited]("everything.Limited"),
		pair[everything.Older, officialeverything.Older]("everything.Older"),
		pair[everything.Evolved, officialeverything.Evolved]("everything.Evolved"),
		pair[everything.Odd, officialeverything.Odd]("everything.Odd"),
		pair[everything.EverythingOneArgs, officialeverything.EverythingOneArgs]("everything.EverythingOneArgs"),
		pair[everything.EverythingOneResult, officialeverything.EverythingOneResult]("everything.EverythingOneResult"),
		pair[everything.EverythingSumArgs, officialeverything.EverythingSumArgs]("everything.EverythingSumArgs"),
		pair[everything.EverythingSumResult, officialeverything.EverythingSumResult]("everything.EverythingSumResult"),
		pair[everything.EverythingNamesArgs, officialeverything.EverythingNamesArgs]("everything.EverythingNamesArgs"),
		pair[everything.EverythingNamesResult, officialeverything.EverythingNamesResult]("everything.EverythingNamesResult"),
		pair[everything.EverythingNothingArgs, officialeverything.EverythingNothingArgs]("everything.EverythingNothingArgs"),
		pair[everything.EverythingNothingResult, officialeverything.EverythingNothingResult]("everything.EverythingNothingResult"),
		pair[everything.EverythingForgetArgs, officialeverything.EverythingForgetArgs]("everything.EverythingForgetArgs"),
		pair[everything.EverythingCountsArgs, officialeverything.EverythingCountsArgs]("everything.EverythingCountsArgs"),
		pair[everything.EverythingCountsResult, officialeverything.EverythingCountsResult]("everything.EverythingCountsResult"),
		pair[everything.EverythingRawArgs, officialeverything.EverythingRawArgs]("everything.EverythingRawArgs"),
		pair[everything.EverythingRawResult, officialeverything.EverythingRawResult]("everything.EverythingRawResult"),
		pair[everything.EverythingSizeArgs, officialeverything.EverythingSizeArgs]("everything.EverythingSizeArgs"),
		pair[everything.EverythingSizeResult, officialeverything.EverythingSizeResult]("everything.EverythingSizeResult"),
	}
}

// basisTypes are all types of basis.thrift.
func basisTypes() []twin {
	return []twin{
		pair[basis.Point, officialbasis.Point]("basis.Point"),
		pair[basis.Broken, officialbasis.Broken]("basis.Broken"),
		pair[basis.BaseEchoArgs, officialbasis.BaseEchoArgs]("basis.BaseEchoArgs"),
		pair[basis.BaseEchoResult, officialbasis.BaseEchoResult]("basis.BaseEchoResult"),
		pair[basis.BasePingArgs, officialbasis.BasePingArgs]("basis.BasePingArgs"),
		pair[basis.BasePingResult, officialbasis.BasePingResult]("basis.BasePingResult"),
	}
}
