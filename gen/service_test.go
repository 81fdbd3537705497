package gen_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest/basis"
	"github.com/seed-814fcd60/raftwire/codec/codectest/everything"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// loop is a transport without a network: it encodes and decodes what a real one would. With framed set it uses
// Thrift's calling convention, else the bare structs of native frames.
type loop struct {
	handler codec.Handler
	codec   codec.Codec
	framed  bool
}

var _ codec.Caller = loop{}

// Call implements codec.Caller.
func (l loop) Call(ctx context.Context, m *codec.Method, req, resp codec.Message) error {
	received := m.NewRequest()
	if l.framed {
		args := m.NewArgs().(codec.Args)
		args.SetRequest(req)
		other := m.NewArgs().(codec.Args)
		if err := l.copy(args, other); err != nil {
			return err
		}
		received = other.Request()
	} else if err := l.copy(req, received); err != nil {
		return err
	}
	out, err := l.handler.Handle(ctx, m, received)
	if m.Oneway || (m.NewResponse == nil && err == nil) {
		return err
	}
	result := m.NewResult()
	if err != nil && !result.SetException(err) {
		return err
	}
	if err == nil {
		if !l.framed {
			return l.copy(out, resp)
		}
		result.SetSuccess(out)
	}
	back := m.NewResult()
	if err := l.copy(result, back); err != nil {
		return err
	}
	if x := back.Exception(); x != nil {
		return x
	}
	return l.copy(back.Success(), resp)
}

func (l loop) copy(from, to codec.Message) error {
	b, err := l.codec.Append(nil, from)
	if err != nil {
		return err
	}
	return l.codec.Decode(b, to, nil)
}

// server implements the service that has a method of every kind.
type server struct{ forgotten string }

var errSecret = errors.New("not declared in the IDL")

func (s *server) Echo(_ context.Context, text string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("echo: %w", &basis.Broken{What: "nothing", Code: codec.Some[int32](7)})
	}
	return text, nil
}

func (s *server) Ping(context.Context) error { return nil }

func (s *server) One(_ context.Context, req *everything.Scalars) (*everything.Scalars, error) {
	switch req.Medium {
	case 1:
		return nil, &everything.Odd{Message: "odd", Number: 1}
	case 2:
		return nil, errSecret
	case 3:
		return nil, nil //nolint:nilnil // what a broken server does
	}
	return req, nil
}

func (s *server) Sum(_ context.Context, a int32, b int64, tree *everything.Tree) (int64, error) {
	return int64(a) + b + int64(tree.Value), nil
}

func (s *server) Names(_ context.Context, filter everything.Names) ([]string, error) {
	if len(filter) == 0 {
		return nil, nil
	}
	return append([]string{"first"}, filter...), nil
}

func (s *server) Nothing(_ context.Context, _ *everything.Empty) error {
	return &everything.Odd{Number: 9}
}

func (s *server) Forget(_ context.Context, what string) error {
	s.forgotten = what
	return nil
}

func (s *server) Counts(context.Context) (map[string]int32, error) {
	return map[string]int32{"a": 1}, nil
}

func (s *server) Raw(_ context.Context, data []byte) ([]byte, error) { return data, nil }

func (s *server) Size(context.Context) (everything.Size, error) { return everything.SizeLarge, nil }

// TestService calls every kind of method through both conventions and every codec.
func TestService(t *testing.T) {
	for _, name := range codec.Names() {
		for _, framed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/framed=%v", name, framed), func(t *testing.T) {
				c, _ := codec.ByName(name)
				s := &server{}
				client := everything.NewEverythingClient(loop{everything.NewEverythingHandler(s), c, framed})
				testValues(t, client, s)
				testExceptions(t, client)
			})
		}
	}
}

func testValues(t *testing.T, client *everything.EverythingClient, s *server) {
	t.Helper()
	ctx := t.Context()
	if got, err := client.Echo(ctx, "hello"); got != "hello" || err != nil {
		t.Errorf("Echo, of the base service: %q, %v", got, err)
	}
	if err := client.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if got, err := client.One(ctx, &everything.Scalars{Text: "x"}); err != nil || got.Text != "x" {
		t.Errorf("One: %+v, %v", got, err)
	}
	if got, err := client.Sum(ctx, 1, 2, &everything.Tree{Value: 3}); got != 6 || err != nil {
		t.Errorf("Sum: %d, %v", got, err)
	}
	if got, err := client.Names(ctx, everything.Names{"a"}); !slices.Equal(got, []string{"first", "a"}) || err != nil {
		t.Errorf("Names: %q, %v", got, err)
	}
	if got, err := client.Names(ctx, nil); got == nil || len(got) != 0 || err != nil {
		t.Errorf("Names, of which there are none: %#v, %v", got, err)
	}
	if err := client.Forget(ctx, "it"); err != nil || s.forgotten != "it" {
		t.Errorf("Forget: %v, the server has %q", err, s.forgotten)
	}
	if got, err := client.Counts(ctx); !maps.Equal(got, map[string]int32{"a": 1}) || err != nil {
		t.Errorf("Counts: %v, %v", got, err)
	}
	if got, err := client.Raw(ctx, []byte("raw")); string(got) != "raw" || err != nil {
		t.Errorf("Raw: %q, %v", got, err)
	}
	if got, err := client.Size(ctx); got != everything.SizeLarge || err != nil {
		t.Errorf("Size: %v, %v", got, err)
	}
}

func testExceptions(t *testing.T, client *everything.EverythingClient) {
	t.Helper()
	ctx := t.Context()
	_, err := client.Echo(ctx, "")
	if broken, ok := errors.AsType[*basis.Broken](err); !ok || broken.What != "nothing" || broken.Code != codec.Some[int32](7) {
		t.Errorf("a declared exception, wrapped: %v", err)
	}
	_, err = client.One(ctx, &everything.Scalars{Medium: 1})
	if odd, ok := errors.AsType[*everything.Odd](err); !ok || odd.Number != 1 {
		t.Errorf("a declared exception: %v", err)
	}
	if err.Error() != `Odd{Message:odd Number:1}` {
		t.Errorf("its text: %v", err)
	}
	if err = client.Nothing(ctx, &everything.Empty{}); !errors.As(err, new(*everything.Odd)) {
		t.Errorf("an exception of a void method: %v", err)
	}
	if _, err = client.One(ctx, &everything.Scalars{Medium: 2}); !errors.Is(err, errSecret) {
		t.Errorf("an error that is not declared: %v", err)
	}
	if _, err = client.One(ctx, &everything.Scalars{Medium: 3}); !errors.Is(err, codec.ErrNoResponse) {
		t.Errorf("neither response nor error: %v", err)
	}
}

// TestMethods checks the descriptions of raft.thrift's services: numbers and names are unique over one port.
func TestMethods(t *testing.T) {
	ids, names := map[uint16]string{}, map[string]bool{}
	for _, m := range slices.Concat(raftpb.RaftPeerMethods, raftpb.RaftClientMethods, raftpb.RaftAdminMethods) {
		if m.ID == 0 || ids[m.ID] != "" || names[m.Name] {
			t.Errorf("%s.%s: id %d, name taken: %v", m.Service, m.Name, m.ID, names[m.Name])
		}
		ids[m.ID], names[m.Name] = m.Name, true
		if m.Oneway != (m.NewResult == nil) || m.Oneway != (m.NewResponse == nil) {
			t.Errorf("%s.%s: oneway %v, but NewResult or NewResponse does not fit", m.Service, m.Name, m.Oneway)
		}
		args := m.NewArgs().(codec.Args)
		if a, b := fmt.Sprintf("%T", args.Request()), fmt.Sprintf("%T", m.NewRequest()); a != b {
			t.Errorf("%s.%s: Request is %s, NewRequest makes %s", m.Service, m.Name, a, b)
		}
	}
	if n := len(everything.EverythingMethods); n != 10 || everything.EverythingMethods[0] != basis.BaseMethods[0] {
		t.Errorf("Everything has %d methods, or not those of its base", n)
	}
	h := raftpb.NewRaftPeerHandler(nil)
	_, err := h.Handle(t.Context(), raftpb.RaftClientRead, new(raftpb.ReadRequest))
	if unknown, ok := errors.AsType[*codec.UnknownMethodError](err); !ok || unknown.Method != "Read" {
		t.Errorf("a method of another service: %v", err)
	}
}
