package wal

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// slowDisk lets each sync of a segment wait for the test.
type slowDisk struct {
	*crashfs.FS
	entered chan struct{}
	answer  chan error
}

func newSlowDisk() *slowDisk {
	return &slowDisk{FS: crashfs.New(), entered: make(chan struct{}), answer: make(chan error)}
}

func (d *slowDisk) slow() {
	d.OnOp = func(op crashfs.Op) error {
		if op.Kind != crashfs.Sync || !strings.Contains(op.Path, segDir) {
			return nil
		}
		d.entered <- struct{}{}
		return <-d.answer
	}
}

// lanesLog is a log on a slow disk, with room for a few frames and no other segment
// in the making.
func lanesLog(t *testing.T, d *slowDisk) *Log {
	t.Helper()
	o := running(d.FS)
	o.Catalog, o.Spares, o.SegmentBytes, o.CacheBytes = FileCatalog, -1, 64<<10, -1
	o.Clock = &handClock{now: time.Unix(1e9, 0)} // nothing happens by itself
	l, _ := mustOpen(t, "wal", o)
	d.slow()
	return l
}

// submitOne hands over entry i of group 1 and has its answer sent to answers.
func submitOne(l *Log, i raftpb.Index, size int, answers chan<- answer) {
	var b Batch
	b.Append(1, i, entriesOf(1, i, 1, size))
	l.Submit(&b, func(err error) { answers <- answer{i, err} })
}

type answer struct {
	i   raftpb.Index
	err error
}

// A second batch goes to the disk while the first is being synced, and is not
// answered before it, even if it is there first. A third waits for a lane.
func TestTwoLanes(t *testing.T) {
	d := newSlowDisk()
	l := lanesLog(t, d)
	answers := make(chan answer, 4)
	submitOne(l, 1, 100, answers)
	<-d.entered
	submitOne(l, 2, 100, answers)
	<-d.entered // the sync of the second one, while the first hangs
	submitOne(l, 3, 100, answers)
	if n := l.Metrics().Frames; n != 0 || len(answers) != 0 {
		t.Errorf("%d frames done, %d answers, while nothing was synced", n, len(answers))
	}
	if got, err := l.Group(1).Entries(nil, 1, 4, 1<<20); err != nil || len(got) != 3 {
		t.Errorf("what is on its way can be read: %d entries, %v", len(got), err)
	}
	d.answer <- nil
	d.answer <- nil
	<-d.entered
	d.answer <- nil
	for i := raftpb.Index(1); i <= 3; i++ {
		if a := <-answers; a.i != i || a.err != nil {
			t.Errorf("answer %d is %v", i, a)
		}
	}
	d.OnOp = nil
	mustClose(t, l)
}

// When the first of two frames fails, the second is not acknowledged, although its
// own sync went well.
func TestLaneFails(t *testing.T) {
	d := newSlowDisk()
	l := lanesLog(t, d)
	fails := true
	d.OnOp = func(op crashfs.Op) error {
		if op.Kind != crashfs.Sync || !strings.Contains(op.Path, segDir) {
			return nil
		}
		first := fails
		fails = false
		d.entered <- struct{}{}
		if first {
			return <-d.answer
		}
		return nil
	}
	answers := make(chan answer, 2)
	submitOne(l, 1, 100, answers)
	<-d.entered
	submitOne(l, 2, 100, answers)
	<-d.entered
	d.answer <- errInjected
	for i := raftpb.Index(1); i <= 2; i++ {
		if a := <-answers; a.i != i || !errors.Is(a.err, ErrFatal) {
			t.Errorf("answer %d is %v", i, a)
		}
	}
	d.OnOp = nil
	_ = l.Close()
}

// TestLanesCrash cuts the power at many moments of a log with several batches on
// their way: what was answered is there, and no entry without those before it.
func TestLanesCrash(t *testing.T) {
	images, holes := 0, 0
	for seed := range uint64(4 * *torture) {
		fs := crashfs.New()
		var mu sync.Mutex // of everything below
		var acked, made raftpb.Index
		rng := rand.New(rand.NewPCG(seed, 21))
		type shot struct {
			image       *crashfs.FS
			acked, made raftpb.Index
		}
		var shots []shot
		fs.OnOp = func(crashfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			for _, s := range crashfs.Survivals() {
				a := acked // before the image, as it may grow
				shots = append(shots, shot{fs.Image(s, rng), a, made})
			}
			return nil
		}
		o := running(fs)
		o.Catalog, o.forcePrefill, o.SegmentBytes = FileCatalog, true, 64<<10
		l, _ := mustOpen(t, "wal", o)
		const batches = 60
		tokens := make(chan struct{}, 2)
		for i := raftpb.Index(1); i <= batches; i++ {
			tokens <- struct{}{}
			mu.Lock()
			made = i
			mu.Unlock()
			var b Batch
			b.Append(1, i, entriesOf(1, i, 1, 1+int(i%5)*1700))
			l.Submit(&b, func(err error) {
				mu.Lock()
				acked = i
				mu.Unlock()
				if err != nil {
					t.Errorf("batch %d: %v", i, err)
				}
				<-tokens
			})
		}
		mustClose(t, l)
		fs.OnOp = nil
		want := make([]raftpb.Entry, 0, batches)
		for i := raftpb.Index(1); i <= batches; i++ {
			want = append(want, entriesOf(1, i, 1, 1+int(i%5)*1700)...)
		}
		for _, s := range shots {
			images++
			l, rec, err := Open("wal", manual(s.image))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			last := l.Group(1).LastIndex()
			if last < s.acked || last > s.made {
				t.Fatalf("seed %d: %d entries, %d acknowledged, %d made", seed, last, s.acked, s.made)
			}
			checkEntries(t, l.Group(1), 1, want[:last])
			if rec.Torn {
				holes++
			}
			crash(l)
		}
	}
	t.Logf("%d crash images with frames in two lanes, %d of them torn", images, holes)
}
