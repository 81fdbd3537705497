package enginetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// notebook keeps what was written to it, by letter. Its faults are planted.
type notebook struct {
	Pages [8]string
	Reads int
	kept  []byte

	mu    sync.Mutex // a fault need not be a data race
	fault string
	own   int // nobody else has it
}

func (n *notebook) Apply(b engine.Batch, results []engine.Result) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault == "batches" && len(b.Commands) > 1 {
		b.Commands = b.Commands[1:]
	}
	for i, c := range b.Commands {
		page := &n.Pages[c.Data[0]&7]
		*page = (*page + string(c.Data))[max(0, len(*page)+len(c.Data)-20):]
		results[i].Data = fmt.Append(nil, *page)
		if n.fault == "keeps" {
			results[i].Data = fmt.Appendf(results[i].Data, "%q", n.kept)
			n.kept = c.Data // the bytes are not its own
		}
		if n.fault == "determinism" {
			results[i].Data = fmt.Append(nil, n.own)
		}
		if n.fault == "reads" {
			results[i].Data = fmt.Append(results[i].Data, n.Reads)
		}
	}
	return nil
}

func (n *notebook) Query(q []byte) ([]byte, error) {
	if n.fault == "reads" {
		n.Reads++
	}
	return []byte(n.Pages[q[0]&7]), nil
}

func (n *notebook) Snapshot() (engine.Snapshot, error) {
	switch n.fault {
	case "capture":
		return page{pages: &n.Pages, mu: &n.mu}, nil
	case "restore":
		short := n.Pages
		short[3] = ""
		return page{pages: &short, mu: new(sync.Mutex)}, nil
	}
	copied := n.Pages
	return page{pages: &copied, mu: new(sync.Mutex), silent: n.fault == "write-error"}, nil
}

func (n *notebook) Restore(r io.Reader) error {
	return json.NewDecoder(r).Decode(&n.Pages)
}

type page struct {
	mu     *sync.Mutex
	pages  *[8]string
	silent bool
}

func (p page) WriteTo(w io.Writer) (int64, error) {
	p.mu.Lock()
	b, err := json.Marshal(p.pages)
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	if p.silent {
		err = nil
	}
	return int64(n), err
}

func (page) Close() error { return nil }

func notes(fault string) enginetest.Conformance {
	made := 0
	return enginetest.Conformance{
		New:     func() engine.StateMachine { made++; return &notebook{fault: fault, own: made} },
		Command: letter,
		Queries: [][]byte{{3}, {5}},
	}
}

// A machine without a fault conforms, and each planted fault breaks the rule that is there for it.
func TestStateMachineSuite(t *testing.T) {
	enginetest.TestStateMachine(t, notes(""))
	for fault, rule := range map[string]string{
		"determinism": "determinism", "batches": "batches", "restore": "restore",
		"capture": "capture", "reads": "reads", "write-error": "write-error", "keeps": "batches",
	} {
		err := notes(fault).Check(1)
		if !broken(err, rule) {
			t.Errorf("%s: want the rule %s to be broken: %v", fault, rule, err)
		}
	}
}

func broken(err error, rule string) bool {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, e := range all.Unwrap() {
		var v *enginetest.Violation
		if errors.As(e, &v) && v.Rule == rule {
			return true
		}
	}
	return false
}

// onDisk claims to hold more than it was given.
type onDisk struct {
	notebook
	last engine.Index
}

func (d *onDisk) Apply(b engine.Batch, results []engine.Result) error {
	d.last = b.Last + 1
	return d.notebook.Apply(b, results)
}
func (d *onDisk) Applied() (engine.Index, error)         { return d.last, nil }
func (d *onDisk) LoadMeta(func(key, value []byte)) error { return nil }
func (d *onDisk) Sync() error                            { return nil }

func TestWrongAppliedIsFound(t *testing.T) {
	c := notes("")
	c.New = func() engine.StateMachine { return new(onDisk) }
	if err := c.Check(1); !broken(err, "applied") {
		t.Errorf("want the rule applied to be broken: %v", err)
	}
}

// A test of a machine says enginetest.TestStateMachine(t, c); Check tells the same as an error.
func ExampleConformance_Check() {
	c := enginetest.Conformance{
		New:     func() engine.StateMachine { return new(turnstile) }, // its snapshot has a bug
		Command: func(r *rand.Rand) []byte { return []byte([]string{"in", "in", "out"}[r.IntN(3)]) },
	}
	var v *enginetest.Violation
	fmt.Println(errors.As(c.Check(2), &v), v.Rule)
	// Output: true restore
}
