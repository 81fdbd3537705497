// Wal compares logs on one disk: entries appended durably, one append after the
// other, with ours, the bare disk and the logs of other Raft libraries in turns. It
// prints Markdown: a table per shape of append, and the ratios that are goals.
//
//	go run ./wal -rounds 9 -slice 300ms -dir /path/on/the/disk
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wal:", err)
		os.Exit(1)
	}
}

type config struct {
	dir    string
	rounds int
	slice  time.Duration
	bytes  int
	only   string
	disk   *meter.Disk
}

func run(args []string) error {
	var c config
	fs := flag.NewFlagSet("wal", flag.ExitOnError)
	parent := fs.String("dir", filepath.Join(os.TempDir(), "raftwire-peers"), "directory on the disk to measure")
	fs.IntVar(&c.rounds, "rounds", 9, "rounds; in each, every log has its turn with every shape")
	fs.DurationVar(&c.slice, "slice", 300*time.Millisecond, "time of a turn, at most")
	fs.IntVar(&c.bytes, "bytes", 32<<20, "bytes of entries appended in a turn, at most")
	fs.StringVar(&c.only, "only", "", "comma-separated names of logs (default: all)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if c.rounds < 1 {
		return errors.New("-rounds is at least 1")
	}
	if err := os.MkdirAll(*parent, 0o755); err != nil {
		return err
	}
	var err error
	if c.dir, err = os.MkdirTemp(*parent, "wal-"); err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	c.disk = meter.NewDisk(c.dir)
	fmt.Printf("%s, %d CPUs, %d rounds of %v or %d MiB, in turns; p50 in µs: median (lowest–highest) over rounds\n",
		runtime.Version(), runtime.NumCPU(), c.rounds, c.slice, c.bytes>>20)
	var all []*contest
	for _, s := range shapes() {
		ct, err := c.measure(s)
		if err != nil {
			return err
		}
		ct.print()
		all = append(all, ct)
	}
	printGoals(all)
	if c.only != "" {
		return nil
	}
	return c.measureGroups()
}

// shape is one kind of append.
type shape struct {
	entries, bytes int
}

func (s shape) String() string {
	if s.bytes >= 1<<10 {
		return fmt.Sprintf("%d x %d KiB", s.entries, s.bytes>>10)
	}
	return fmt.Sprintf("%d x %d B", s.entries, s.bytes)
}

func shapes() []shape { return []shape{{1, 128}, {16, 128}, {256, 128}, {16, 16 << 10}} }

// bodies makes what each append of a shape carries.
func (s shape) bodies() [][]byte {
	r := rand.New(rand.NewPCG(7, uint64(s.bytes)))
	list := make([][]byte, s.entries)
	for i := range list {
		list[i] = make([]byte, s.bytes)
		for j := range list[i] {
			list[i][j] = byte(r.Uint32())
		}
	}
	return list
}

// store is a log that is open.
type store interface {
	// append stores bodies at first, first+1 and so on; they are durable when it returns.
	append(first uint64, bodies [][]byte) error
	close() error
}

// contestant is a log with its measurements for one shape.
type contestant struct {
	name  string
	store store
	next  uint64 // index of the next entry
	turns []turn
}

// turn is what was measured in one round.
type turn struct {
	appends int
	p50     float64 // us
	mean    float64
	cpu     float64 // us per append, of the process
	allocs  float64 // per append
	flushes float64 // cache flushes of the device per append
	amplify float64 // bytes written to the device / bytes of bodies
}

// contest is all logs with one shape.
type contest struct {
	shape shape
	list  []*contestant
}

func (c *config) measure(s shape) (_ *contest, err error) {
	ct := &contest{shape: s}
	dir := filepath.Join(c.dir, strings.ReplaceAll(s.String(), " ", ""))
	defer func() { err = errors.Join(err, ct.close(), os.RemoveAll(dir)) }()
	for _, o := range openers() {
		if c.only != "" && !strings.Contains(","+c.only+",", ","+o.name+",") {
			continue
		}
		own := filepath.Join(dir, o.name)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return nil, err
		}
		st, err := o.open(own)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", o.name, err)
		}
		ct.list = append(ct.list, &contestant{name: o.name, store: st, next: 1})
	}
	bodies := s.bodies()
	for round := range c.rounds + 1 {
		for _, x := range ct.list {
			t, err := c.turn(x, s, bodies)
			if err != nil {
				return nil, fmt.Errorf("%s, %v: %w", x.name, s, err)
			}
			if round > 0 { // the first warms up
				x.turns = append(x.turns, t)
			}
		}
	}
	return ct, nil
}

func (ct *contest) close() error {
	var errs []error
	for _, x := range ct.list {
		errs = append(errs, x.store.close())
	}
	return errors.Join(errs...)
}

// turn lets one log append for a while, on a disk that has nothing else to do.
func (c *config) turn(x *contestant, s shape, bodies [][]byte) (turn, error) {
	unix.Sync()
	size := s.entries * s.bytes
	h := new(meter.Histogram)
	before := meter.Process()
	c.disk.Read(&before)
	n := 0
	for start := time.Now(); ; n++ {
		began := time.Now()
		if began.Sub(start) > c.slice || n*size >= c.bytes {
			break
		}
		if err := x.store.append(x.next, bodies); err != nil {
			return turn{}, err
		}
		h.Add(time.Since(began))
		x.next += uint64(s.entries)
	}
	after := meter.Process()
	c.disk.Read(&after)
	used, per := after.Sub(before), float64(max(n, 1))
	sum := meter.Summarise(h)
	return turn{
		appends: n, p50: sum.P50, mean: sum.Mean, cpu: used.CPU.Seconds() * 1e6 / per, allocs: float64(used.Allocs) / per,
		flushes: float64(used.Flushes) / per, amplify: float64(used.WriteBytes) / (per * float64(size)),
	}, nil
}
