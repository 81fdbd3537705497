package cluster

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers Propose as it is told to, and notes who was asked.
type server struct {
	name    string
	addr    string
	network *transport.TCP
	log     *asked
	answers []func(*transport.Call) // one by one; the last one again and again
}

// asked is who was called, in order. It is safe for concurrent use.
type asked struct {
	mu    sync.Mutex
	names []string
}

func (a *asked) add(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = append(a.names, name)
	n := 0
	for _, other := range a.names {
		if other == name {
			n++
		}
	}
	return n
}

func (a *asked) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.names, " ")
}

func (s *server) ServeCall(c *transport.Call) {
	n := s.log.add(s.name)
	s.answers[min(n, len(s.answers))-1](c)
}

func ok(c *transport.Call) { c.Reply(&raftpb.ProposeResponse{Index: 7}) }

func fail(err error) func(*transport.Call) { return func(c *transport.Call) { c.Fail(err) } }

// serve starts a server.
func serve(t *testing.T, log *asked, name string, answers ...func(*transport.Call)) *server {
	t.Helper()
	s := &server{name: name, log: log, answers: answers}
	var err error
	s.network, err = transport.Listen(transport.Config{
		Cluster: "test", Node: 1, Listen: "127.0.0.1:0", Handler: s, ClientMethods: raftpb.RaftClientMethods,
		CloseTimeout: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = s.network.Addr()
	t.Cleanup(func() { s.network.Close() })
	return s
}

// propose makes a call at endpoints.
func propose(t *testing.T, limit time.Duration, kind Kind, endpoints ...string) (*raftpb.ProposeResponse, error) {
	t.Helper()
	c, err := New(endpoints, transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	resp := new(raftpb.ProposeResponse)
	return resp, c.Call(ctx, kind, raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, resp)
}

const (
	long  = time.Minute            // never reached
	short = 150 * time.Millisecond // always reached
)

// Who does not lead says who does, or does not know; the call finds its way.
func TestACallFindsTheLeader(t *testing.T) {
	log := new(asked)
	c := serve(t, log, "c", ok)
	b := serve(t, log, "b", fail(&raftpb.NotLeader{}), fail(&raftpb.NotLeader{Leader: codec.Some(raftpb.NodeID(3)), LeaderAddress: codec.Some(c.addr)}))
	a := serve(t, log, "a", fail(&raftpb.NotLeader{}))
	resp, err := propose(t, long, Once, a.addr, b.addr)
	if err != nil || resp.Index != 7 {
		t.Errorf("%+v, %v", resp, err)
	}
	if got := log.String(); got != "a b a b c" {
		t.Errorf("asked %s", got)
	}
}

// What certainly did not happen is tried again, whatever the call.
func TestWhatDidNotHappenIsTriedAgain(t *testing.T) {
	log := new(asked)
	busy := &raftpb.Rejected{Code: raftpb.RejectCodeBusy}
	b := serve(t, log, "b", fail(busy), fail(&raftpb.Unavailable{}), fail(&raftpb.NoSuchGroup{}),
		fail(&transport.RemoteError{Type: transport.RemoteBusy}), ok)
	if _, err := propose(t, long, Once, "127.0.0.1:1", b.addr); err != nil {
		t.Errorf("%v after %s", err, log)
	}
}

// After what may have happened, a call that must not be carried out twice ends, and says that nobody knows.
func TestWhatMayHaveHappenedIsNotTriedAgain(t *testing.T) {
	for name, answer := range map[string]func(*transport.Call){
		"may be applied":  fail(&raftpb.Unavailable{MaybeApplied: true}),
		"internal error":  fail(errors.New("oops")),
		"connection ends": nil,
	} {
		log := new(asked)
		s := serve(t, log, "s", ok)
		s.answers = []func(*transport.Call){answer, ok}
		if answer == nil {
			s.answers[0] = func(*transport.Call) { go s.network.Close() }
		}
		if _, err := propose(t, long, Once, s.addr); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: Once: %v", name, err)
		}
		if answer == nil {
			continue
		}
		log.names = nil
		if _, err := propose(t, long, Again, s.addr); err != nil || log.String() != "s s" {
			t.Errorf("%s: Again: %v after %s", name, err, log)
		}
	}
}

// What is refused is refused at once; but if an earlier attempt may have happened, that is what counts.
func TestRefusals(t *testing.T) {
	refused := fail(&raftpb.Rejected{Code: raftpb.RejectCodeTooLarge})
	log := new(asked)
	s := serve(t, log, "s", refused)
	var rejected *raftpb.Rejected
	if _, err := propose(t, long, Again, s.addr); !errors.As(err, &rejected) || errors.Is(err, ErrUnknown) || len(log.names) != 1 {
		t.Errorf("%v after %s", err, log)
	}
	s.answers, log.names = []func(*transport.Call){fail(&raftpb.Unavailable{MaybeApplied: true}), refused}, nil
	if _, err := propose(t, long, Again, s.addr); !errors.As(err, &rejected) || !errors.Is(err, ErrUnknown) {
		t.Errorf("refused behind an open attempt: %v", err)
	}
	log.names = nil
	if _, err := propose(t, long, Read, s.addr); !errors.As(err, &rejected) || errors.Is(err, ErrUnknown) {
		t.Errorf("a read has no unknown outcome: %v", err)
	}
	s.answers = []func(*transport.Call){fail(&raftpb.Unavailable{MaybeApplied: true, Applied: codec.Some(raftpb.Index(9))})}
	var unavailable *raftpb.Unavailable
	if _, err := propose(t, long, Again, s.addr); !errors.As(err, &unavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("applied, and the result is lost: %v", err)
	}
	s.answers = []func(*transport.Call){fail(&raftpb.NoSuchGroup{Group: 1})}
	var noGroup *raftpb.NoSuchGroup
	if _, err := propose(t, long, Once, s.addr); !errors.As(err, &noGroup) {
		t.Errorf("no group anywhere: %v", err)
	}
}

// When the time is over, the error says whether anything may have happened.
func TestTheTimeEnds(t *testing.T) {
	if _, err := propose(t, short, Once, "127.0.0.1:1"); !errors.Is(err, ErrNoNode) || errors.Is(err, ErrUnknown) {
		t.Errorf("nobody there: %v", err)
	}
	log := new(asked)
	silent := serve(t, log, "s", func(*transport.Call) {})
	for kind, want := range map[Kind]bool{Once: true, Again: true, Read: false} {
		if _, err := propose(t, short, kind, silent.addr); err == nil || errors.Is(err, ErrUnknown) != want {
			t.Errorf("kind %d, no answer: %v", kind, err)
		}
	}
	slices.Sort(log.names)
}
