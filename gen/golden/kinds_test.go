package golden_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	theirs "github.com/seed-814fcd60/raftwire/gen/testdata/official/raftpb"
)

// kind is a type of raft.thrift: ours, and the official compiler's.
type kind struct {
	name     string // as in the IDL
	ours     func() codec.Message
	official func() thrift.TStruct
}

func pair[O any, T any, PO interface {
	*O
	codec.Message
}, PT interface {
	*T
	thrift.TStruct
}](name string) kind {
	return kind{name, func() codec.Message { return PO(new(O)) }, func() thrift.TStruct { return PT(new(T)) }}
}

// kinds are all structs and exceptions of raft.thrift.
func kinds() []kind {
	return []kind{
		pair[raftpb.Payload, theirs.Payload]("Payload"),
		pair[raftpb.Entry, theirs.Entry]("Entry"),
		pair[raftpb.SessionChange, theirs.SessionChange]("SessionChange"),
		pair[raftpb.SessionLimits, theirs.SessionLimits]("SessionLimits"),
		pair[raftpb.SessionState, theirs.SessionState]("SessionState"),
		pair[raftpb.SessionRecord, theirs.SessionRecord]("SessionRecord"),
		pair[raftpb.SessionTable, theirs.SessionTable]("SessionTable"),
		pair[raftpb.Member, theirs.Member]("Member"),
		pair[raftpb.Configuration, theirs.Configuration]("Configuration"),
		pair[raftpb.VoteRequest, theirs.VoteRequest]("VoteRequest"),
		pair[raftpb.VoteResponse, theirs.VoteResponse]("VoteResponse"),
		pair[raftpb.AppendRequest, theirs.AppendRequest]("AppendRequest"),
		pair[raftpb.AppendResponse, theirs.AppendResponse]("AppendResponse"),
		pair[raftpb.Beat, theirs.Beat]("Beat"),
		pair[raftpb.HeartbeatRequest, theirs.HeartbeatRequest]("HeartbeatRequest"),
		pair[raftpb.BeatAck, theirs.BeatAck]("BeatAck"),
		pair[raftpb.HeartbeatResponse, theirs.HeartbeatResponse]("HeartbeatResponse"),
		pair[raftpb.SnapshotMeta, theirs.SnapshotMeta]("SnapshotMeta"),
		pair[raftpb.SnapshotChunk, theirs.SnapshotChunk]("SnapshotChunk"),
		pair[raftpb.SnapshotAck, theirs.SnapshotAck]("SnapshotAck"),
		pair[raftpb.ReadSnapshotRequest, theirs.ReadSnapshotRequest]("ReadSnapshotRequest"),
		pair[raftpb.ReadSnapshotResponse, theirs.ReadSnapshotResponse]("ReadSnapshotResponse"),
		pair[raftpb.FetchRequest, theirs.FetchRequest]("FetchRequest"),
		pair[raftpb.FetchResponse, theirs.FetchResponse]("FetchResponse"),
		pair[raftpb.TimeoutNowRequest, theirs.TimeoutNowRequest]("TimeoutNowRequest"),
		pair[raftpb.TimeoutNowResponse, theirs.TimeoutNowResponse]("TimeoutNowResponse"),
		pair[raftpb.ReadIndexRequest, theirs.ReadIndexRequest]("ReadIndexRequest"),
		pair[raftpb.ReadIndexResponse, theirs.ReadIndexResponse]("ReadIndexResponse"),
		pair[raftpb.GoodbyeRequest, theirs.GoodbyeRequest]("GoodbyeRequest"),
		pair[raftpb.Hello, theirs.Hello]("Hello"),
		pair[raftpb.ProposeRequest, theirs.ProposeRequest]("ProposeRequest"),
		pair[raftpb.ProposeResponse, theirs.ProposeResponse]("ProposeResponse"),
		pair[raftpb.OpenSessionRequest, theirs.OpenSessionRequest]("OpenSessionRequest"),
		pair[raftpb.OpenSessionResponse, theirs.OpenSessionResponse]("OpenSessionResponse"),
		pair[raftpb.CloseSessionRequest, theirs.CloseSessionRequest]("CloseSessionRequest"),
		pair[raftpb.CloseSessionResponse, theirs.CloseSessionResponse]("CloseSessionResponse"),
		pair[raftpb.ReadRequest, theirs.ReadRequest]("ReadRequest"),
		pair[raftpb.ReadResponse, theirs.ReadResponse]("ReadResponse"),
		pair[raftpb.StatusRequest, theirs.StatusRequest]("StatusRequest"),
		pair[raftpb.Progress, theirs.Progress]("Progress"),
		pair[raftpb.Counter, theirs.Counter]("Counter"),
		pair[raftpb.StatusResponse, theirs.StatusResponse]("StatusResponse"),
		pair[raftpb.Change, theirs.Change]("Change"),
		pair[raftpb.ChangeRequest, theirs.ChangeRequest]("ChangeRequest"),
		pair[raftpb.ChangeResponse, theirs.ChangeResponse]("ChangeResponse"),
		pair[raftpb.PlanStep, theirs.PlanStep]("PlanStep"),
		pair[raftpb.PlanResponse, theirs.PlanResponse]("PlanResponse"),
		pair[raftpb.TransferRequest, theirs.TransferRequest]("TransferRequest"),
		pair[raftpb.TransferResponse, theirs.TransferResponse]("TransferResponse"),
		pair[raftpb.SnapshotRequest, theirs.SnapshotRequest]("SnapshotRequest"),
		pair[raftpb.SnapshotResponse, theirs.SnapshotResponse]("SnapshotResponse"),
		pair[raftpb.HashRequest, theirs.HashRequest]("HashRequest"),
		pair[raftpb.HashResponse, theirs.HashResponse]("HashResponse"),
		pair[raftpb.WhyRequest, theirs.WhyRequest]("WhyRequest"),
		pair[raftpb.WhyResponse, theirs.WhyResponse]("WhyResponse"),
		pair[raftpb.NotLeader, theirs.NotLeader]("NotLeader"),
		pair[raftpb.NoSuchGroup, theirs.NoSuchGroup]("NoSuchGroup"),
		pair[raftpb.Unavailable, theirs.Unavailable]("Unavailable"),
		pair[raftpb.Rejected, theirs.Rejected]("Rejected"),
	}
}

// TestKindsAreComplete finds a struct of raft.thrift that has no vectors.
func TestKindsAreComplete(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../raftpb/raft_gen.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			if s := spec.(*ast.TypeSpec); isStruct(s) {
				want = append(want, s.Name.Name)
			}
		}
	}
	for _, k := range kinds() {
		got = append(got, k.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("structs of raft.thrift:\n%v\nwith vectors:\n%v", want, got)
	}
}

func isStruct(s *ast.TypeSpec) bool {
	_, ok := s.Type.(*ast.StructType)
	return ok
}
