// Package service is the KV service of kv.thrift on top of an engine.Group.
package service

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftkv/internal/store"
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// defaultTimeout ends a call that states no time limit.
const defaultTimeout = 30 * time.Second

// Service implements kvpb.KV for one group, once Start has told which. It is safe for concurrent use.
type Service struct {
	running atomic.Pointer[running]
	// Writes are the durations of those that were applied, from proposal to answer.
	Writes histogram.Recorder
}

type running struct {
	store *store.Store
	group *engine.Group
}

var _ kvpb.KV = (*Service)(nil)

// Start has the service serve the group, whose machine is s. Until then there is no such group.
func (s *Service) Start(machine *store.Store, group *engine.Group) {
	s.running.Store(&running{machine, group})
}

// write is what all commands have in common.
type write struct {
	group   raftpb.GroupID
	timeout int32
	once    *kvpb.InSession
	command kvpb.Command
}

// Put implements kvpb.KV.
func (s *Service) Put(ctx context.Context, r *kvpb.PutRequest) (*kvpb.PutResponse, error) {
	index, answer, err := s.propose(ctx, write{r.Group, r.TimeoutMs, r.Once, kvpb.Command{
		Operation: kvpb.OperationPut, Key: r.Key, Value: r.Value,
	}})
	if err != nil {
		return nil, err
	}
	return &kvpb.PutResponse{Index: index, Existed: answer.Existed}, nil
}

// Delete implements kvpb.KV.
func (s *Service) Delete(ctx context.Context, r *kvpb.DeleteRequest) (*kvpb.DeleteResponse, error) {
	index, answer, err := s.propose(ctx, write{r.Group, r.TimeoutMs, r.Once, kvpb.Command{
		Operation: kvpb.OperationDelete, Key: r.Key,
	}})
	if err != nil {
		return nil, err
	}
	return &kvpb.DeleteResponse{Index: index, Existed: answer.Existed}, nil
}

// Cas implements kvpb.KV.
func (s *Service) Cas(ctx context.Context, r *kvpb.CasRequest) (*kvpb.CasResponse, error) {
	index, answer, err := s.propose(ctx, write{r.Group, r.TimeoutMs, r.Once, kvpb.Command{
		Operation: kvpb.OperationCas, Key: r.Key, Value: r.Value, Expected: r.Expected,
	}})
	if err != nil {
		return nil, err
	}
	return &kvpb.CasResponse{Index: index, Swapped: answer.Outcome == kvpb.OutcomeDone, Current: answer.Current}, nil
}

// AppendValue implements kvpb.KV.
func (s *Service) AppendValue(ctx context.Context, r *kvpb.AppendRequest) (*kvpb.AppendResponse, error) {
	index, answer, err := s.propose(ctx, write{r.Group, r.TimeoutMs, r.Once, kvpb.Command{
		Operation: kvpb.OperationAppend, Key: r.Key, Value: r.Value,
	}})
	if err != nil {
		return nil, err
	}
	return &kvpb.AppendResponse{Index: index, Length: answer.Length}, nil
}

// propose has a command applied and returns where it stands and what became of it.
func (s *Service) propose(ctx context.Context, w write) (engine.Index, kvpb.Answer, error) {
	var answer kvpb.Answer
	at, err := s.find(w.group)
	if err != nil {
		return 0, answer, err
	}
	if err := checkKey(w.group, w.command.Key); err != nil {
		return 0, answer, err
	}
	if len(w.command.Value) > kvpb.MaxValueBytes {
		return 0, answer, tooLarge(w.group, "the value has %d bytes, at most %d are allowed", len(w.command.Value), kvpb.MaxValueBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit(w.timeout))
	defer cancel()
	var result engine.Result
	begun := time.Now()
	if w.once == nil {
		result, err = at.group.Propose(ctx, w.command.AppendCompact(nil))
	} else {
		serial := engine.Serial{Session: w.once.Session, Serial: w.once.Serial, AckedBelow: w.once.AckedBelow}
		result, err = at.group.ProposeSerial(ctx, serial, w.command.AppendCompact(nil))
	}
	if err != nil {
		return 0, answer, engine.Exception(w.group, err)
	}
	s.Writes.Record(time.Since(begun))
	if _, err := answer.ParseCompact(result.Data, nil); err != nil {
		return 0, answer, fmt.Errorf("raftkv: answer of command %d: %w", result.Index, err)
	}
	switch answer.Outcome {
	case kvpb.OutcomeTooLarge:
		return 0, answer, tooLarge(w.group, "the value would have more than %d bytes", kvpb.MaxValueBytes)
	case kvpb.OutcomeUnknown, kvpb.OutcomeUnspecified:
		return 0, answer, rejected(w.group, raftpb.RejectCodeBadArgument, "the command is not known")
	}
	return result.Index, answer, nil
}

// read is what both kinds of read have in common.
type read struct {
	group       raftpb.GroupID
	timeout     int32
	consistency raftpb.Consistency
	maxStaleMs  codec.Opt[int64]
	minIndex    codec.Opt[raftpb.Index]
}

// Get implements kvpb.KV.
func (s *Service) Get(ctx context.Context, r *kvpb.GetRequest) (*kvpb.GetResponse, error) {
	if err := checkKey(r.Group, r.Key); err != nil {
		return nil, err
	}
	resp := &kvpb.GetResponse{}
	err := s.read(ctx, read{r.Group, r.TimeoutMs, r.Consistency, r.MaxStaleMs, r.MinIndex}, func(v *store.View) (err error) {
		if resp.Index, err = v.Applied(); err != nil {
			return err
		}
		resp.Value, _, err = v.Get(r.Key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Scan implements kvpb.KV.
func (s *Service) Scan(ctx context.Context, r *kvpb.ScanRequest) (*kvpb.ScanResponse, error) {
	resp := &kvpb.ScanResponse{}
	err := s.read(ctx, read{r.Group, r.TimeoutMs, r.Consistency, r.MaxStaleMs, r.MinIndex}, func(v *store.View) (err error) {
		if resp.Index, err = v.Applied(); err != nil {
			return err
		}
		found, err := v.Scan(&r.Range)
		resp.Pairs, resp.More = found.Pairs, found.More
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// read runs fn on the state at a moment that the read allows.
func (s *Service) read(ctx context.Context, r read, fn func(*store.View) error) error {
	at, err := s.find(r.group)
	if err != nil {
		return err
	}
	mode, bound, err := r.mode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit(r.timeout))
	defer cancel()
	var view *store.View
	err = at.group.ReadWithin(ctx, mode, bound, func() (err error) {
		if view != nil { // of a Lease read the second run counts
			_ = view.Close()
		}
		view, err = at.store.View()
		return err
	})
	if view != nil {
		if err == nil {
			err = fn(view)
		}
		err = errors.Join(err, view.Close())
	}
	return engine.Exception(r.group, err)
}

// mode returns the engine's words for a read.
func (r *read) mode() (engine.Consistency, engine.ReadBound, error) {
	stale, least := r.maxStaleMs.Value, r.minIndex.Value
	if stale < 0 || stale > math.MaxInt64/int64(time.Millisecond) || least < 0 {
		return 0, engine.ReadBound{}, rejected(r.group, raftpb.RejectCodeBadArgument, "maxStaleMs or minIndex is out of bounds")
	}
	bound := engine.ReadBound{MinIndex: least, MaxAge: time.Duration(stale) * time.Millisecond}
	switch r.consistency {
	case raftpb.ConsistencyLinearizable:
		return engine.Linearizable, bound, nil
	case raftpb.ConsistencyFollower:
		return engine.Follower, bound, nil
	case raftpb.ConsistencyLease:
		return engine.Lease, bound, nil
	case raftpb.ConsistencyStale:
		if r.maxStaleMs.Set && stale == 0 {
			return engine.Follower, bound, nil // nothing may be missing
		}
		return engine.Stale, bound, nil
	}
	return 0, bound, rejected(r.group, raftpb.RejectCodeBadArgument, "the consistency is not known")
}

func (s *Service) find(id raftpb.GroupID) (*running, error) {
	if at := s.running.Load(); at != nil && at.group.ID() == id {
		return at, nil
	}
	return nil, &raftpb.NoSuchGroup{Group: id}
}

func checkKey(group raftpb.GroupID, key []byte) error {
	switch {
	case len(key) == 0:
		return rejected(group, raftpb.RejectCodeBadArgument, "the key is empty")
	case len(key) > kvpb.MaxKeyBytes:
		return tooLarge(group, "the key has %d bytes, at most %d are allowed", len(key), kvpb.MaxKeyBytes)
	}
	return nil
}

func tooLarge(group raftpb.GroupID, format string, args ...any) error {
	return rejected(group, raftpb.RejectCodeTooLarge, fmt.Sprintf(format, args...))
}

func rejected(group raftpb.GroupID, code raftpb.RejectCode, reason string) error {
	return &raftpb.Rejected{Group: group, Code: code, Reason: reason}
}

func timeLimit(ms int32) time.Duration {
	if ms <= 0 {
		return defaultTimeout
	}
	return time.Duration(ms) * time.Millisecond
}
