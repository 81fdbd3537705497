package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

var errInjected = errors.New("injected")

// faultRun is a workload of which one operation of the file system fails once.
type faultRun struct {
	t      *testing.T
	failAt int
	op     int
	failed *crashfs.Op
	acked  raftpb.Index
	dead   bool // an answer was an error: none may be nil any more
	synced map[string]bool
}

func (r *faultRun) hook(op crashfs.Op) error {
	r.op++
	if r.failed != nil && op.Kind == crashfs.Sync && r.failed.Kind == crashfs.Sync && op.Path == r.failed.Path &&
		strings.Contains(op.Path, segDir) && !r.synced[op.Path] {
		r.synced[op.Path] = true
		r.t.Errorf("operation %d: failed sync of %s is tried again", r.failAt, op.Path)
	}
	if r.op == r.failAt {
		r.failed = &op
		return errInjected
	}
	return nil
}

// run drives batches through a log until it fails. It reports whether the fault
// came to pass, and returns the batches' states.
func (r *faultRun) run(fs *crashfs.FS, gen *generator, states *[]string, clock *handClock) {
	o := manual(fs)
	o.Clock, o.forcePrefill = clock, true
	l, _, err := Open("wal", o)
	if err != nil {
		if r.failed == nil {
			r.t.Fatalf("open without a fault: %v", err)
		}
		return
	}
	var b Batch
	for i := range 60 {
		noSync := gen.fill(&b)
		n := gen.n
		*states = append(*states, gen.m.String())
		l.Submit(&b, func(err error) {
			switch {
			case err != nil && r.failed == nil:
				r.t.Errorf("batch %d without a fault: %v", n, err)
			case err != nil:
				r.dead = true
				if !errors.Is(err, ErrFatal) || !errors.Is(err, errInjected) {
					r.t.Errorf("batch %d: %v", n, err)
				}
			case r.dead:
				r.t.Errorf("fault at %d: batch %d is acknowledged after a failure", r.failAt, n)
			case !noSync:
				r.acked = n
			}
		})
		for l.Step() {
		}
		if i%20 == 19 {
			clock.advance(10 * time.Millisecond)
			for l.Step() {
			}
		}
	}
	closed := l.Close()
	if f := r.failed; f != nil && !r.dead && closed == nil && (f.Kind == crashfs.Write || f.Kind == crashfs.Sync) &&
		strings.Contains(f.Path, segDir) {
		r.t.Errorf("fault at %d: %v was survived", r.failAt, *f)
	}
	if closed != nil && r.failed == nil {
		r.t.Errorf("close: %v", closed)
	}
}

// TestFaults lets every operation of the file system fail once, in three ways:
// nothing is acknowledged after the failure, no sync is tried twice, and the
// next Open, also after a power cut, has all that was acknowledged.
func TestFaults(t *testing.T) {
	faults := 0
	for mode := range 3 {
		for k := 1 + mode%thinly(1); ; k += thinly(1) {
			fs := crashfs.New()
			fs.ShortWrites, fs.LoseOnFailedSync = mode == 1, mode == 2
			r := &faultRun{t: t, failAt: k, synced: map[string]bool{}}
			fs.OnOp = r.hook
			gen := newGenerator(5, 3)
			states := []string{gen.m.String()}
			clock := &handClock{now: time.Unix(1e9, 0)}
			r.run(fs, gen, &states, clock)
			fs.OnOp = nil
			if r.failed == nil {
				break
			}
			faults++
			// First only the process dies, then the power goes.
			for i, disk := range []*crashfs.FS{fs.Clone(), fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 1)))} {
				checkAcked(t, fmt.Sprintf("mode %d, fault at %d (%v), reopen %d", mode, k, *r.failed, i), disk, r.acked, states)
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d faults: nothing acknowledged after one, no sync of a segment tried again", faults)
}

func checkAcked(t *testing.T, where string, fs *crashfs.FS, acked raftpb.Index, states []string) {
	t.Helper()
	var shown raftpb.Index
	for range 2 {
		l, _, err := Open("wal", manual(fs))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		n := l.Group(counterGroup).HardState().Commit
		got, err := showLog(l)
		if err != nil || n < max(acked, shown) || int(n) >= len(states) || got != states[n] {
			t.Errorf("%s: %d batches, %d acknowledged, %d shown before: %v", where, n, acked, shown, err)
		}
		shown = n
		crash(l)
		fs = fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 1)))
	}
}

// With the pebble catalog and real goroutines, a disk that fails for good after k
// operations never gets anything acknowledged, and Open comes back afterwards.
func TestFaultsWithPebble(t *testing.T) {
	for k := 1; k < 200; k += 7 {
		fs := crashfs.New()
		var op int
		fs.OnOp = func(crashfs.Op) error {
			if op++; op > k {
				return errInjected
			}
			return nil
		}
		var acked raftpb.Index
		o := running(lockedHook(fs))
		l, _, err := Open("wal", o)
		if err == nil {
			for i := range raftpb.Index(20) {
				var b Batch
				b.Append(1, i+1, entriesOf(1, i+1, 1, 9000))
				if err := l.Write(&b); err != nil {
					break
				}
				acked = i + 1
			}
			crash(l)
		}
		fs.OnOp = nil
		l, _, err = Open("wal", running(fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, uint64(k))))))
		if err != nil {
			t.Fatalf("disk broken after %d operations: %v", k, err)
		}
		if last := l.Group(1).LastIndex(); last < acked {
			t.Fatalf("disk broken after %d operations: %d entries of %d", k, last, acked)
		}
		mustClose(t, l)
	}
}

// lockedHook makes the hook of fs safe for many goroutines.
func lockedHook(fs *crashfs.FS) vfs.FS {
	hook := fs.OnOp
	mu := make(chan struct{}, 1)
	fs.OnOp = func(op crashfs.Op) error {
		mu <- struct{}{}
		defer func() { <-mu }()
		return hook(op)
	}
	return fs
}
