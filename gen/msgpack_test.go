package gen_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	v5 "github.com/vmihailenco/msgpack/v5"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/codec/msgpack"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestMsgpackUntyped shows the mapping: vmihailenco's library, which knows nothing of the types, decodes a
// message into []any that equals the message's fields, in the order of their ids, as far as the last that is set.
func TestMsgpackUntyped(t *testing.T) {
	r := rand.New(rand.NewPCG(seed(t), 1))
	n := 1000
	if testing.Short() {
		n = 50
	}
	for _, tw := range raftpbTypes() {
		t.Run(tw.name, func(t *testing.T) {
			for range n {
				m := tw.ours()
				codectest.Fill(r, m)
				b := m.AppendMsgpack(nil)
				if size, err := msgpack.Validate(b, nil); err != nil || size != len(b) {
					t.Fatalf("Validate: %d of %d bytes, %v", size, len(b), err)
				}
				got, err := v5.NewDecoder(bytes.NewReader(b)).DecodeInterface()
				if err != nil {
					t.Fatalf("v5: %v", err)
				}
				if want := untyped(reflect.ValueOf(m).Elem()); !reflect.DeepEqual(normal(got), want) {
					t.Fatalf("v5 sees\n%#v, want\n%#v", got, want)
				}
			}
		})
	}
}

// untyped returns what msgpack's types make of a value.
func untyped(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.String:
		return v.String()
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return untyped(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append([]byte{}, v.Bytes()...)
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = untyped(v.Index(i))
		}
		return list
	case reflect.Struct:
		if strings.HasPrefix(v.Type().Name(), "Opt[") {
			if !v.Field(1).Bool() {
				return nil
			}
			return untyped(v.Field(0))
		}
		return untypedStruct(v)
	}
	panic("a type that raft.thrift does not use: " + v.Type().String())
}

// untypedStruct relies on the ids of raft.thrift being 1, 2, ... in the order of the file.
func untypedStruct(v reflect.Value) any {
	list := make([]any, v.NumField())
	length := 0
	for i := range list {
		f := v.Field(i)
		optional := f.Kind() == reflect.Pointer || strings.HasPrefix(f.Type().Name(), "Opt[")
		switch v.Type().Name() + "." + v.Type().Field(i).Name { // optional, and nil when unset
		case "Hello.Schema", "SnapshotChunk.Holders":
			if f.IsNil() {
				continue
			}
		}
		if list[i] = untyped(f); list[i] != nil || !optional {
			length = i + 1
		}
	}
	return list[:length]
}

// normal gives integers, which v5 returns in the type of their encoding, one type.
func normal(v any) any {
	x := reflect.ValueOf(v)
	switch {
	case x.CanInt():
		return x.Int()
	case x.CanUint():
		return int64(x.Uint())
	}
	if list, ok := v.([]any); ok {
		for i := range list {
			list[i] = normal(list[i])
		}
	}
	return v
}

// TestMsgpackForms decodes one message from the three forms that readers accept, and through v5.
func TestMsgpackForms(t *testing.T) {
	want := raftpb.Member{ID: 3, Address: "h:1", Suffrage: raftpb.SuffrageWitness, Priority: codec.Some[int32](-70000)}
	array, err := v5.Marshal([]any{3, "h:1", 3, 0, -70000})
	if err != nil {
		t.Fatal(err)
	}
	byID, err := v5.Marshal(map[int]any{5: -70000, 3: 3, 2: []byte("h:1"), 1: 3, 99: []any{1, map[string]int{"x": 1}}})
	if err != nil {
		t.Fatal(err)
	}
	byName, err := v5.Marshal(map[string]any{"priority": -70000, "suffrage": 3, "address": "h:1", "id": 3, "other": nil})
	if err != nil {
		t.Fatal(err)
	}
	longer, err := v5.Marshal([]any{3, "h:1", 3, nil, -70000, "new", []any{1.5}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := v5.Marshal(&want)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"array": array, "by id": byID, "by name": byName, "longer": longer, "v5.Marshal": own} {
		var got, glued raftpb.Member
		if n, err := got.ParseMsgpack(b, nil); err != nil || n != len(b) || got != want {
			t.Errorf("%s: %+v, %d of %d, %v", name, got, n, len(b), err)
		}
		if err := v5.Unmarshal(b, &glued); err != nil || glued != want {
			t.Errorf("%s through v5: %+v, %v", name, glued, err)
		}
	}
}

// TestMsgpackGlueBounded points v5 at bytes that announce more than they hold, in a generated message.
func TestMsgpackGlueBounded(t *testing.T) {
	for name, b := range map[string][]byte{
		"array of 2^32": {0xdd, 0xff, 0xff, 0xff, 0xff},
		"map of 2^32":   {0xdf, 0xff, 0xff, 0xff, 0xff},
		"bin of 2^32":   {0x91, 0xc6, 0xff, 0xff, 0xff, 0xff},
		"nested":        bytes.Repeat([]byte{0x91}, 1<<20),
		"unused code":   {0xc1},
		"nothing":       {},
	} {
		var m raftpb.GoodbyeRequest
		if err := v5.Unmarshal(b, &m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestMsgpackGlueValidates writes a union through the glue only when it has exactly one field, as the codec does.
func TestMsgpackGlueValidates(t *testing.T) {
	for _, m := range []codec.Message{
		new(everything.Choice),
		&everything.Choices{Choices: []everything.Choice{{Number: codec.Some[int32](1), Text: codec.Some("x")}}},
	} {
		if b, err := v5.Marshal(m); !errors.Is(err, codec.BadUnion) || len(b) > 0 {
			t.Errorf("%+v: %x, %v", m, b, err)
		}
	}
	if _, err := v5.Marshal(&everything.Choice{Text: codec.Some("x")}); err != nil {
		t.Error(err)
	}
}

// TestMsgpackSpec checks the examples of docs/spec/msgpack.md, in their order.
func TestMsgpackSpec(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/msgpack.md")
	if err != nil {
		t.Fatal(err)
	}
	_, examples, _ := strings.Cut(string(page), "## 4. Examples")
	var rows [][]byte
	for _, m := range regexp.MustCompile("(?m)\\| `([0-9a-f ]+)` \\|$").FindAllStringSubmatch(examples, -1) {
		b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, b)
	}
	member := &raftpb.Member{ID: 3, Address: "h:1", Suffrage: raftpb.SuffrageWitness, Priority: codec.Some[int32](-70000)}
	noop := []raftpb.Entry{{Term: 7, Kind: raftpb.EntryKindNoop, Crc32c: -1}}
	written := []codec.Message{
		&raftpb.Beat{Group: 1, Term: 7, Commit: 300, Round: -1, Quiesce: true},
		&raftpb.VoteRequest{Group: 1, Term: 7, Candidate: 2, LastIndex: 1000, LastTerm: 6, PreVote: true},
		&raftpb.Entry{Term: 7, Kind: raftpb.EntryKindCommand, Body: []byte("abc"), Crc32c: 0xdeadbeef},
		&raftpb.AppendRequest{Group: 1, Term: 7, Leader: 2, PrevIndex: 9, PrevTerm: 6, Commit: 8, Entries: noop, Round: 5},
		&raftpb.Payload{Command: []byte{1, 2}},
		&raftpb.Payload{Command: []byte{1, 2}, Serial: codec.Some[int64](5)},
		member,
		&everything.Choice{Text: codec.Some("hi")},
		&everything.Gaps{Seventh: 1, Second: "x", Twentieth: 2},
		&everything.Sparse{Near: 1, Far: "x"},
	}
	if len(rows) != len(written)+4 {
		t.Fatalf("%d examples, want %d", len(rows), len(written)+4)
	}
	for i, m := range written {
		if b := m.AppendMsgpack(nil); !bytes.Equal(b, rows[i]) {
			t.Errorf("%+v is %x, the page says %x", m, b, rows[i])
		}
	}
	for _, row := range rows[len(written):] {
		var got raftpb.Member
		if n, err := got.ParseMsgpack(row, nil); err != nil || n != len(row) || got != *member {
			t.Errorf("%x: %+v, %d bytes, %v", row, got, n, err)
		}
	}
}
