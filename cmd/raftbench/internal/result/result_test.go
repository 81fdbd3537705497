package result

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run is a run of 50 intervals around a throughput and a latency, with noise that lasts
// for a few intervals, as a machine's does.
func run(r *rand.Rand, ops, us float64) *Result {
	one := 1.5
	a := &Result{System: "raftwire", Durability: Durable, Nodes: 3, Payload: "128", Loop: "closed", AllocsPerOp: &one, WireBytesPerOp: 300}
	noise := 0.0
	for range 50 {
		noise = 0.7*noise + 0.05*r.NormFloat64()
		i := Interval{OpsPerSecond: ops * (1 + noise), P50: us * (1 - noise), P99: 3 * us * (1 - noise)}
		a.Intervals = append(a.Intervals, i)
		a.OpsPerSecond += i.OpsPerSecond / 50
		a.LatencyUs.P50 += i.P50 / 50
		a.LatencyUs.P99 += i.P99 / 50
	}
	return a
}

func verdicts(c Comparison) string {
	var list []string
	for _, r := range c.Ratios {
		list = append(list, r.Name+" "+r.Verdict)
	}
	return strings.Join(list, ", ")
}

func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	base := run(r, 100_000, 500)
	worse, better, same := run(r, 80_000, 650), run(r, 130_000, 400), run(r, 100_000, 500)
	for name, test := range map[string]struct {
		b    *Result
		want string
	}{
		"worse":  {worse, "throughput REGRESSION, latency p50 REGRESSION, latency p99 REGRESSION, allocations per op not judged, wire bytes per op not judged"},
		"better": {better, "throughput better, latency p50 better, latency p99 better, allocations per op not judged, wire bytes per op not judged"},
		"same":   {same, "throughput same, latency p50 same, latency p99 same, allocations per op not judged, wire bytes per op not judged"},
	} {
		c := Compare([]*Result{base}, []*Result{test.b}, 0.05)
		if got := verdicts(c); got != test.want || c.Unit != "interval" {
			t.Errorf("%s: %s\n%+v", name, got, c)
		}
		if (len(c.Regressions()) > 0) != (name == "worse") {
			t.Errorf("%s: regressions %q", name, c.Regressions())
		}
		for _, ratio := range c.Ratios[:3] {
			if ratio.Low > ratio.Ratio || ratio.High < ratio.Ratio || ratio.Low == ratio.High {
				t.Errorf("%s: the interval %v to %v of %s does not hold %v", name, ratio.Low, ratio.High, ratio.Name, ratio.Ratio)
			}
		}
		if again := Compare([]*Result{base}, []*Result{test.b}, 0.05); verdicts(again) != verdicts(c) || again.Ratios[0] != c.Ratios[0] {
			t.Errorf("%s: the same files give another answer", name)
		}
	}
}

// Two measurements of the same thing must not be told apart much more often than one
// time in twenty; that is what 95 % means.
func TestNoiseIsNoRegression(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	told := 0
	const pairs = 100
	for range pairs {
		if c := Compare([]*Result{run(r, 1000, 500)}, []*Result{run(r, 1000, 500)}, 0); c.Ratios[0].Verdict != Same {
			told++
		}
	}
	if told > pairs/5 {
		t.Errorf("%d of %d pairs without a difference were told apart", told, pairs)
	}
}

// With enough rounds, rounds are the samples, and every figure is judged.
func TestCompareRounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var a, b []*Result
	for range minSamples {
		a, b = append(a, run(r, 1000, 500)), append(b, run(r, 1000, 500))
		more := 3 + r.Float64()
		b[len(b)-1].AllocsPerOp = &more
	}
	c := Compare(a, b, 0.05)
	if got := c.Regressions(); c.Unit != "round" || !slices.Equal(got, []string{"allocations per op"}) {
		t.Errorf("%s of %s", got, c.Unit)
	}
}

func TestComparable(t *testing.T) {
	a := &Result{Durability: Durable, Payload: "128", Nodes: 3}
	b := *a
	b.Codec, b.Version, b.OpsPerSecond = "msgpack", "v2", 5 // what may be compared
	if err := Comparable([]*Result{a}, []*Result{&b}); err != nil {
		t.Error(err)
	}
	b.Durability, b.Payload = "none (memory)", "1024"
	err := Comparable([]*Result{a}, []*Result{a, &b})
	if !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), `durability: "fsync" and "none (memory)"; payload: "128" and "1024"`) {
		t.Errorf("%v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, err := json.Marshal(run(rand.New(rand.NewPCG(1, 1)), 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := Load(file("two", string(one)+"\n"+string(one)+"\n")); err != nil || len(list) != 2 || len(list[1].Intervals) != 50 {
		t.Errorf("%v, %v", list, err)
	}
	for name, text := range map[string]string{"empty": "", "other": `{"a":1}`, "no object": "x", "cut": string(one[:100])} {
		if _, err := Load(file(name, text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine(t.TempDir())
	if m.CPUs < 1 || m.Go == "" || m.OS == "" || !strings.Contains(m.String(), m.Go) {
		t.Errorf("%+v: %s", m, m)
	}
	if missing := ThisMachine(filepath.Join(t.TempDir(), "missing", "too")); missing.Filesystem != m.Filesystem {
		t.Errorf("a directory that is not there yet is on %q, want %q", missing.Filesystem, m.Filesystem)
	}
}
