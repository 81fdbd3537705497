// Package codec puts Raftwire's codecs beside others on the same messages: an
// append of 64 entries, small and large, and a heartbeat. The benchmarks are sub-
// benchmarks of one run; the program in goals measures them in turns and prints ratios.
package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Shape says which message is encoded.
type Shape struct {
	Name    string
	Entries int // 0: a heartbeat of one group
	Bytes   int // per entry
}

// Shapes lists what is measured.
func Shapes() []Shape {
	return []Shape{
		{"append64x128", 64, 128},
		{"append64x1024", 64, 1024},
		{"heartbeat", 0, 0},
	}
}

// The names of the subjects that the goals compare.
const (
	Compact = "raftwire compact"
	Binary  = "raftwire binary"
	Msgpack = "raftwire msgpack"
	Copy    = "memcpy each body"
	Apache  = "apache compact"
	ApacheB = "apache binary"
	Gogo    = "gogo protobuf (etcd raft)"
	Tinylib = "tinylib msgp"
	Reflect = "msgpack v5"
)

// Subject is one codec at work on one message, used at its best: buffers,
// protocols and messages live on from call to call. Not safe for concurrent use.
type Subject struct {
	Name string
	// Encode encodes the message. What it returns is valid until the next call.
	Encode func() ([]byte, error)
	// Decode decodes what Encode returned, which stays unchanged meanwhile; nil: it
	// cannot.
	Decode func(b []byte) error
	// Decoded returns the message that was decoded last.
	Decoded func() Message
}

// Message is a shape's content, free of any codec. The fields of an append that a
// codec's own format does not have stay zero for it.
type Message struct {
	Group, Term, Leader, PrevIndex, PrevTerm, Commit, Round int64
	Entries                                                 []Entry
}

// Entry is one entry of an append.
type Entry struct {
	Term, Crc32c int64
	Body         []byte
}

// NewMessage makes the content of a shape, the same on each call.
func NewMessage(s Shape) Message {
	r := rand.New(rand.NewPCG(1, uint64(s.Bytes)))
	m := Message{Group: 7, Term: 12, Leader: 2, PrevIndex: 1_234_567, PrevTerm: 12, Commit: 1_234_500, Round: 98_765}
	for range s.Entries {
		e := Entry{Term: 12, Crc32c: int64(r.Uint32()), Body: make([]byte, s.Bytes)}
		for i := range e.Body {
			e.Body[i] = byte(r.Uint32())
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

// NewSubjects returns all codecs, ready to encode the shape's message.
func NewSubjects(s Shape) []Subject {
	m := NewMessage(s)
	list := []Subject{}
	if s.Entries > 0 {
		list = append(list, copyEach(m))
	}
	list = append(list, ours(m)...)
	list = append(list, apacheThrift(m)...)
	list = append(list, gogo(m), tinylibMsgp(m), reflectMsgpack(m))
	return list
}

// Find returns the subject of that name.
func Find(list []Subject, name string) (Subject, error) {
	for _, s := range list {
		if s.Name == name {
			return s, nil
		}
	}
	return Subject{}, fmt.Errorf("no subject %q", name)
}

// copyEach copies the bodies into one buffer: what no encoder can go below.
func copyEach(m Message) Subject {
	size := 0
	for i := range m.Entries {
		size += len(m.Entries[i].Body)
	}
	buf := make([]byte, size)
	return Subject{Name: Copy, Encode: func() ([]byte, error) {
		n := 0
		for i := range m.Entries {
			n += copy(buf[n:], m.Entries[i].Body)
		}
		return buf[:n], nil
	}}
}

// errLeftOver says that a decoder did not take all bytes.
var errLeftOver = errors.New("bytes left over")

// equal tells where got differs from want in the fields that all codecs carry.
func equal(want, got Message) error {
	if want.Term != got.Term || want.Commit != got.Commit {
		return fmt.Errorf("term %d commit %d, want %d and %d", got.Term, got.Commit, want.Term, want.Commit)
	}
	if len(want.Entries) != len(got.Entries) {
		return fmt.Errorf("%d entries, want %d", len(got.Entries), len(want.Entries))
	}
	for i := range want.Entries {
		w, g := &want.Entries[i], &got.Entries[i]
		if w.Term != g.Term || !bytes.Equal(w.Body, g.Body) {
			return fmt.Errorf("entry %d differs", i)
		}
	}
	return nil
}
