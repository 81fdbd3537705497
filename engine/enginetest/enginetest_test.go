package enginetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// tally counts words. It does all that a machine must.
type tally struct{ counts [8]uint64 }

func (s *tally) Apply(b engine.Batch, results []engine.Result) error {
	for i, c := range b.Commands {
		s.counts[c.Data[0]&7]++
		results[i].Data = fmt.Append(nil, s.counts[c.Data[0]&7])
	}
	return nil
}

func (s *tally) Query([]byte) ([]byte, error) { return nil, nil }

func (s *tally) Snapshot() (engine.Snapshot, error) { return tallyState(s.counts), nil }

func (s *tally) Restore(r io.Reader) error { return json.NewDecoder(r).Decode(&s.counts) }

type tallyState [8]uint64

func (s tallyState) WriteTo(w io.Writer) (int64, error) { return 0, json.NewEncoder(w).Encode(s) }
func (s tallyState) Close() error                       { return nil }

func letter(r *rand.Rand) []byte { return []byte{byte('a' + r.IntN(8))} }

// TestSimulate: a machine without a bug lives in any world.
func TestSimulate(t *testing.T) {
	checked := 0
	for seed := range uint64(6) {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New:     func() engine.StateMachine { return new(tally) },
			Command: letter,
			Check: func(members map[int64]engine.StateMachine) error {
				for id, m := range members {
					for other, n := range members {
						if *m.(*tally) != *n.(*tally) {
							return fmt.Errorf("nodes %d and %d differ", id, other)
						}
					}
				}
				checked++
				return nil
			},
		})
	}
	if checked != 6 {
		t.Errorf("Check was asked %d times", checked)
	}
}

// fickle answers by what nobody else knows.
type fickle struct {
	tally
	own uint64
}

func (s *fickle) Apply(b engine.Batch, results []engine.Result) error {
	for i := range b.Commands {
		results[i].Data = fmt.Append(nil, s.own)
	}
	return nil
}

// TestBadMachines: each kind of fault of a machine is found, by the check that is
// announced for it.
func TestBadMachines(t *testing.T) {
	var made uint64
	for check, m := range map[string]enginetest.Machine{
		"I16":   {New: func() engine.StateMachine { made++; return &fickle{own: made} }, Command: letter},
		"group": {New: func() engine.StateMachine { return refuses{new(tally)} }, Command: letter},
		"panic": {New: func() engine.StateMachine { return panics{new(tally)} }, Command: letter},
		"check": {
			New: func() engine.StateMachine { return new(tally) }, Command: letter,
			Check: func(map[int64]engine.StateMachine) error { return errors.New("never content") },
		},
	} {
		r := m.Run(enginetest.Options{Seed: 2})
		if r.Failure == nil || r.Failure.Check != check {
			t.Errorf("%s: %v", check, r.Failure)
		}
	}
}

type refuses struct{ *tally }

func (refuses) Apply(engine.Batch, []engine.Result) error { return errors.New("no") }

type panics struct{ *tally }

func (panics) Apply(engine.Batch, []engine.Result) error { panic("no") }

// TestLeaveOut: in every profile the phase of faults ends when it is told to, and kinds
// of trouble and single troubles can be left out.
func TestLeaveOut(t *testing.T) {
	for _, p := range enginetest.Profiles() {
		kinds := map[string]bool{}
		for seed := uint64(1); seed <= 40 && len(kinds) < 6; seed++ {
			o := enginetest.Options{Seed: seed, Events: 1000}
			whole := p.Run(o)
			if whole.Failure != nil || whole.Events < o.Events || whole.Events > 20*o.Events {
				t.Fatalf("%s, seed %d: %d events, %v", p.Name, seed, whole.Events, whole.Failure)
			}
			for _, name := range whole.Faults.Names() {
				kinds[name], o.Without = true, []string{name}
				if r := p.Run(o); r.Faults[name] != 0 {
					t.Errorf("%s, seed %d, without %s: %v", p.Name, seed, name, r.Faults)
				}
			}
			o.Without, o.Skip = nil, []enginetest.Range{{From: 1, To: 1 << 62}}
			if r := p.Run(o); whole.Troubles > 0 && (len(r.Faults) != 1 || r.Faults[r.Faults.Names()[0]] != 1) {
				t.Errorf("%s, seed %d: all but one are left out: %v", p.Name, seed, r.Faults)
			}
		}
		if len(kinds) < 6 {
			t.Errorf("%s: nothing but %v struck", p.Name, kinds)
		}
	}
}

// TestShrinkCores: what a failure of a world of cores does not need is left out of it.
func TestShrinkCores(t *testing.T) {
	p, err := enginetest.ProfileByName("core")
	if err != nil {
		t.Fatal(err)
	}
	run := p.Run
	p.Run = func(o enginetest.Options) enginetest.Report {
		r := run(o)
		if r.Faults["crash"] > 0 && r.Failure == nil {
			r.Failure = &enginetest.Failure{Check: "crashed"}
		}
		return r
	}
	o := enginetest.Options{Seed: 1, Events: 1000}
	for p.Run(o).Failure == nil {
		o.Seed++
	}
	all, left := p.Run(o).Troubles, uint64(0)
	small := enginetest.Shrink(p, o, time.Minute)
	for _, n := range small.Report.Faults {
		left += n
	}
	if small.Report.Faults["crash"] != 1 || left > all/4 || len(small.Options.Without) == 0 || len(small.Options.Skip) == 0 {
		t.Errorf("%+v: %v", small.Options, small.Report.Faults)
	}
}

// Seeds that were red once stay green: testdata/seeds has a file for each.
func TestRedSeeds(t *testing.T) {
	files, err := filepath.Glob("testdata/seeds/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var red struct {
			Profile string
			Found   string // what was wrong
			Options enginetest.Options
		}
		if err := json.Unmarshal(b, &red); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := enginetest.ProfileByName(red.Profile)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r := p.Run(red.Options); r.Failure != nil {
			t.Errorf("%s: %v\nit was: %s", name, r.Failure, red.Found)
		}
	}
}

// hashes runs some seeds of every profile and returns what they add up to.
func hashes() (out string) {
	for _, p := range enginetest.Profiles() {
		s := enginetest.Campaign{Profile: p, First: 1, Seeds: 12, Events: 2000}.Run(nil)
		out += fmt.Sprintf("%s %016x %d;", p.Name, s.Hash, len(s.Failures))
	}
	return out
}

// TestOneSeedOneTrace: other processes, with one processor or two, do exactly the same.
func TestOneSeedOneTrace(t *testing.T) {
	const asked = "ENGINETEST_HASHES"
	if os.Getenv(asked) != "" {
		fmt.Fprintln(os.Stdout, "hashes:"+hashes())
		return
	}
	want := "hashes:" + hashes()
	for _, processors := range []string{"1", "2"} {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneSeedOneTrace$")
		c.Env = append(os.Environ(), asked+"=1", "GOMAXPROCS="+processors)
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(string(out), "\n"); got != want {
			t.Errorf("GOMAXPROCS=%s:\n%s\n%s", processors, got, want)
		}
	}
}

// TestProfiles: every profile runs, says what it did, and gives the same twice.
func TestProfiles(t *testing.T) {
	for _, p := range enginetest.Profiles() {
		o := enginetest.Options{Seed: 5, Events: 1500}
		lines := 0
		o.Trace = func(enginetest.Line) { lines++ }
		a := p.Run(o)
		o.Trace = nil
		b := p.Run(o)
		if a.Failure != nil || a.Hash != b.Hash || a.Events == 0 || lines < 100 || p.Summary == "" {
			t.Errorf("%s: %v, %x and %x, %d events, %d lines", p.Name, a.Failure, a.Hash, b.Hash, a.Events, lines)
		}
	}
	if _, err := enginetest.ProfileByName("nothing"); err == nil {
		t.Error("there is a profile that is none")
	}
}

// A campaign adds up its seeds, finds failures, and does not take little for much.
func TestCampaign(t *testing.T) {
	events := uint64(100)
	p := enginetest.Profile{Name: "made", EventsPerSeed: 50, Run: func(o enginetest.Options) enginetest.Report {
		r := enginetest.Report{Seed: o.Seed, Events: events, Deliveries: events / 2, Hash: o.Seed, Faults: enginetest.Counts{"loss": 1}}
		if o.Seed == 130 {
			r.Failure = &enginetest.Failure{Check: "I1"}
		}
		return r
	}}
	s := enginetest.Campaign{Profile: p, First: 1, Seeds: 120}.Run(nil)
	if !s.Green() || s.Events != 12_000 || s.Faults["loss"] != 120 {
		t.Errorf("%+v", s)
	}
	again := enginetest.Campaign{Profile: p, First: 1, Seeds: 120}.Run(nil)
	if s.Hash != again.Hash {
		t.Error("the hash depends on the order in which the seeds end")
	}
	if s = (enginetest.Campaign{Profile: p, First: 100, Seeds: 120}).Run(nil); s.Green() || len(s.Failures) != 1 {
		t.Errorf("%+v", s)
	}
	if s.Undecided != 0 {
		t.Errorf("a violation counts as undecided")
	}
	unable := p
	unable.Run = func(o enginetest.Options) enginetest.Report {
		return enginetest.Report{Seed: o.Seed, Events: events, Failure: &enginetest.Failure{Check: enginetest.Undecided}}
	}
	if s = (enginetest.Campaign{Profile: unable, First: 1, Seeds: 1}).Run(nil); s.Green() || s.Undecided != 1 {
		t.Errorf("a world that no oracle could judge is not green: %+v", s)
	}
	p.Marks = []string{"taken", "missed"}
	p.Run = func(o enginetest.Options) enginetest.Report {
		return enginetest.Report{Seed: o.Seed, Events: events, Deliveries: events / 2, Marks: enginetest.Counts{"taken": 1}}
	}
	if s = (enginetest.Campaign{Profile: p, First: 1, Seeds: enginetest.MarksFrom}).Run(nil); !strings.HasSuffix(s.Invalid, ": missed") {
		t.Errorf("a mark that was missed: %q", s.Invalid)
	}
	if s = (enginetest.Campaign{Profile: p, First: 1, Seeds: 100}).Run(nil); !s.Green() {
		t.Errorf("so few seeds need not reach all marks: %q", s.Invalid)
	}
	events = 20
	if s = (enginetest.Campaign{Profile: p, First: 1, Seeds: 120}).Run(nil); s.Green() || s.Invalid == "" {
		t.Errorf("%+v", s)
	}
}
