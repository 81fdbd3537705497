package codec_test

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A message in each of the built-in codecs, and back.
func ExampleByName() {
	vote := &raftpb.VoteRequest{Group: 1, Term: 7, Candidate: 3}
	for _, name := range codec.Names() {
		c, _ := codec.ByName(name)
		b, err := c.Append(nil, vote)
		if err != nil {
			panic(err)
		}
		var got raftpb.VoteRequest
		err = c.Decode(b, &got, nil)
		same, _ := codec.ByID(c.ID())
		fmt.Println(name, got.Term, err, same.Name() == name)
	}
	// Output:
	// thrift-compact 7 <nil> true
	// msgpack 7 <nil> true
	// thrift-binary 7 <nil> true
	// json 7 <nil> true
}

// People read JSON.
func ExampleJSON() {
	b, err := codec.JSON().Append(nil, &raftpb.TransferRequest{Group: 1, Target: 3})
	fmt.Println(string(b), err)
	// Output:
	// {"1":{"i64":1},"2":{"i64":3}} <nil>
}

// Any protocol of the Apache Thrift library is a codec, for those that have none of their own.
func ExampleFromProtocol() {
	simple := codec.FromProtocol("simple-json", 100, thrift.NewTSimpleJSONProtocolFactoryConf(nil))
	b, err := simple.Append(nil, &raftpb.TransferRequest{Group: 1, Target: 3})
	fmt.Println(string(b), err)
	// Output:
	// {"group":1,"target":3} <nil>
}

// Bytes that nobody should trust are decoded within limits, and refused with the reason.
func ExampleLimits() {
	compact, _ := codec.ByName("thrift-compact")
	b, err := compact.Append(nil, &raftpb.ProposeRequest{Group: 1, Command: make([]byte, 1000)})
	if err != nil {
		panic(err)
	}
	limits := codec.DefaultLimits()
	limits.MaxBytes = 500
	err = compact.Decode(b, new(raftpb.ProposeRequest), &limits)
	fmt.Println(errors.Is(err, codec.TooLarge))
	err = compact.Decode(b[:100], new(raftpb.ProposeRequest), nil)
	fmt.Println(errors.Is(err, codec.Truncated))
	fmt.Println(limits.Bytes(), limits.Depth(), limits.Alloc(1000))
	// Output:
	// true
	// true
	// 500 64 8000
}

// An optional field says whether it is there.
func ExampleOpt() {
	leader := codec.Some[raftpb.NodeID](3)
	id, known := leader.Get()
	fmt.Println(id, known, leader)
	var nobody codec.Opt[raftpb.NodeID]
	fmt.Println(nobody.Or(-1), nobody)
	// Output:
	// 3 true 3
	// -1 absent
}

// A suite for a codec of one's own: codectest.Run in a test. Its messages have every type
// of the IDL.
func Example_ownCodec() {
	for _, m := range codectest.Messages()[:1] {
		codectest.Fill(rand.New(rand.NewPCG(1, 2)), m)
		compact, _ := codec.ByName("thrift-compact")
		b, err := compact.Append(nil, m)
		fmt.Println(len(b) > 0, err)
	}
	// Output: true <nil>
}
