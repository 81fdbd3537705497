package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	raftwire "github.com/seed-814fcd60/raftwire/wal"
)

// groups is how many groups share one log in the contest of many groups.
const groups = 1000

// groupStore is a log of many groups, each of which appends from its own goroutine.
type groupStore interface {
	// appender returns a function that appends one entry of 128 bytes and a hard state
	// to group g, durable when it returns.
	appender(g int) func(body []byte) error
	close() error
}

func (o *ourLog) appender(g int) func([]byte) error {
	var batch raftwire.Batch
	id, next := raftpb.GroupID(g), o.l.Group(raftpb.GroupID(g)).LastIndex()+1
	entries := make([]raftpb.Entry, 1)
	return func(body []byte) error {
		const kind = raftpb.EntryKindCommand
		entries[0] = raftpb.Entry{Term: 1, Kind: kind, Body: body, Crc32c: raftwire.EntryChecksum(kind, body)}
		batch.Reset()
		batch.Append(id, next, entries)
		batch.HardState(id, raftwire.HardState{Term: 1, Commit: next - 1})
		next++
		return o.l.Write(&batch)
	}
}

func (p *pebbleStore) appender(g int) func([]byte) error {
	p.lives++ // every goroutine of every round has keys of its own
	next := p.lives << 32
	var value []byte
	return func(body []byte) error {
		b := p.db.NewBatch()
		var key [16]byte
		binary.BigEndian.PutUint64(key[:], uint64(g))
		binary.BigEndian.PutUint64(key[8:], next)
		next++
		value = append(binary.LittleEndian.AppendUint64(value[:0], 1), body...)
		if err := b.Set(key[:], value, nil); err != nil {
			return err
		}
		binary.BigEndian.PutUint64(key[8:], ^uint64(0)) // the hard state
		if err := b.Set(key[:], value[:24], nil); err != nil {
			return err
		}
		return errors.Join(b.Commit(pebble.Sync), b.Close())
	}
}

// measureGroups lets all groups of each log append at once, in turns.
func (c *config) measureGroups() (err error) {
	type one struct {
		name     string
		store    groupStore
		rate     []float64
		cpu      []float64
		flushing []float64 // appends per flush
	}
	us, err := openOurs(filepath.Join(c.dir, "groups-raftwire"))
	if err != nil {
		return err
	}
	peer, err := openPebble(filepath.Join(c.dir, "groups-pebble"))
	if err != nil {
		return errors.Join(err, us.close())
	}
	list := []*one{{name: ours, store: us.(*ourLog)}, {name: pebbleDB, store: peer.(*pebbleStore)}} //nolint:forcetypeassert // made here
	defer func() {
		for _, x := range list {
			err = errors.Join(err, x.store.close())
		}
	}()
	for round := range c.rounds + 1 {
		for _, x := range list {
			before := meter.Process()
			c.disk.Read(&before)
			n, took, err := together(x.store, 2*c.slice)
			if err != nil {
				return fmt.Errorf("%s, %d groups: %w", x.name, groups, err)
			}
			after := meter.Process()
			c.disk.Read(&after)
			if used := after.Sub(before); round > 0 {
				x.rate = append(x.rate, float64(n)/took.Seconds())
				x.cpu = append(x.cpu, used.CPU.Seconds()*1e6/float64(n))
				x.flushing = append(x.flushing, float64(n)/float64(max(used.Flushes, 1)))
			}
		}
	}
	fmt.Printf("\n### %d groups, each 1 x 128 B and a hard state, all at once\n\n", groups)
	fmt.Println("| log | appends/s: median (lowest–highest) | µs CPU: median (lowest) | appends per flush |\n|---|--:|--:|--:|")
	for _, x := range list {
		fmt.Printf("| %s | %.0f (%.0f–%.0f) | %.1f (%.1f) | %.0f |\n", x.name, meter.Median(x.rate), slices.Min(x.rate),
			slices.Max(x.rate), meter.Median(x.cpu), slices.Min(x.cpu), meter.Median(x.flushing))
	}
	var ratio []float64
	for i := range list[0].rate {
		ratio = append(ratio, list[0].rate[i]/list[1].rate[i])
	}
	fmt.Printf("\nAppends/s by pebble's, goal at least 2: %.2f (%.2f–%.2f). µs CPU, goal at most 3: %.1f.\n", meter.Median(ratio),
		slices.Min(ratio), slices.Max(ratio), meter.Median(list[0].cpu))
	return nil
}

// together runs all groups for a while and returns how many appends they made.
func together(s groupStore, slice time.Duration) (n int64, took time.Duration, err error) {
	var total atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	body := make([]byte, 128)
	begin := time.Now()
	for g := range groups {
		appendOne := s.appender(g)
		all.Go(func() {
			for time.Since(begin) < slice {
				if e := appendOne(body); e != nil {
					mu.Lock()
					err = errors.Join(err, e)
					mu.Unlock()
					return
				}
				total.Add(1)
			}
		})
	}
	all.Wait()
	return total.Load(), time.Since(begin), err
}
