package codectest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/codec/codectest/modern"
)

func TestBuiltIn(t *testing.T) {
	for _, name := range codec.Names() {
		t.Run(name, func(t *testing.T) {
			c, ok := codec.ByName(name)
			if !ok {
				t.Fatalf("ByName(%q) finds nothing", name)
			}
			codectest.Run(t, c)
		})
	}
}

// TestFromProtocol makes codecs of the official library's protocols. Their bytes are those of the direct codecs.
func TestFromProtocol(t *testing.T) {
	for _, x := range []struct {
		factory thrift.TProtocolFactory
		direct  uint8
	}{
		{thrift.NewTCompactProtocolFactoryConf(nil), codec.IDCompact},
		{thrift.NewTBinaryProtocolFactoryConf(nil), codec.IDBinary},
	} {
		direct, _ := codec.ByID(x.direct)
		c := codec.FromProtocol("official "+direct.Name(), 70, x.factory)
		t.Run(direct.Name(), func(t *testing.T) {
			codectest.Run(t, c)
			m := &everything.Scalars{Text: "x", OptReal: codec.Some(1.5)}
			ours, err := direct.Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if theirs, err := c.Append(nil, m); err != nil || !bytes.Equal(ours, theirs) {
				t.Errorf("%x, direct %x, %v", theirs, ours, err)
			}
		})
	}
}

// TestModern encodes what older compilers do not know: uuids, and maps whose keys Go cannot compare.
func TestModern(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 300 {
		var m modern.Keys
		codectest.Fill(r, &m)
		for _, id := range []uint8{codec.IDCompact, codec.IDBinary, codec.IDMsgpack} {
			c, _ := codec.ByID(id)
			b, err := c.Append(nil, &m)
			if err != nil {
				t.Fatal(err)
			}
			var back modern.Keys
			if err := c.Decode(b, &back, &codec.Limits{MaxAlloc: 1 << 24}); err != nil {
				t.Fatalf("%s: %v", c.Name(), err)
			}
			again, err := c.Append(nil, &back)
			if err != nil || !bytes.Equal(b, again) {
				t.Fatalf("%s:\n%x, then\n%x, %v", c.Name(), b, again, err)
			}
		}
	}
}

// TestSortedPairs orders the entries of such maps; of entries with one key the last counts.
func TestSortedPairs(t *testing.T) {
	m := modern.Keys{ByBlob: []codec.Pair[[]byte, int32]{
		{Key: []byte("b"), Value: 1}, {Key: []byte("a"), Value: 2}, {Key: []byte("b"), Value: 3},
	}}
	var back modern.Keys
	if _, err := back.ParseCompact(m.AppendCompact(nil), nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range back.ByBlob {
		got = append(got, fmt.Sprintf("%s=%d", p.Key, p.Value))
	}
	if !slices.Equal(got, []string{"a=2", "b=3"}) {
		t.Errorf("got %q", got)
	}
}
