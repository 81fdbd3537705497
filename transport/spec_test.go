package transport

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The examples of docs/spec/wire.md are what this package writes, byte for byte, and all
// of them. A failure prints the section as it should be.
func TestSpecExamples(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, e := range specExamples() {
		fmt.Fprintf(&want, "%s\n\n```\n%s```\n\n", e.title, hexLines(e.frame))
	}
	_, section, found := strings.Cut(string(page), "dials node 2.\n\n")
	if !found || strings.TrimSpace(section) != strings.TrimSpace(want.String()) {
		t.Errorf("the examples should read:\n%s", want.String())
	}
}

// The examples are accepted by the parsers a connection has.
func TestSpecExamplesParse(t *testing.T) {
	for _, e := range specExamples() {
		p, size, err := sniff(e.frame, 1<<20)
		if err != nil || size != len(e.frame) {
			t.Errorf("%s: size %d of %d, %v", e.title, size, len(e.frame), err)
			continue
		}
		if p == protoNative {
			_, _, err = openFrame(e.frame)
		} else {
			_, _, err = parseEnvelope(e.frame[lengthBytes:], p)
		}
		if err != nil {
			t.Errorf("%s: %v", e.title, err)
		}
	}
}

type specExample struct {
	title string
	frame []byte
}

func specExamples() []specExample {
	hello := &raftpb.Hello{
		Version: 1, Cluster: "demo", Node: 1, Target: 2, Codecs: []raftpb.Codec{raftpb.CodecThriftCompact, raftpb.CodecMsgpack},
		MaxFrame: raftpb.MaxFrameBytes, Features: featureNative, Software: "x", Incarnation: 5,
	}
	answer := &raftpb.Hello{
		Version: 1, Cluster: "demo", Node: 2, Codecs: []raftpb.Codec{raftpb.CodecThriftCompact},
		MaxFrame: raftpb.MaxFrameBytes, Features: featureNative, Software: "x", Incarnation: 6,
	}
	rejected := &raftpb.Rejected{Code: raftpb.RejectCodeWrongCluster, Reason: "no"}
	vote := &raftpb.VoteRequest{Group: 1, Term: 7, Candidate: 1, LastIndex: 300, LastTerm: 6, PreVote: true}
	granted := &raftpb.VoteResponse{Group: 1, Term: 7, Granted: true, PreVote: true, AskedTerm: 7}
	propose := &raftpb.ProposeRequest{Group: 1, Command: []byte("set x 1"), TimeoutMs: 1000}
	done := &raftpb.ProposeResponse{Group: 1, Index: 301, Term: 7, Result: []byte("ok")}
	noGroup := &raftpb.RaftPeerVoteResult{NoGroup: &raftpb.NoSuchGroup{Group: 1}}
	return []specExample{
		{"Handshake, call in Compact, seqid 1:", specThrift(protoCompact, messageCall, "Handshake", 1, &raftpb.RaftPeerHandshakeArgs{Req: hello})},
		{"Its answer:", specThrift(protoCompact, messageReply, "Handshake", 1, &raftpb.RaftPeerHandshakeResult{Return: answer})},
		{"Its refusal:", specThrift(protoCompact, messageReply, "Handshake", 1, &raftpb.RaftPeerHandshakeResult{Rejected: rejected})},
		{"Vote, native call in Compact, seq 2:", specNative(kindCall, codec.IDCompact, 2, vote.AppendCompact)},
		{"Its reply:", specNative(kindReply, codec.IDCompact, 2, granted.AppendCompact)},
		{"The same call in msgpack, seq 3:", specNative(kindCall, codec.IDMsgpack, 3, vote.AppendMsgpack)},
		{"Its answer with the declared exception NoSuchGroup, in msgpack:", specNative(kindException, codec.IDMsgpack, 3, noGroup.AppendMsgpack)},
		{"An error frame, type 64 (busy), in answer to seq 2:", specNative(kindError, codec.IDCompact, 2, func(b []byte) []byte { return append(b, "\x00\x00\x00\x40later"...) })},
		{"Propose, call of a client in Compact, seqid 9:", specThrift(protoCompact, messageCall, "Propose", 9, &raftpb.RaftClientProposeArgs{Req: propose})},
		{"Its answer:", specThrift(protoCompact, messageReply, "Propose", 9, &raftpb.RaftClientProposeResult{Return: done})},
		{"The same call in strict Binary, seqid 0:", specThrift(protoBinary, messageCall, "Propose", 0, &raftpb.RaftClientProposeArgs{Req: propose})},
		{"Its answer by a TApplicationException of type 6 (internal error), in Binary:", specError(protoBinary, "Propose", 0)},
	}
}

func specThrift(p protocol, typ messageType, name string, seq uint32, m codec.Message) []byte {
	f := frame{b: append(appendEnvelope(make([]byte, lengthBytes), p, typ, name, seq), appendMessage(p, m)...)}
	f.seal()
	return f.b
}

func specError(p protocol, name string, seq uint32) []byte {
	f := frame{b: appendEnvelope(make([]byte, lengthBytes), p, messageException, name, seq)}
	f.b = appendRemoteError(f.b, p, &RemoteError{Type: RemoteInternal, Message: "oops"})
	f.seal()
	return f.b
}

func specNative(k frameKind, id uint8, seq uint32, body func([]byte) []byte) []byte {
	f := frame{b: body(make([]byte, headerBytes)), head: header{kind: k, codec: id, lane: LaneControl, method: raftpb.RaftPeerVote.ID, seq: seq}}
	f.seal()
	return f.b
}

// hexLines prints 16 bytes to a line, in groups of four, with the text beside.
func hexLines(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(16, len(b))
		var line string
		for i := 0; i < n; i += 4 {
			line += hex.EncodeToString(b[i:min(i+4, n)]) + " "
		}
		text := bytes.Map(func(r rune) rune {
			if r < 0x20 || r > 0x7e {
				return '.'
			}
			return r
		}, latin(b[:n]))
		out.WriteString(strings.TrimRight(fmt.Sprintf("%-36s  %s", line, text), " ") + "\n")
		b = b[n:]
	}
	return out.String()
}

// latin makes each byte one rune.
func latin(b []byte) []byte {
	var out []byte
	for _, c := range b {
		out = append(out, string(rune(c))...)
	}
	return out
}
