package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/workload"
	"github.com/seed-814fcd60/raftwire/engine"
)

// event is one attempt of a client, as a line of the history. The object is a counter
// per group and client: a write adds one to the counter of its client, a read of
// counter N answers how often that was done. A checker needs no more.
type event struct {
	Process uint64         `json:"process"` // never does two things at a time; new after an unknown outcome
	Op      string         `json:"op"`      // write or read
	Group   engine.GroupID `json:"group"`
	Client  uint32         `json:"client"` // whose counter
	Seq     uint64         `json:"seq,omitempty"`
	Mode    string         `json:"mode,omitempty"` // of a read: linearizable, follower, stale or lease
	Start   int64          `json:"start"`          // nanoseconds since the load began, one clock for all
	End     int64          `json:"end"`
	Outcome string         `json:"outcome"` // ok, fail (did not happen) or info (not known)
	Value   *uint64        `json:"value,omitempty"`
}

// history writes what clients did, one JSON object per line. The nil history writes
// nothing. It is safe for concurrent use.
type history struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	err  error // the first
}

// newHistory creates the file, which must be new: a name that cannot be used is found before the load.
func newHistory(name string) (*history, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	return &history{file: f, out: bufio.NewWriterSize(f, 1<<20)}, nil
}

// add notes the end of an attempt.
func (h *history) add(c *client, op *operation, got outcome, now time.Duration) {
	if h == nil {
		return
	}
	e := event{Process: op.process, Op: "write", Group: c.group, Client: c.id, Start: int64(op.sent), End: int64(now)}
	e.Outcome = [...]string{outcomeAcked: "ok", outcomeRefused: "fail", outcomeUnknown: "info"}[got]
	if op.read {
		e.Op, e.Client, e.Mode = "read", op.of.id, workload.ConsistencyName(op.mode)
		if got == outcomeAcked {
			e.Value = &op.counted
		}
	} else {
		e.Seq = binary.BigEndian.Uint64(op.command[4:])
	}
	line, err := json.Marshal(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		_, err = h.out.Write(append(line, '\n'))
	}
	if h.err == nil {
		h.err = err
	}
}

// close ends the history; an error of any write is told here.
func (h *history) close() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := errors.Join(h.err, h.out.Flush(), h.file.Close()); err != nil {
		return fmt.Errorf("--history: %w", err)
	}
	return nil
}
