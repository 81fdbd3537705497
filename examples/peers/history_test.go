package peers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// event is one operation of a client on one key: it read value, or wrote it. "" is no value.
type event struct {
	key, value string
	write      bool
	lost       bool // a write without an answer
}

// history is what clients did and saw. They work from start to stop.
type history struct {
	t       *testing.T
	cl      *cluster
	begun   time.Time
	done    *atomic.Bool
	clients sync.WaitGroup
	names   atomic.Int64
	written atomic.Int64

	mu  sync.Mutex
	all []porcupine.Operation
}

func (cl *cluster) load(t *testing.T) *history {
	h := &history{t: t, cl: cl, begun: time.Now()}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *history) start() {
	done := new(atomic.Bool)
	h.done = done
	for range 4 {
		h.clients.Go(func() { h.client(done) })
	}
}

func (h *history) stop() {
	h.done.Store(true)
	h.clients.Wait()
}

// goesOn waits until so many more writes were acknowledged.
func (h *history) goesOn(how string) {
	h.t.Helper()
	goal, begin := h.written.Load()+50, time.Now()
	eventually(h.t, "writes "+how, func() bool { return h.written.Load() >= goal })
	h.t.Logf("writes go on %s (%v)", how, time.Since(begin).Round(time.Second/10))
}

// client reads and writes. Whose write got no answer goes on under another name: the write may happen at any time.
func (h *history) client(done *atomic.Bool) {
	name, at := h.names.Add(1), 0
	attempts := time.NewTicker(20 * time.Millisecond)
	defer attempts.Stop()
	for count := 0; !done.Load(); count++ {
		call := time.Since(h.begun)
		e := event{key: fmt.Sprintf("%d-%d", call/(2*time.Second), rand.IntN(3)), write: rand.IntN(3) > 0}
		if e.write {
			e.value = fmt.Sprintf("%d.%d", name, count)
		}
		happened, unknown := h.carryOut(h.cl.nodes[at], &e)
		o := porcupine.Operation{ClientId: int(name), Input: e, Call: int64(call), Return: int64(time.Since(h.begun))}
		switch {
		case happened && e.write:
			h.written.Add(1)
		case !happened:
			at = 1 - at
			<-attempts.C
		}
		if unknown && e.write {
			e.lost = true
			o.Input, name = e, h.names.Add(1)
		}
		if happened || e.lost {
			h.mu.Lock()
			h.all = append(h.all, o)
			h.mu.Unlock()
		}
	}
}

// carryOut tells whether an operation happened, or whether nobody knows.
func (h *history) carryOut(n *node, e *event) (happened, unknown bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	c, err := transport.Dial(ctx, n.address, transport.ClientConfig{})
	if err != nil {
		return false, false
	}
	defer c.Close()
	if e.write {
		req := &kvpb.PutRequest{Group: group, Key: []byte(e.key), Value: []byte(e.value), TimeoutMs: 2000}
		err = c.Call(ctx, kvpb.KVPut, req, new(kvpb.PutResponse))
	} else {
		var resp kvpb.GetResponse
		err = c.Call(ctx, kvpb.KVGet, &kvpb.GetRequest{Group: group, Key: []byte(e.key), TimeoutMs: 2000}, &resp)
		e.value = string(resp.Value)
	}
	var notLeader *raftpb.NotLeader
	var unavailable *raftpb.Unavailable
	switch {
	case err == nil:
		return true, false
	case errors.As(err, &notLeader):
		return false, false
	case errors.As(err, &unavailable):
		return false, unavailable.MaybeApplied || unavailable.Applied.Set
	}
	return false, true
}

// check has porcupine look at the history.
func (h *history) check() {
	h.t.Helper()
	never := int64(time.Since(h.begun))
	for i := range h.all {
		if h.all[i].Input.(event).lost {
			h.all[i].Return = never
		}
	}
	result := porcupine.CheckOperationsTimeout(model(), h.all, 2*time.Minute)
	h.t.Logf("%d operations, %d writes acknowledged: %v", len(h.all), h.written.Load(), result)
	if result != porcupine.Ok {
		h.t.Errorf("the history is not linearizable: %v", result)
	}
}

// model is a store whose keys do not touch each other.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
			place := map[string]int{}
			for _, o := range all {
				key := o.Input.(event).key
				i, known := place[key]
				if !known {
					i = len(parts)
					place[key], parts = i, append(parts, nil)
				}
				parts[i] = append(parts[i], o)
			}
			return parts
		},
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			e := input.(event)
			if e.write {
				return true, e.value
			}
			return state.(string) == e.value, state
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// The checker itself: what it has to refuse, it refuses.
func TestTheCheckerSeesWhatIsWrong(t *testing.T) {
	put := porcupine.Operation{Input: event{key: "k", value: "a", write: true}, Call: 0, Return: 1}
	get := porcupine.Operation{ClientId: 1, Input: event{key: "k", value: "a"}, Call: 2, Return: 3}
	stale := porcupine.Operation{ClientId: 1, Input: event{key: "k"}, Call: 2, Return: 3}
	if !porcupine.CheckOperations(model(), []porcupine.Operation{put, get}) {
		t.Error("a read of what was written is refused")
	}
	if porcupine.CheckOperations(model(), []porcupine.Operation{put, stale}) {
		t.Error("a lost write is not seen")
	}
}
