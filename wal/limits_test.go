package wal

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// What is handed over and not yet written is bounded: Submit waits for room, and what
// one write takes is bounded too.
func TestQueueIsBounded(t *testing.T) {
	o := manual(memFS())
	o.MaxFrameBytes, o.MaxQueuedBytes, o.CacheBytes = 8<<10, 32<<10, 16<<10
	l, _ := mustOpen(t, "wal", o)
	const batches, body = 100, 3000
	answered := 0
	var b Batch
	for i := range batches {
		b.Reset()
		b.Append(1, raftpb.Index(i+1), entriesOf(1, raftpb.Index(i+1), 1, body))
		l.Submit(&b, func(err error) {
			if err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
			answered++
		})
		if m := l.Metrics(); m.QueuedBytes > o.MaxQueuedBytes || m.CacheBytes > o.CacheBytes {
			t.Fatalf("%d bytes queued, %d cached; want at most %d and %d", m.QueuedBytes, m.CacheBytes, o.MaxQueuedBytes, o.CacheBytes)
		}
	}
	if m := l.Metrics(); m.Stalls == 0 || answered == 0 || answered == batches {
		t.Errorf("%d stalls, %d answers before the log was asked to write: nothing had to wait", m.Stalls, answered)
	}
	for l.Step() {
	}
	m := l.Metrics()
	if answered != batches || m.QueuedBytes != 0 {
		t.Errorf("%d of %d answered, %d bytes queued", answered, batches, m.QueuedBytes)
	}
	if least := int64(batches * body / o.MaxFrameBytes); m.Frames < least {
		t.Errorf("%d frames of at most 8 KiB for 300 KB, want at least %d", m.Frames, least)
	}
	mustClose(t, l)
}

// A body that a record cannot describe is refused before it is written.
func TestBodyBound(t *testing.T) {
	l, _ := mustOpen(t, "wal", manual(memFS()))
	var b Batch
	e := entry(1, "")
	e.StrippedBytes.Set, e.StrippedBytes.Value = true, 1<<28-1
	b.Append(1, 1, []raftpb.Entry{e})
	if err := l.Write(&b); err != nil {
		t.Errorf("the longest body: %v", err)
	}
	b.Reset()
	e.StrippedBytes.Value++
	b.Append(1, 2, []raftpb.Entry{e})
	if err := l.Write(&b); err == nil {
		t.Error("a body of 256 MiB was accepted")
	}
	mustClose(t, l)
}
