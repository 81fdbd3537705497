package deflate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
	"github.com/seed-814fcd60/raftwire/examples/deflate"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestCodec(t *testing.T) { codectest.Run(t, deflate.New()) }

// TestBomb unpacks a message over the limit from bytes that are far below it.
func TestBomb(t *testing.T) {
	b, err := deflate.New().Append(nil, &raftpb.GoodbyeRequest{Reason: strings.Repeat("a", 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	err = deflate.New().Decode(b, new(raftpb.GoodbyeRequest), &codec.Limits{MaxBytes: 1 << 16})
	if len(b) > 1<<16 || !errors.Is(err, codec.TooLarge) {
		t.Errorf("%d bytes that unpack to 1 MiB: %v", len(b), err)
	}
}
