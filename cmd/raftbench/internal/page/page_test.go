package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// sample is a plausible run; scale moves its figures.
func sample(label string, scale float64) *result.Result {
	cpu, allocs := 6.5, 0.7
	r := &result.Result{
		System: "raftwire", Version: "v1.2.3", Nodes: 3, Groups: 1, Clients: 256, Payload: "128", Codec: "thrift-compact", Durability: result.Durable,
		Loop: "closed", InFlight: 1, Seconds: 10, Ops: uint64(650_000 * scale), OpsPerSecond: 65_000 * scale, Label: label,
		LatencyUs:        result.Latencies{Mean: 3900, P50: 3200, P90: 6000, P99: 15_800, P999: 35_000, Max: 81_000},
		FsyncsPer1000Ops: 26.6, CPUSecondsPerMop: &cpu, AllocsPerOp: &allocs, WireBytesPerOp: 300, StateHashEqual: true, Verified: true,
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), WarmupSeconds: 2.2, Steady: true, IntervalSeconds: 0.2, Leaders: []int{1, 0, 0},
		Machine: result.Machine{OS: "linux", Kernel: "6.18", Arch: "amd64", CPU: "a processor", CPUs: 4, MemoryBytes: 24 << 30, Filesystem: "ext4", Go: "go1.26", Load: "0.10 0.20 0.30"},
	}
	r.HeadlineOpsPerSecond = &r.OpsPerSecond
	for _, p := range []float64{1, 25, 50, 75, 90, 99, 99.9, 99.99, 100} {
		r.Percentiles = append(r.Percentiles, result.Percentile{P: p, Us: 800 / scale * math.Pow(1/(1-min(p, 99.999)/100), 0.4)})
	}
	for i := range 50 {
		ops := 65_000 * scale * (1 + 0.1*math.Sin(float64(i)))
		r.Intervals = append(r.Intervals, result.Interval{OpsPerSecond: ops, P50: 3200, P99: 15_000 + 2000*math.Cos(float64(i))})
	}
	for i, n := range []uint64{0, 0, 0, 40, 900, 5000, 2500, 300, 20, 0} {
		r.FsyncUs.UpTo, r.FsyncUs.Counts = append(r.FsyncUs.UpTo, float64(int(16)<<i)), append(r.FsyncUs.Counts, n)
		r.BatchSizes.UpTo, r.BatchSizes.Counts = append(r.BatchSizes.UpTo, float64(int(1)<<i)), append(r.BatchSizes.Counts, n/10)
	}
	return r
}

func failover() *result.Result {
	r := sample("", 0.5)
	r.Scenario = &result.Scenario{
		Name: "failover", Events: []result.Event{{At: 3, What: "kill -9 of node 2, the leader <b>"}}, Outages: []float64{1100}, OutageP50: 1100, OutageP99: 1100,
		ElectionTimeoutMs: 1000, Phases: []result.Phase{{Name: "before", To: 3, OpsPerSecond: 60_000, P50: 3000, P99: 9000}},
	}
	return r
}

func write(t *testing.T, list ...*result.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, list); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var outside = regexp.MustCompile(`(?i)https?://|<script|<link|<img|@import|url\(`)

// The page says what was measured where, draws it, and asks nothing of anybody.
func TestPage(t *testing.T) {
	memory := sample("", 1)
	memory.Durability, memory.HeadlineOpsPerSecond = "none (memory)", nil
	for name, test := range map[string]struct {
		list []*result.Result
		want []string
		not  []string
	}{
		"one": {
			[]*result.Result{sample("", 1)},
			[]string{"65,000 ops/s", "v1.2.3", "a processor", "data on ext4", "24.0 GiB", "durable (fsync)", "Duration of a sync", "Commands applied together", "prefers-color-scheme: dark"},
			[]string{"no headline", "Scenario"},
		},
		"memory": {[]*result.Result{memory}, []string{"no headline", "none (memory)"}, []string{"durable (fsync)"}},
		"sweep":  {[]*result.Result{sample("clients 1", 0.1), sample("clients 256", 1)}, []string{"clients 1", "clients 256", "of each run"}, nil},
		"scenario": {
			[]*result.Result{failover()}, []string{"Scenario failover", "kill -9 of node 2", "1.1 s", `class="mark"`, "&lt;b&gt;"}, []string{"<b>"},
		},
		"nothing measured": {[]*result.Result{{System: "raftwire", Durability: "fsync"}}, []string{"no headline"}, []string{"NaN", "Inf"}},
	} {
		t.Run(name, func(t *testing.T) {
			html := write(t, test.list...)
			for _, want := range test.want {
				if !strings.Contains(html, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range append(test.not, "<no value>", "%!") {
				if strings.Contains(html, not) {
					t.Errorf("there is %q", not)
				}
			}
			if found := outside.FindString(html); found != "" {
				t.Errorf("the page needs something from elsewhere: %s", found)
			}
			checkDrawings(t, html)
		})
	}
	if err := Write(io.Discard, nil); err == nil {
		t.Error("a page of nothing")
	}
}

// checkDrawings checks that all drawings are well-formed.
func checkDrawings(t *testing.T, html string) {
	t.Helper()
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html, -1)
	if len(drawings) < 3 {
		t.Errorf("%d drawings", len(drawings))
	}
	for _, svg := range drawings {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%v in %.200s", err, svg)
				break
			}
		}
	}
}

// The page in a real browser, light and dark. It needs Chromium; RAFTBENCH_SCREENSHOT=FILE
// keeps what it looked like, of the results in RAFTBENCH_RESULTS when that is set.
func TestThePageInABrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	list := []*result.Result{sample("", 1)}
	if name := os.Getenv("RAFTBENCH_RESULTS"); name != "" {
		if list, err = result.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(write(t, list...)), 0o644); err != nil {
		t.Fatal(err)
	}
	browse := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(chromium, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
			"--window-size=1120,1340", "--virtual-time-budget=2000",
		}, append(args, "file://"+file)...)...)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if dom := string(browse("--dump-dom")); !strings.Contains(dom, "<polyline") || !strings.Contains(dom, "<rect") {
		t.Errorf("no charts in\n%s", dom)
	}
	light := os.Getenv("RAFTBENCH_SCREENSHOT")
	if light == "" {
		light = filepath.Join(dir, "light.png")
	}
	dark := filepath.Join(dir, "dark.png")
	browse("--screenshot=" + light)
	browse("--blink-settings=preferredColorScheme=0", "--screenshot="+dark)
	a, err := os.ReadFile(light)
	if err != nil || len(a) < 10_000 {
		t.Fatalf("the screenshot has %d bytes, %v", len(a), err)
	}
	if b, err := os.ReadFile(dark); err != nil || bytes.Equal(a, b) {
		t.Errorf("dark looks like light: %v", err)
	}
}
