package gen_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Bytes that are odd and not wrong: what decoders make of them, the same in every codec.

// A field that comes twice: the last one counts, and a list does not keep what the first one held.
func TestDuplicateFields(t *testing.T) {
	for name, b := range map[string]string{
		"thrift-compact": "1602" + "060204" + "00", // term 1, then field 1 again, spelt out: term 2
		"thrift-binary":  "0a00010000000000000001" + "0a00010000000000000002" + "00",
		"msgpack":        "82" + "0101" + "0102", // a map by field id
	} {
		var m raftpb.Entry
		decodeHex(t, name, b, &m)
		if m.Term != 2 {
			t.Errorf("%s: term %d, want the last one, 2", name, m.Term)
		}
	}
	for name, b := range map[string]string{
		"thrift-compact": "792c" + "00" + "00" + "090e1c" + "1608" + "00" + "00", // two entries, then one of term 4
		"thrift-binary":  "0f00070c00000002" + "0000" + "0f00070c00000001" + "0a00010000000000000004" + "00" + "00",
		"msgpack":        "82" + "0792" + "9090" + "0791" + "9104",
	} {
		var m raftpb.AppendRequest
		decodeHex(t, name, b, &m)
		if len(m.Entries) != 1 || m.Entries[0].Term != 4 {
			t.Errorf("%s: %+v, want one entry of term 4", name, m.Entries)
		}
	}
}

// A number that an enum does not have is kept as it is: a newer peer may know it. Who acts on an enum decides.
func TestUnknownEnumValuesAreKept(t *testing.T) {
	for name, b := range map[string]string{
		"thrift-compact": "25c801" + "00",
		"thrift-binary":  "08000200000064" + "00",
		"msgpack":        "92c064",
	} {
		var m raftpb.Entry
		decodeHex(t, name, b, &m)
		if m.Kind != 100 || m.Kind.String() == "" {
			t.Errorf("%s: kind %d, want 100", name, m.Kind)
		}
	}
}

// An unknown field is skipped, whatever it holds, and a known id with another type counts as unknown in
// Thrift, which is how a field is retyped. In msgpack, whose types are the values' own, it is an error.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	for name, b := range map[string]string{
		"thrift-compact": "1602" + "f925" + "0204" + "00",                               // field 16: a list of two integers
		"thrift-binary":  "0a00010000000000000001" + "0f0063" + "03000000020102" + "00", // field 99: a list of two bytes
		"msgpack":        "98" + "01c0c0c0c0c0" + "a161" + "920102",                     // elements 7 and 8
	} {
		var m raftpb.Entry
		decodeHex(t, name, b, &m)
		if m.Term != 1 {
			t.Errorf("%s: term %d, want 1", name, m.Term)
		}
	}
	for name, b := range map[string]string{"thrift-compact": "180161" + "00", "thrift-binary": "0b00010000000161" + "00"} {
		m := raftpb.Entry{Term: 9}
		decodeHex(t, name, b, &m)
		if m.Term != 0 {
			t.Errorf("%s: a text made term %d", name, m.Term)
		}
	}
	err := decode(t, "msgpack", "91a161", new(raftpb.Entry))
	if !errors.Is(err, codec.BadType) {
		t.Errorf("msgpack: a text for an integer: %v", err)
	}
}

// The limits of a caller hold: depth, bytes, memory.
func TestLimitsAreTheCallers(t *testing.T) {
	for _, name := range []string{"thrift-compact", "thrift-binary", "msgpack"} {
		c, _ := codec.ByName(name)
		tree := &everything.Tree{Value: 1}
		for range 4 {
			tree = &everything.Tree{Left: tree}
		}
		b, err := c.Append(nil, tree)
		if err != nil {
			t.Fatal(err)
		}
		for want, l := range map[codec.Kind]*codec.Limits{
			"":             {MaxBytes: len(b), MaxDepth: 5, MaxAlloc: 4 << 10},
			codec.TooLarge: {MaxBytes: len(b) - 1},
			codec.TooDeep:  {MaxDepth: 4},
			codec.TooMuch:  {MaxAlloc: 1},
		} {
			if got := kindOf(c.Decode(b, new(everything.Tree), l)); got != want {
				t.Errorf("%s with %+v: got %q, want %q", name, l, got, want)
			}
		}
	}
}

func decode(t *testing.T, name, text string, m codec.Message) error {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := codec.ByName(name)
	return c.Decode(b, m, nil)
}

func decodeHex(t *testing.T, name, text string, m codec.Message) {
	t.Helper()
	if err := decode(t, name, text, m); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}
