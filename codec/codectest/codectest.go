// Package codectest checks implementations of codec.Codec.
//
//	func TestMyCodec(t *testing.T) { codectest.Run(t, mycodec.New()) }
//
// The messages it uses, in package everything, have every type of the IDL.
package codectest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest/basis"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
)

// values is how many random values of each type a check uses.
const values = 40

// Run checks everything that codec.Codec promises. It needs about a second.
func Run(t *testing.T, c codec.Codec) {
	checks := []struct {
		name  string
		check func(*testing.T, codec.Codec)
	}{
		{"name", checkName},
		{"round trip", checkRoundTrip},
		{"appends", checkAppends},
		{"replaces", checkReplaces},
		{"truncated", checkTruncated},
		{"trailing", checkTrailing},
		{"damaged", checkDamaged},
		{"limits", checkLimits},
		{"evolution", checkEvolution},
		{"concurrent", checkConcurrent},
	}
	for _, x := range checks {
		t.Run(x.name, func(t *testing.T) { x.check(t, c) })
	}
}

// Messages returns an empty message of each type that the checks use.
func Messages() []codec.Message {
	return []codec.Message{
		new(everything.Scalars), new(everything.Strict), new(everything.Defaults), new(everything.Containers),
		new(everything.Choice), new(everything.Tree), new(everything.Sparse), new(everything.Gaps),
		new(everything.Choices), new(everything.Empty), new(everything.Words), new(everything.Evolved),
		new(everything.Odd), new(everything.Costly), new(basis.Point), new(basis.Broken),
		new(everything.EverythingOneArgs), new(everything.EverythingSumArgs), new(everything.EverythingOneResult),
		new(everything.EverythingNamesResult), new(everything.EverythingCountsResult),
	}
}

// each calls f with random values of every type, the same in every run.
func each(t *testing.T, n int, f func(t *testing.T, m codec.Message)) {
	t.Helper()
	for i, m := range Messages() {
		t.Run(reflect.TypeOf(m).Elem().Name(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range n {
				Fill(r, m)
				f(t, m)
			}
		})
	}
}

func fresh(m codec.Message) codec.Message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(codec.Message)
}

// roomy allows memory out of proportion to the input: random values have long lists of empty elements.
func roomy() *codec.Limits { return &codec.Limits{MaxAlloc: 1 << 26} }

func encode(t *testing.T, c codec.Codec, m codec.Message) []byte {
	t.Helper()
	b, err := c.Append(nil, m)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	return b
}

// same compares two values by their Thrift Binary form, which is one and the same for equal values.
func same(t *testing.T, want, got codec.Message) {
	t.Helper()
	if x, y := want.AppendBinary(nil), got.AppendBinary(nil); !bytes.Equal(x, y) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func checkName(t *testing.T, c codec.Codec) {
	if c.Name() == "" {
		t.Error("Name is empty")
	}
	if c.ID() == 0 || c.ID() > 127 {
		t.Errorf("ID is %d, want 1 to 127 (private codecs: 64 to 127)", c.ID())
	}
	if built, ok := codec.ByID(c.ID()); ok && built.Name() != c.Name() {
		t.Errorf("ID %d is that of %s", c.ID(), built.Name())
	}
}

func checkRoundTrip(t *testing.T, c codec.Codec) {
	each(t, values, func(t *testing.T, m codec.Message) {
		b := encode(t, c, m)
		before := bytes.Clone(b)
		got := fresh(m)
		if err := c.Decode(b, got, roomy()); err != nil {
			t.Fatalf("Decode: %v", err)
		}
		same(t, m, got)
		if !bytes.Equal(b, before) {
			t.Fatal("Decode changed its input")
		}
		if again := encode(t, c, got); !bytes.Equal(again, b) {
			t.Fatalf("encoded again:\n%x\n%x", again, b)
		}
	})
}

func checkAppends(t *testing.T, c codec.Codec) {
	each(t, 5, func(t *testing.T, m codec.Message) {
		alone := encode(t, c, m)
		for _, room := range []int{0, 1, len(alone) + 64} {
			prefix := append(make([]byte, 0, 3+room), "abc"...)
			b, err := c.Append(prefix, m)
			if err != nil || !bytes.Equal(b[:3], []byte("abc")) || !bytes.Equal(b[3:], alone) {
				t.Fatalf("Append behind abc, room for %d more: %x, %v; alone %x", room, b, err, alone)
			}
		}
	})
}

func checkReplaces(t *testing.T, c codec.Codec) {
	r := rand.New(rand.NewPCG(2, 2))
	each(t, values, func(t *testing.T, m codec.Message) {
		old := fresh(m)
		Fill(r, old)
		if err := c.Decode(encode(t, c, m), old, roomy()); err != nil {
			t.Fatalf("Decode: %v", err)
		}
		same(t, m, old)
	})
}

// refused checks that bytes are refused with the kind of error that the package promises.
func refused(t *testing.T, c codec.Codec, b []byte, m codec.Message, l *codec.Limits, why string) {
	t.Helper()
	err := c.Decode(b, m, l)
	if err == nil {
		t.Fatalf("%s: accepted", why)
	}
	if _, ok := errors.AsType[*codec.Error](err); !ok {
		t.Fatalf("%s: %T is no *codec.Error: %v", why, err, err)
	}
}

func checkTruncated(t *testing.T, c codec.Codec) {
	each(t, 3, func(t *testing.T, m codec.Message) {
		b := encode(t, c, m)
		for n := range min(len(b), 200) {
			refused(t, c, b[:n:n], fresh(m), roomy(), "truncated")
		}
	})
}

func checkTrailing(t *testing.T, c codec.Codec) {
	each(t, 3, func(t *testing.T, m codec.Message) {
		b := encode(t, c, m)
		for _, extra := range []byte{0, 1, 0xff} {
			refused(t, c, append(bytes.Clone(b), extra), fresh(m), roomy(), "trailing byte")
		}
	})
}

// checkDamaged decodes bytes with errors in them: the only promise is an error or a value that can be encoded.
func checkDamaged(t *testing.T, c codec.Codec) {
	r := rand.New(rand.NewPCG(3, 3))
	each(t, values, func(t *testing.T, m codec.Message) {
		b := encode(t, c, m)
		for range 10 {
			bad := bytes.Clone(b)
			for range 1 + r.IntN(4) {
				if len(bad) > 0 {
					bad[r.IntN(len(bad))] = byte(r.Uint32())
				}
			}
			got := fresh(m)
			if err := c.Decode(bad, got, nil); err == nil {
				got.AppendBinary(nil)
			}
		}
	})
}

func checkLimits(t *testing.T, c codec.Codec) {
	tree := &everything.Tree{Value: 1}
	for range 10 {
		tree = &everything.Tree{Left: tree}
	}
	b := encode(t, c, tree)
	refused(t, c, b, new(everything.Tree), &codec.Limits{MaxDepth: 10}, "11 levels of 10")
	refused(t, c, b, new(everything.Tree), &codec.Limits{MaxBytes: len(b) - 1}, "one byte over MaxBytes")
	if err := c.Decode(b, new(everything.Tree), &codec.Limits{MaxDepth: 11}); err != nil {
		t.Fatalf("11 levels of 11: %v", err)
	}
	var odd everything.Odd
	if err := c.Decode(encode(t, c, &everything.Odd{Message: "a\xffb"}), &odd, nil); err == nil && !utf8.ValidString(odd.Message) {
		t.Fatal("text that is not UTF-8 was accepted")
	}
	many := encode(t, c, &everything.Containers{Scalars: make([]everything.Scalars, 1000)})
	refused(t, c, many, new(everything.Containers), &codec.Limits{MaxAlloc: 16 << 10}, "1000 structs in 16 KiB of memory")
	long := encode(t, c, &everything.Containers{Numbers: []int32{1, 2, 3, 4, 5}})
	got := new(everything.Limited)
	refused(t, c, long, got, nil, "5 elements where the IDL allows 4")
	two := everything.Choice{Number: codec.Some[int32](1), Text: codec.Some("x")}
	if _, err := c.Append(nil, &two); err == nil {
		t.Fatal("a union with two fields was encoded")
	}
	if _, err := c.Append(nil, &everything.Choices{Choices: []everything.Choice{{}}}); err == nil {
		t.Fatal("a union without a field was encoded, inside a struct")
	}
}

func checkEvolution(t *testing.T, c codec.Codec) {
	r := rand.New(rand.NewPCG(4, 4))
	for range values {
		var newer everything.Evolved
		Fill(r, &newer)
		var older everything.Older
		if err := c.Decode(encode(t, c, &newer), &older, roomy()); err != nil {
			t.Fatalf("an older reader: %v", err)
		}
		if older.Kept != newer.Kept || older.AlsoKept != newer.AlsoKept {
			t.Fatalf("an older reader got %+v of %+v", older, newer)
		}
		var back everything.Evolved
		if err := c.Decode(encode(t, c, &older), &back, nil); err != nil {
			t.Fatalf("a newer reader: %v", err)
		}
		same(t, &everything.Evolved{Kept: newer.Kept, AlsoKept: newer.AlsoKept}, &back)
	}
	var defaults, want everything.Defaults
	want.Reset()
	if err := c.Decode(encode(t, c, &everything.Empty{}), &defaults, nil); err != nil {
		t.Fatalf("defaults: %v", err)
	}
	same(t, &want, &defaults)
	refused(t, c, encode(t, c, &everything.Empty{}), new(everything.Strict), nil, "no required field")
}

func checkConcurrent(t *testing.T, c codec.Codec) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(g)))
			for range values {
				var m, got everything.Scalars
				Fill(r, &m)
				b, err := c.Append(nil, &m)
				if err == nil {
					err = c.Decode(b, &got, roomy())
				}
				if err != nil || !bytes.Equal(m.AppendBinary(nil), got.AppendBinary(nil)) {
					t.Errorf("while others use the codec: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}
