package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
)

// View is the store at one moment. Taking one is cheap: take it inside engine.Group.Read and read from it
// outside, so that a read that waits for the disk does not hold up Apply. It is for one goroutine.
type View struct {
	at    *pebble.Snapshot
	db    *database
	store *Store
}

// ErrClosed says that the store is closed.
var ErrClosed = errors.New("store: closed")

// View returns the state after what is applied so far. Close lets go of it.
func (s *Store) View() (*View, error) {
	db := s.use()
	if db == nil {
		return nil, ErrClosed
	}
	return &View{at: db.NewSnapshot(), db: db, store: s}, nil
}

// Close implements engine.Snapshot.
func (v *View) Close() error { return errors.Join(v.at.Close(), v.store.release(v.db, nil)) }

// Applied returns how far the log was applied.
func (v *View) Applied() (engine.Index, error) { return readApplied(v.at) }

// Get returns the value of key; ok is false when it has none.
func (v *View) Get(key []byte) (value []byte, ok bool, err error) { return get(v.at, dataKey(key)) }

// Scan returns the pairs of a range, at most kvpb.MaxScanPairs of them; the pair that reaches
// kvpb.MaxScanBytes is the last one.
func (v *View) Scan(r *kvpb.Range) (found kvpb.Found, err error) {
	options := &pebble.IterOptions{LowerBound: dataKey(r.First), UpperBound: []byte(dataEnd)}
	if bytes.Compare(r.Prefix, r.First) > 0 {
		options.LowerBound = dataKey(r.Prefix)
	}
	if r.Last != nil {
		options.UpperBound = append(dataKey(r.Last), 0)
	}
	limit := kvpb.MaxScanPairs
	if r.Limit > 0 {
		limit = min(limit, int(r.Limit))
	}
	it, err := v.at.NewIter(options)
	if err != nil {
		return found, fmt.Errorf("store: scan: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	size := 0
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()[len(dataPrefix):]
		if !bytes.HasPrefix(key, r.Prefix) {
			break // keys with a prefix are neighbours
		}
		if len(found.Pairs) == limit || size >= kvpb.MaxScanBytes {
			found.More = true
			break
		}
		pair := kvpb.Pair{Key: bytes.Clone(key)}
		if !r.KeysOnly {
			value, err := it.ValueAndErr()
			if err != nil {
				return found, fmt.Errorf("store: scan: %w", err)
			}
			pair.Value = bytes.Clone(value)
		}
		size += len(pair.Key) + len(pair.Value)
		found.Pairs = append(found.Pairs, pair)
	}
	if err := it.Error(); err != nil {
		return found, fmt.Errorf("store: scan: %w", err)
	}
	return found, nil
}

// Query implements engine.StateMachine, for clients that speak RaftClient only: it takes a kvpb.Query and
// returns a kvpb.Found, both in Thrift Compact.
func (s *Store) Query(q []byte) ([]byte, error) {
	var query kvpb.Query
	if n, err := query.ParseCompact(q, nil); err != nil || n != len(q) || (query.Key == nil) == (query.Range == nil) {
		return nil, errors.New("store: query: want a Query of kv.thrift with a key or a range")
	}
	v, err := s.View()
	if err != nil {
		return nil, err
	}
	found, err := v.find(&query)
	if err = errors.Join(err, v.Close()); err != nil {
		return nil, err
	}
	return found.AppendCompact(nil), nil
}

func (v *View) find(q *kvpb.Query) (kvpb.Found, error) {
	if q.Range != nil {
		return v.Scan(q.Range)
	}
	value, ok, err := v.Get(q.Key)
	if err != nil || !ok {
		return kvpb.Found{}, err
	}
	return kvpb.Found{Pairs: []kvpb.Pair{{Key: q.Key, Value: value}}}, nil
}
