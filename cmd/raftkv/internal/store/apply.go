package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
)

// Apply implements engine.StateMachine. What a command cannot do is an answer; an error is the disk's.
func (s *Store) Apply(b engine.Batch, results []engine.Result) error {
	batch := s.db.NewIndexedBatch() // a command reads what those before it wrote
	defer func() { _ = batch.Close() }()
	for i := range b.Commands {
		answer, err := execute(batch, b.Commands[i].Data)
		if err != nil {
			return fmt.Errorf("store: apply: %w", err)
		}
		results[i].Data = answer.AppendCompact(nil)
	}
	for _, kv := range b.Meta(results) {
		key := append([]byte(metaPrefix), kv.Key...)
		write := func() error { return batch.Set(key, kv.Value, nil) }
		if kv.Value == nil {
			write = func() error { return batch.Delete(key, nil) }
		}
		if err := write(); err != nil {
			return fmt.Errorf("store: apply: %w", err)
		}
	}
	if err := batch.Set(appliedKey, binary.BigEndian.AppendUint64(nil, uint64(b.Last)), nil); err != nil {
		return fmt.Errorf("store: apply: %w", err)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("store: apply: %w", err)
	}
	s.applied = b.Last
	return nil
}

// execute carries out one command within a batch.
func execute(batch *pebble.Batch, data []byte) (kvpb.Answer, error) {
	var c kvpb.Command
	if n, err := c.ParseCompact(data, nil); err != nil || n != len(data) {
		return kvpb.Answer{Outcome: kvpb.OutcomeUnknown}, nil //nolint:nilerr // the proposer's fault, not the disk's
	}
	if len(c.Key) == 0 || len(c.Key) > kvpb.MaxKeyBytes || len(c.Value) > kvpb.MaxValueBytes {
		return kvpb.Answer{Outcome: kvpb.OutcomeTooLarge}, nil
	}
	key := dataKey(c.Key)
	old, existed, err := get(batch, key)
	if err != nil {
		return kvpb.Answer{}, err
	}
	done := kvpb.Answer{Outcome: kvpb.OutcomeDone, Existed: existed, Length: int64(len(c.Value))}
	switch c.Operation {
	case kvpb.OperationPut:
		return done, batch.Set(key, c.Value, nil)
	case kvpb.OperationDelete:
		done.Length = 0
		return done, batch.Delete(key, nil)
	case kvpb.OperationCas:
		if existed != (c.Expected != nil) || !bytes.Equal(old, c.Expected) {
			mismatch := kvpb.Answer{Outcome: kvpb.OutcomeMismatch, Existed: existed, Length: int64(len(old))}
			if existed {
				mismatch.Current = old
			}
			return mismatch, nil
		}
		return done, batch.Set(key, c.Value, nil)
	case kvpb.OperationAppend:
		if len(old)+len(c.Value) > kvpb.MaxValueBytes {
			return kvpb.Answer{Outcome: kvpb.OutcomeTooLarge, Existed: existed, Length: int64(len(old))}, nil
		}
		done.Length = int64(len(old) + len(c.Value))
		return done, batch.Set(key, append(old, c.Value...), nil)
	}
	return kvpb.Answer{Outcome: kvpb.OutcomeUnknown, Existed: existed, Length: int64(len(old))}, nil
}
