// Goals measures all codecs in turns, in short slices and many rounds, and prints
// what came out as Markdown: every codec's figures, and the goals of the codec layer.
//
//	go run ./codec/goals -rounds 15 -slice 10ms
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	peers "github.com/seed-814fcd60/raftwire/benchmarks/peers/codec"
	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

func main() {
	rounds := flag.Int("rounds", 15, "rounds; all figures are medians over them")
	slice := flag.Duration("slice", 10*time.Millisecond, "time per codec, direction and round")
	flag.Parse()
	if err := run(*rounds, *slice); err != nil {
		fmt.Fprintln(os.Stderr, "goals:", err)
		os.Exit(1)
	}
}

func run(rounds int, slice time.Duration) error {
	if rounds < 1 {
		return fmt.Errorf("%d rounds: at least 1", rounds)
	}
	var all []*task
	for _, shape := range peers.Shapes() {
		list, err := tasks(shape)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	for range rounds {
		for _, t := range all {
			t.measure(slice)
		}
	}
	results := map[key]*task{}
	for _, t := range all {
		results[t.key] = t
	}
	fmt.Printf("%s, %d CPUs, %d rounds of %v each, in turns; medians (lowest–highest)\n\n", runtime.Version(), runtime.NumCPU(), rounds, slice)
	printAll(all)
	return printGoals(results)
}

type key struct {
	shape, subject string
	decode         bool
}

func (k key) String() string {
	if k.decode {
		return k.shape + " decode"
	}
	return k.shape + " encode"
}

// task is one codec and direction.
type task struct {
	key
	run    func() error
	bytes  int
	allocs float64
	perRun []float64 // nanoseconds, one figure per round
	batch  int       // calls between two looks at the clock
}

func tasks(shape peers.Shape) ([]*task, error) {
	var list []*task
	for _, s := range peers.NewSubjects(shape) {
		encoded, err := s.Encode()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		list = append(list, &task{
			key: key{shape.Name, s.Name, false}, bytes: len(encoded),
			run: func() error { _, err := s.Encode(); return err },
		})
		if s.Decode != nil {
			in := slices.Clone(encoded)
			list = append(list, &task{key: key{shape.Name, s.Name, true}, bytes: len(in), run: func() error { return s.Decode(in) }})
		}
	}
	for _, t := range list {
		var failed error
		t.allocs = testing.AllocsPerRun(100, func() {
			if err := t.run(); err != nil {
				failed = err
			}
		})
		if failed != nil {
			return nil, fmt.Errorf("%v with %s: %w", t.key, t.subject, failed)
		}
		t.batch = 16
	}
	return list, nil
}

// measure runs the task for about slice. Errors were looked for before: the same
// bytes give the same outcome.
func (t *task) measure(slice time.Duration) {
	n := 0
	start := time.Now()
	elapsed := time.Duration(0)
	for elapsed < slice {
		for range t.batch {
			t.run() //nolint:errcheck // see above; a check would be part of the time
		}
		n += t.batch
		elapsed = time.Since(start)
	}
	t.perRun = append(t.perRun, float64(elapsed)/float64(n))
}

func printAll(all []*task) {
	fmt.Println("| message | codec | bytes | ns | GB/s | allocations | ns per call / raftwire compact |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|")
	ours := map[key]*task{}
	for _, t := range all {
		if t.subject == peers.Compact {
			ours[key{shape: t.shape, decode: t.decode}] = t
		}
	}
	for _, decode := range []bool{false, true} {
		for _, t := range all {
			if t.decode != decode {
				continue
			}
			ns := meter.Median(t.perRun)
			base := ours[key{shape: t.shape, decode: decode}]
			fmt.Printf("| %v | %s | %d | %s | %.1f | %.0f | %.2f |\n", t.key, t.subject, t.bytes,
				spread("%.0f", t.perRun), float64(t.bytes)/ns, t.allocs, meter.Median(ratios(t, base)))
		}
	}
}

// ratios are a's times by b's times in the same round.
func ratios(a, b *task) []float64 {
	v := make([]float64, len(a.perRun))
	for i := range v {
		v[i] = a.perRun[i] / b.perRun[i]
	}
	return v
}
