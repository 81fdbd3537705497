package codectest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// TestFromProtocolHoldsMemory decodes messages whose elements are small on the wire and large in memory.
func TestFromProtocolHoldsMemory(t *testing.T) {
	compact := codec.FromProtocol("official compact", 70, thrift.NewTCompactProtocolFactoryConf(nil))
	for name, x := range map[string]struct {
		codec      codec.Codec
		head, fill string
		m          codec.Message
	}{
		"structs":         {compact, "\x39\xfc\x80\xf0\x03", "\x00", new(everything.Tree)},
		"maps":            {compact, "\x19\xfb\x80\xf0\x03", "\x00", new(everything.Costly)},
		"maps of one":     {compact, "\x19\xfb\x80\xf0\x03", "\x01\x33\x01\x01", new(everything.Costly)},
		"defaults":        {compact, "", "\x0c\x06\x00", new(everything.Costly)},
		"pointers":        {compact, "", "\x0c\x08\x00", new(everything.Costly)},
		"structs in JSON": {codec.JSON(), `{"3":{"lst":["rec",61440`, ",{}", new(everything.Tree)},
	} {
		b := []byte(x.head + strings.Repeat(x.fill, 64<<10))
		if err := x.codec.Decode(b, x.m, nil); !errors.Is(err, codec.TooMuch) {
			t.Errorf("%s: %v, want %v", name, err, codec.TooMuch)
		}
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

// TestHot reads what a hot struct and an older one without some of its fields encode to, and finds what the official
// library finds.
func TestHot(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 500 {
		hot, old := new(modern.Hot), new(modern.Old)
		codectest.Fill(r, hot)
		codectest.Fill(r, old)
		for _, m := range []codec.Message{hot, old, new(modern.Hot), new(modern.Old)} {
			for id, factory := range map[uint8]thrift.TProtocolFactory{
				codec.IDCompact: thrift.NewTCompactProtocolFactoryConf(nil),
				codec.IDBinary:  thrift.NewTBinaryProtocolFactoryConf(nil),
			} {
				direct, _ := codec.ByID(id)
				readAlike(t, m, direct, codec.FromProtocol("official", 70, factory))
			}
		}
	}
}

// readAlike checks that two codecs write the same bytes for m, and read the same Hot from them, also when it held
// something else before.
func readAlike(t *testing.T, m codec.Message, direct, official codec.Codec) {
	t.Helper()
	b, err := direct.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := official.Append(nil, m); err != nil || !bytes.Equal(b, theirs) {
		t.Fatalf("%s: %x, the official library %x, %v", direct.Name(), b, theirs, err)
	}
	limits := codec.Limits{MaxAlloc: 1 << 24}
	got, want := modern.Hot{Second: 1, Children: make([]modern.Hot, 3), Maybe: codec.Some(int64(1))}, modern.Hot{}
	for range 2 {
		if err := direct.Decode(b, &got, &limits); err != nil {
			t.Fatalf("%s: %v", direct.Name(), err)
		}
	}
	if err := official.Decode(b, &want, &limits); err != nil {
		t.Fatal(err)
	}
	ours, _ := direct.Append(nil, &got)
	if theirs, _ := direct.Append(nil, &want); !bytes.Equal(ours, theirs) {
		t.Fatalf("%s: read %+v, the official library %+v", direct.Name(), got, want)
	}
}

// TestHotErrors finds the place of an error behind what is read in straight line.
func TestHotErrors(t *testing.T) {
	m := modern.Hot{Children: make([]modern.Hot, 3), Behind: 1}
	m.Children[1].Children = make([]modern.Hot, 1)
	m.Children[1].Children[0].Text = "\xff"
	for _, id := range []uint8{codec.IDCompact, codec.IDBinary, codec.IDMsgpack} {
		c, _ := codec.ByID(id)
		b, err := c.Append(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := errors.AsType[*codec.Error](c.Decode(b, new(modern.Hot), nil))
		if !ok || e.Kind != codec.BadText || e.Path != "Hot.children[1].children[0].text" || e.Offset <= 0 {
			t.Errorf("%s: %v", c.Name(), e)
		}
		for n := range b {
			if c.Decode(b[:n], new(modern.Hot), nil) == nil {
				t.Errorf("%s: takes %d of %d bytes", c.Name(), n, len(b))
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
