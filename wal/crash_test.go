package wal

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

var torture = flag.Int("torture", 1, "factor on the number of crash images; above 1, every byte is damaged")

// thinly is how many cases out of n a test takes: all under -torture, fewer in
// short mode, where the race detector runs and looks for other things.
func thinly(n int) int {
	switch {
	case *torture > 1:
		return 1
	case testing.Short():
		return 8 * n
	}
	return n
}

// crashRun is one workload on a crashing disk, with everything that is needed to
// judge an image of it.
type crashRun struct {
	t       *testing.T
	seed    uint64
	gen     *generator
	fs      *crashfs.FS
	clock   *handClock
	mu      sync.Mutex // of states: images are judged while the workload goes on
	states  []string   // by number of batches
	noSync  map[raftpb.Index]bool
	acked   raftpb.Index
	images  atomic.Int64
	nested  atomic.Int64
	same    atomic.Int64
	work    chan func()
	workers sync.WaitGroup
	rng     *rand.Rand
	op      int
}

func (c *crashRun) options(fs FS, n uint64) Options {
	o := manual(fs)
	o.SegmentBytes, o.Random, o.Clock = 64<<10, seed(n), &handClock{now: time.Unix(1e9, 0)}
	if c.seed%2 == 1 {
		o.Spares = -1 // segments that grow as they are written
	}
	o.CacheBytes = -1
	return o
}

// TestCrash crashes a workload before every operation of its file system, keeps
// eight different parts of what was not synced, and opens each image: what was
// acknowledged is there, nothing else than a prefix of what was submitted is.
// A sample of the images crashes again, during recovery.
func TestCrash(t *testing.T) {
	var images, nested, same int64
	for seed := range uint64(7 * *torture) {
		c := &crashRun{
			t: t, seed: seed, gen: newGenerator(seed, 4), fs: crashfs.New(),
			clock: &handClock{now: time.Unix(1e9, 0)}, noSync: map[raftpb.Index]bool{},
			rng: rand.New(rand.NewPCG(seed, 7)), work: make(chan func(), 64),
		}
		for range runtime.GOMAXPROCS(0) {
			c.workers.Go(func() {
				for f := range c.work {
					f()
				}
			})
		}
		c.run(max(6, 40/thinly(1)))
		close(c.work)
		c.workers.Wait()
		images, nested, same = images+c.images.Load(), nested+c.nested.Load(), same+c.same.Load()
		if t.Failed() {
			break
		}
	}
	t.Logf("%d crash images, %d of them of a crash during recovery; %d recovered twice, with the same bytes",
		images+nested, nested, same)
	if images+nested < 50_000 && !testing.Short() && !t.Failed() {
		t.Error("fewer than 50,000 images")
	}
}

func (c *crashRun) run(batches int) {
	c.note()
	c.fs.OnOp = func(crashfs.Op) error {
		c.op++
		c.shoot()
		return nil
	}
	o := c.options(c.fs, c.seed)
	o.Clock = c.clock
	l, _ := mustOpen(c.t, "wal", o)
	var b Batch
	for range batches {
		for range 1 + c.rng.IntN(3) {
			noSync := c.gen.fill(&b)
			n := c.gen.n
			c.note()
			c.noSync[n] = noSync
			l.Submit(&b, func(err error) {
				if err != nil {
					c.t.Errorf("batch %d: %v", n, err)
				}
				if !noSync {
					c.acked = n
				}
			})
		}
		for l.Step() {
		}
		switch c.rng.IntN(12) {
		case 0:
			c.clock.advance(10 * time.Millisecond)
			for l.Step() {
			}
		case 1:
			mustClose(c.t, l)
			c.acked = c.gen.n
			o.Random = seed(c.seed + uint64(c.op))
			l, _ = mustOpen(c.t, "wal", o)
		}
		if got, err := showLog(l); err != nil || got != c.state(c.gen.n) {
			c.t.Fatalf("seed %d: after batch %d: %v\n%s", c.seed, c.gen.n, err, firstDiff(got, c.state(c.gen.n)))
		}
	}
	mustClose(c.t, l)
	c.acked = c.gen.n
	c.shoot()
}

// note keeps what the log holds after the batches made so far.
func (c *crashRun) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = append(c.states, c.gen.m.String())
}

// state is what the log holds after n batches.
func (c *crashRun) state(n raftpb.Index) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[n]
}

// shoot takes all images of this moment and has them judged.
func (c *crashRun) shoot() {
	acked, made := c.acked, c.gen.n
	for i, s := range crashfs.Survivals() {
		image := c.fs.Image(s, c.rng)
		where := fmt.Sprintf("seed %d, before operation %d, survival %d", c.seed, c.op, i)
		nest := c.rng.IntN(60) == 0
		c.work <- func() { c.judge(image, where, acked, made, nest) }
	}
	killed := c.fs.Clone()
	where := fmt.Sprintf("seed %d, killed before operation %d", c.seed, c.op) // c.op moves on
	c.work <- func() { c.judgeKill(killed, where, acked, made) }
}

// judge opens an image and checks what it holds; with nest it also crashes the
// recovery at each of its operations.
func (c *crashRun) judge(image *crashfs.FS, where string, acked, made raftpb.Index, nest bool) {
	if c.t.Failed() {
		return
	}
	c.images.Add(1)
	rng := rand.New(rand.NewPCG(uint64(len(where)), uint64(acked)))
	var inner []*crashfs.FS
	if nest {
		image.OnOp = func(crashfs.Op) error {
			for _, s := range crashfs.Survivals()[:4] {
				inner = append(inner, image.Image(s, rng))
			}
			return nil
		}
	}
	l, _, err := Open("wal", c.options(image, 1000))
	image.OnOp = nil
	if err != nil {
		c.t.Errorf("%s: %v", where, err)
		return
	}
	n := c.check(l, where, acked, made)
	if nest {
		crash(l)
		if l = c.openAgain(image, where); l == nil {
			return
		}
	}
	// The log goes on, and what was shown stays.
	var b Batch
	b.HardState(counterGroup, HardState{Term: 5, Commit: n})
	if err := l.Write(&b); err != nil {
		c.t.Errorf("%s: write after recovery: %v", where, err)
	}
	crash(l)
	again := image.Image(crashfs.Survival{}, rng)
	l, _, err = Open("wal", c.options(again, 1001))
	if err != nil {
		c.t.Errorf("%s: second recovery: %v", where, err)
		return
	}
	if hs := l.Group(counterGroup).HardState(); hs != (HardState{Term: 5, Commit: n}) {
		c.t.Errorf("%s: second recovery shows %v, want commit %d", where, hs, n)
	}
	crash(l)
	for i, im := range inner {
		c.nested.Add(1)
		c.judge(im, fmt.Sprintf("%s, recovery image %d", where, i), acked, made, false)
	}
}

// openAgain opens an image that was recovered a second time: not a byte of it moves.
func (c *crashRun) openAgain(image *crashfs.FS, where string) *Log {
	before := contents(image)
	l, _, err := Open("wal", c.options(image, 1000))
	if err != nil {
		c.t.Errorf("%s: recovered twice: %v", where, err)
		return nil
	}
	after := contents(image)
	if !maps.Equal(before, after) {
		c.t.Errorf("%s: recovered twice, segments differ: %d files, %d files", where, len(before), len(after))
	}
	c.same.Add(1)
	return l
}

// contents are the segments by name.
func contents(fs *crashfs.FS) map[string]string {
	files := map[string]string{}
	names, _ := fs.List("wal/seg")
	for _, name := range names {
		files[name] = string(fs.Bytes("wal/seg/" + name))
	}
	return files
}

// judgeKill is for the death of the process alone: all that was written is there,
// and it is on disk once the log was opened again.
func (c *crashRun) judgeKill(fs *crashfs.FS, where string, acked, made raftpb.Index) {
	if c.t.Failed() {
		return
	}
	c.images.Add(1)
	l, _, err := Open("wal", c.options(fs, 1002))
	if err != nil {
		c.t.Errorf("%s: %v", where, err)
		return
	}
	n := c.check(l, where, acked, made)
	crash(l)
	after := fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 1)))
	l, _, err = Open("wal", c.options(after, 1003))
	if err != nil {
		c.t.Errorf("%s, then power lost: %v", where, err)
		return
	}
	if got := c.check(l, where+", then power lost", n, made); got != n {
		c.t.Errorf("%s: batch %d was shown, %d is there after the power was lost", where, n, got)
	}
	crash(l)
}

// check finds out how many batches the log has and compares all it holds.
func (c *crashRun) check(l *Log, where string, acked, made raftpb.Index) raftpb.Index {
	n := l.Group(counterGroup).HardState().Commit
	if n < acked || n > made {
		c.t.Errorf("%s: log has %d batches, %d were acknowledged and %d made", where, n, acked, made)
		return n
	}
	got, err := showLog(l)
	if err != nil {
		c.t.Errorf("%s: %v", where, err)
	} else if got != c.state(n) {
		c.t.Errorf("%s: after %d batches:\n%s", where, n, firstDiff(got, c.state(n)))
	}
	return n
}

func firstDiff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}
