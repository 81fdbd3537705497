package gen_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	v5 "github.com/vmihailenco/msgpack/v5"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/codec/codectest/modern"
	"github.com/seed-814fcd60/raftwire/codec/msgpack"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// targets are the messages that fuzzing decodes; the first byte of an input chooses one.
func targets() []codec.Message {
	return []codec.Message{
		new(raftpb.AppendRequest), new(raftpb.HeartbeatRequest), new(raftpb.SnapshotChunk), new(raftpb.StatusResponse),
		new(raftpb.RaftClientProposeResult), new(everything.Evolved), new(everything.Containers), new(everything.Sparse),
		new(everything.Strict), new(modern.Keys), new(everything.Limited), new(everything.Empty),
		new(modern.Hot),
	}
}

func target(data []byte) (codec.Message, []byte) {
	if len(data) == 0 {
		return new(raftpb.AppendRequest), nil
	}
	all := targets()
	return all[int(data[0])%len(all)], data[1:]
}

// seeds adds random messages of every target.
func seeds(f *testing.F, appendTo func(codec.Message, []byte) []byte) {
	r := rand.New(rand.NewPCG(7, 7))
	for i, m := range targets() {
		for range 3 {
			codectest.Fill(r, m)
			f.Add(appendTo(m, []byte{byte(i)}))
		}
	}
}

func kindOf(err error) codec.Kind {
	if e, ok := errors.AsType[*codec.Error](err); ok {
		return e.Kind
	}
	return ""
}

// fuzzThrift compares the direct functions of a Thrift protocol with the official library reading the same bytes: both
// accept or both refuse, take the same bytes, and mean the same value. Only our limits on depth and memory are our own.
func fuzzThrift(f *testing.F, w wire) {
	seeds(f, w.append)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, b := target(data)
		l := &codec.Limits{MaxAlloc: 64*len(b) + 1<<16}
		var n int
		var err error
		if w.name == "compact" {
			n, err = m.ParseCompact(b, l)
		} else {
			n, err = m.ParseBinary(b, l)
		}
		if k := kindOf(err); k == codec.TooDeep || k == codec.TooMuch {
			return
		}
		official := target0(data)
		in := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(bytes.Clone(b))}
		officialErr := official.Read(context.Background(), w.protocol(in))
		if (err == nil) != (officialErr == nil) {
			t.Fatalf("%T from %x\ndirect:   %v\nofficial: %v", m, b, err, officialErr)
		}
		if err != nil {
			return
		}
		if n != len(b)-in.Len() {
			t.Fatalf("%T from %x: %d bytes, official %d", m, b, n, len(b)-in.Len())
		}
		again := w.append(m, nil)
		if theirs := w.append(official, nil); !bytes.Equal(again, theirs) {
			t.Fatalf("%T from %x\ndirect   %x\nofficial %x", m, b, again, theirs)
		}
		stable(t, m, again, func(m codec.Message, b []byte) (int, error) { return w.parse(m, b) }, w.append)
	})
}

func target0(data []byte) codec.Message {
	m, _ := target(data)
	return m
}

// stable checks that what was encoded decodes to what encodes the same.
func stable(t *testing.T, m codec.Message, b []byte, parse func(codec.Message, []byte) (int, error), appendTo func(codec.Message, []byte) []byte) {
	t.Helper()
	if n, err := parse(m, b); err != nil || n != len(b) {
		t.Fatalf("%T: own encoding %x: %d bytes, %v", m, b, n, err)
	}
	if again := appendTo(m, nil); !bytes.Equal(again, b) {
		t.Fatalf("%T: encoded\n%x, then\n%x", m, b, again)
	}
}

func FuzzCompact(f *testing.F) { fuzzThrift(f, wires()[0]) }

func FuzzBinary(f *testing.F) { fuzzThrift(f, wires()[1]) }

// FuzzMsgpack decodes messages; what is accepted must be well-formed msgpack and encode stably.
func FuzzMsgpack(f *testing.F) {
	seeds(f, codec.Message.AppendMsgpack)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, b := target(data)
		l := &codec.Limits{MaxAlloc: 64*len(b) + 1<<16}
		n, err := m.ParseMsgpack(b, l)
		if err != nil {
			if kindOf(err) == "" {
				t.Fatalf("%T is no *codec.Error: %v", err, err)
			}
			return
		}
		if size, err := msgpack.Validate(b[:n], l); err != nil || size != n {
			t.Fatalf("%T accepts %x, which is not one value: %d of %d, %v", m, b[:n], size, n, err)
		}
		parse := func(m codec.Message, b []byte) (int, error) { return m.ParseMsgpack(b, roomy()) }
		stable(t, m, m.AppendMsgpack(nil), parse, codec.Message.AppendMsgpack)
	})
}

// FuzzMsgpackSkip compares the validator with v5 skipping the same bytes: same verdict, same length.
func FuzzMsgpackSkip(f *testing.F) {
	seeds(f, codec.Message.AppendMsgpack)
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := msgpack.Validate(data, nil)
		if k := kindOf(err); k == codec.TooDeep {
			return // v5 has no limit
		}
		r := bytes.NewReader(data)
		skipErr := v5.NewDecoder(r).Skip()
		if (err == nil) != (skipErr == nil) {
			t.Fatalf("%x\nours: %v\nv5:   %v", data, err, skipErr)
		}
		if err == nil && n != len(data)-r.Len() {
			t.Fatalf("%x: %d bytes, v5 %d", data, n, len(data)-r.Len())
		}
	})
}

// FuzzSkip compares skipping with the official library's: a message without fields skips all it is given.
func FuzzSkip(f *testing.F) {
	for _, w := range wires() {
		seeds(f, w.append)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, w := range wires() {
			var m, official everything.Empty
			n, err := w.parse(&m, data)
			in := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(bytes.Clone(data))}
			officialErr := official.Read(context.Background(), w.protocol(in))
			if kindOf(err) == codec.TooDeep {
				continue
			}
			if (err == nil) != (officialErr == nil) || err == nil && n != len(data)-in.Len() {
				t.Fatalf("%s %x\ndirect:   %d, %v\nofficial: %d, %v", w.name, data, n, err, len(data)-in.Len(), officialErr)
			}
		}
	})
}
