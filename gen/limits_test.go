package gen_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestErrors lists what decoders say of bad bytes: the kind, the place in the message and the byte.
func TestErrors(t *testing.T) {
	deep := strings.Repeat("1c", 70) // field 1 of type struct, again and again
	cases := []struct {
		name, codec, hex string
		m                codec.Message
		want             string
	}{
		{"nothing", "thrift-compact", "", new(raftpb.Entry), "Entry at byte 0: bytes end inside a value"},
		{"no stop", "thrift-compact", "1602", new(raftpb.Entry), "Entry at byte 2: bytes end inside a value"},
		{"cut integer", "thrift-compact", "1680", new(raftpb.Entry), "Entry.term at byte 1: bytes end inside a value"},
		{"11 byte varint", "thrift-compact", "1680808080808080808080800100", new(raftpb.Entry), "Entry.term at byte 1: integer longer than its type allows"},
		{"cut body", "thrift-compact", "3805aabb", new(raftpb.Entry), "Entry.body at byte 2: bytes end inside a value"},
		{"negative length", "thrift-compact", "38ffffffff0f00", new(raftpb.Entry), "Entry.body at byte 6: bytes end inside a value"},
		{"entry 1 of 2", "thrift-compact", "792c16020016", new(raftpb.AppendRequest), "AppendRequest.entries[1].term at byte 6: bytes end inside a value"},
		{"more entries than bytes", "thrift-compact", "79fcffffffff0700", new(raftpb.AppendRequest), "AppendRequest.entries at byte 7: length or count over the limit"},
		{"list of integers for structs", "thrift-compact", "791600", new(raftpb.AppendRequest), "AppendRequest.entries at byte 2: wrong or unknown type"},
		{"unknown wire type", "thrift-compact", "1e00", new(raftpb.Entry), "Entry.term at byte 1: wrong or unknown type"},
		{"nested unknown field", "thrift-compact", deep, new(raftpb.Entry), "nested too deep"},
		{"text", "thrift-compact", "1802ff4100", new(raftpb.GoodbyeRequest), "GoodbyeRequest.reason at byte 4: text is not UTF-8"},
		{"trailing", "thrift-compact", "0000", new(raftpb.Entry), "at byte 1: bytes left over"},
		{"cut header", "thrift-binary", "0a00", new(raftpb.Entry), "Entry at byte 0: bytes end inside a value"},
		{"cut integer", "thrift-binary", "0a00010000", new(raftpb.Entry), "Entry.term at byte 3: bytes end inside a value"},
		{"negative length", "thrift-binary", "0b0003ffffffff00", new(raftpb.Entry), "Entry.body at byte 7: bytes end inside a value"},
		{"more entries than bytes", "thrift-binary", "0f00070c7fffffff00", new(raftpb.AppendRequest), "AppendRequest.entries at byte 8: length or count over the limit"},
		{"other elements", "thrift-binary", "0f000708000000010000000100", new(raftpb.AppendRequest), "AppendRequest.entries at byte 8: wrong or unknown type"},
		{"integer for array", "msgpack", "05", new(raftpb.Entry), "Entry at byte 1: wrong or unknown type"},
		{"text for integer", "msgpack", "91a161", new(raftpb.Entry), "Entry.term at byte 1: wrong or unknown type"},
		{"too large an integer", "msgpack", "9201cf0000000100000000", new(raftpb.Entry), "Entry.kind at byte 11: number out of range"},
		{"beyond 63 bits", "msgpack", "91cfffffffffffffffff", new(raftpb.Entry), "Entry.term at byte 1: number out of range"},
		{"cut array", "msgpack", "9201", new(raftpb.Entry), "Entry at byte 2: bytes end inside a value"},
		{"more entries than bytes", "msgpack", "97c0c0c0c0c0c0ddffffffff", new(raftpb.AppendRequest), "AppendRequest.entries at byte 12: length or count over the limit"},
		{"entry 1 of 2", "msgpack", "97c0c0c0c0c0c0929101c2", new(raftpb.AppendRequest), "AppendRequest.entries[1] at byte 11: wrong or unknown type"},
		{"nested unknown field", "msgpack", "96c0c0c0c0c0" + strings.Repeat("91", 70), new(raftpb.Entry), "nested too deep"},
		{"unused code", "msgpack", "96c0c0c0c0c0c1", new(raftpb.Entry), "wrong or unknown type"},
		{"annotation", "thrift-compact", "195502020202020" + "0", new(everything.Limited), "Limited.numbers at byte 2: length or count over the limit"},
		{"annotation", "msgpack", "92c0a9" + strings.Repeat("61", 9), new(everything.Limited), "Limited.text at byte 12: length or count over the limit"},
		{"two in a union", "thrift-compact", "1502180161" + "00", new(everything.Choice), "Choice at byte 6: a union holds exactly one field"},
		{"required", "thrift-compact", "1502" + "00", new(everything.Strict), "Strict.text at byte 3: a required field is missing"},
	}
	for _, c := range cases {
		t.Run(c.codec+"/"+c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			used, _ := codec.ByName(c.codec)
			err = used.Decode(b, c.m, nil)
			if _, ok := errors.AsType[*codec.Error](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestTruncated cuts messages of every type at every byte.
func TestTruncated(t *testing.T) {
	r := rand.New(rand.NewPCG(seed(t), 2))
	for _, tw := range append(raftpbTypes(), raftpbCalls()...) {
		for range 3 {
			m := tw.ours()
			codectest.Fill(r, m)
			for _, c := range directCodecs() {
				b, err := c.Append(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				for n := range b {
					if err := c.Decode(b[:n:n], tw.ours(), roomy()); err == nil {
						t.Fatalf("%s %s: %d of %d bytes accepted: %x", tw.name, c.Name(), n, len(b), b[:n])
					}
				}
			}
		}
	}
}

// TestBombs measures the memory that small inputs make decoders allocate: never more than 8 times the input, and 4 KiB.
func TestBombs(t *testing.T) {
	const size = 64 << 10
	zeros, ones := bytes.Repeat([]byte{0}, size), bytes.Repeat([]byte{0x90}, size)
	for name, bomb := range map[string]struct {
		codec string
		head  string
		fill  []byte
		m     codec.Message
	}{
		"compact entries":   {"thrift-compact", "79fc80f003", zeros, new(raftpb.AppendRequest)},
		"compact texts":     {"thrift-compact", "39f880f003", zeros, new(everything.Containers)},
		"compact scalars":   {"thrift-compact", "59fc80f003", zeros, new(everything.Containers)},
		"compact map":       {"thrift-compact", "9b80f00185", zeros, new(everything.Containers)},
		"compact no maps":   {"thrift-compact", "19fb80f003", zeros, new(everything.Costly)},
		"compact maps":      {"thrift-compact", "19fb80f001", repeated("01330101"), new(everything.Costly)},
		"compact again":     {"thrift-compact", "", repeated("0b0a00"), new(everything.Costly)},
		"compact defaults":  {"thrift-compact", "29fc80f003", zeros, new(everything.Costly)},
		"compact default":   {"thrift-compact", "", repeated("0c0600"), new(everything.Costly)},
		"compact pointers":  {"thrift-compact", "", repeated("0c0800"), new(everything.Costly)},
		"msgpack defaults":  {"msgpack", "92c0dd0000f000", ones, new(everything.Costly)},
		"binary entries":    {"thrift-binary", "0f00070c0000f000", zeros, new(raftpb.AppendRequest)},
		"binary scalars":    {"thrift-binary", "0f00050c0000f000", zeros, new(everything.Containers)},
		"msgpack entries":   {"msgpack", "97c0c0c0c0c0c0dd0000f000", ones, new(raftpb.AppendRequest)},
		"msgpack scalars":   {"msgpack", "95c0c0c0c0dd0000f000", ones, new(everything.Containers)},
		"msgpack long list": {"msgpack", "9fc0c0c0c0c0ddffffffff", ones, new(everything.Containers)},
	} {
		t.Run(name, func(t *testing.T) {
			head, err := hex.DecodeString(bomb.head)
			if err != nil {
				t.Fatal(err)
			}
			b := append(head, bomb.fill...)
			c, _ := codec.ByName(bomb.codec)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err = c.Decode(b, bomb.m, nil)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("accepted")
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 8*uint64(len(b))+16<<10 {
				t.Errorf("%d bytes made it allocate %d: %v", len(b), got, err)
			}
		})
	}
}

// repeated returns 64 KiB of a pattern given in hex.
func repeated(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes.Repeat(b, 64<<10/len(b))
}

// TestNoAllocations holds the hot path to it: encoding into a buffer with room, decoding into a message used before.
func TestNoAllocations(t *testing.T) {
	for name, m := range benchMessages() {
		for _, c := range directCodecs() {
			b, err := c.Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 0, len(b)+1024)
			if n := testing.AllocsPerRun(100, func() { buf, _ = c.Append(buf[:0], m) }); n != 0 {
				t.Errorf("%s %s: encoding allocates %v times", name, c.Name(), n)
			}
			if n := testing.AllocsPerRun(100, func() { _ = c.Decode(b, m, nil) }); n != 0 {
				t.Errorf("%s %s: decoding allocates %v times", name, c.Name(), n)
			}
		}
	}
}

// TestAliases shows the ownership rule: bodies are part of the frame, text is not; decoding again leaves the
// frame alone.
func TestAliases(t *testing.T) {
	m := appendRequest(2, 32)
	m.Entries[1].Body = bytes.Repeat([]byte{0xab}, 32)
	for _, c := range directCodecs() {
		frame, err := c.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		var got raftpb.AppendRequest
		if err := c.Decode(frame, &got, nil); err != nil {
			t.Fatal(err)
		}
		body := got.Entries[1].Body
		at := bytes.Index(frame, body)
		frame[at+5] ^= 0xff
		if body[5] == 0xab {
			t.Errorf("%s: the body is a copy", c.Name())
		}
		frame[at+5] ^= 0xff
		if cap(body) != len(body) {
			t.Errorf("%s: appending to a body would write into the frame", c.Name())
		}
		before := bytes.Clone(frame)
		other, _ := c.Append(nil, appendRequest(1, 16))
		if err := c.Decode(other, &got, nil); err != nil || !bytes.Equal(frame, before) {
			t.Errorf("%s: decoding another frame changed this one: %v", c.Name(), err)
		}
	}
}
