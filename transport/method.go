package transport

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// method is a codec.Method with what this package has found out about its structs, and
// messages for reuse.
//
// A Thrift call carries a struct of arguments and a struct of results. Nearly always
// these are wrappers: arguments with the one field 1, a result with the one field 0. Their
// wrapping is then a constant prefix and a stop byte, and the message inside is encoded
// and decoded where it stands:
//
//	Compact arguments  1C    request 00       Binary arguments  0C 00 01 request 00
//	Compact result     0C 00 response 00      Binary result     0C 00 00 response 00
type method struct {
	*codec.Method
	qualified   string // "Service:Method"
	peerOnly    bool   // served after the handshake only
	plainArgs   bool   // arguments are a wrapper as above
	plainResult bool   // the result of a success is
	requests    sync.Pool
}

func (p protocol) argsPrefix() string {
	if p == protoBinary {
		return "\x0C\x00\x01"
	}
	return "\x1C"
}

func (p protocol) resultPrefix() string {
	if p == protoBinary {
		return "\x0C\x00\x00"
	}
	return "\x0C\x00"
}

// begins reports whether b begins with prefix and has more.
func begins(b []byte, prefix string) bool {
	return len(b) > len(prefix) && string(b[:len(prefix)]) == prefix
}

func newMethod(m *codec.Method, peerOnly bool) *method {
	r := &method{Method: m, qualified: m.Service + ":" + m.Name, peerOnly: peerOnly}
	r.requests.New = func() any { return m.NewRequest() }
	if args, ok := m.NewArgs().(codec.Args); ok {
		req := m.NewRequest()
		args.SetRequest(req)
		r.plainArgs = bytes.Equal(args.AppendCompact(nil), append(req.AppendCompact([]byte{0x1C}), 0))
	}
	if m.NewResponse != nil && m.NewResult != nil {
		resp, result := m.NewResponse(), m.NewResult()
		result.SetSuccess(resp)
		r.plainResult = bytes.Equal(result.AppendCompact(nil), append(resp.AppendCompact([]byte{0x0C, 0}), 0))
	}
	return r
}

// appendArgs appends the arguments struct that holds req.
func (m *method) appendArgs(b []byte, p protocol, req codec.Message) ([]byte, error) {
	if m.plainArgs {
		b = append(b, p.argsPrefix()...)
		b, err := p.codec().Append(b, req)
		return append(b, 0), err
	}
	args, ok := m.NewArgs().(codec.Args)
	if !ok {
		return p.codec().Append(b, req)
	}
	args.SetRequest(req)
	return p.codec().Append(b, args)
}

// parseArgs decodes an arguments struct, all of b, and returns the request in it.
func (m *method) parseArgs(b []byte, p protocol, l *codec.Limits) (codec.Message, error) {
	prefix := p.argsPrefix()
	if m.plainArgs && begins(b, prefix) {
		req := m.requests.Get().(codec.Message)
		if n, err := p.parse(b[len(prefix):], req, l); err == nil && len(b) == len(prefix)+n+1 && b[len(b)-1] == 0 {
			return req, nil
		} // else there is more than the one field: the general way tells
	}
	all := m.NewArgs()
	if err := p.codec().Decode(b, all, l); err != nil {
		return nil, err
	}
	if args, ok := all.(codec.Args); ok {
		return args.Request(), nil
	}
	return all, nil
}

// appendResult appends the result struct of a success; resp is nil for a void method.
func (m *method) appendResult(b []byte, p protocol, resp codec.Message) ([]byte, error) {
	if m.plainResult && resp != nil {
		b = append(b, p.resultPrefix()...)
		b, err := p.codec().Append(b, resp)
		return append(b, 0), err
	}
	result := m.NewResult()
	if resp != nil {
		result.SetSuccess(resp)
	}
	return p.codec().Append(b, result)
}

// parseResult decodes a result struct, all of b, into resp (nil for a void method), or
// returns the exception in it.
func (m *method) parseResult(b []byte, p protocol, resp codec.Message, l *codec.Limits) error {
	prefix := p.resultPrefix()
	if m.plainResult && resp != nil && begins(b, prefix) {
		n, err := p.parse(b[len(prefix):], resp, l)
		if err == nil && len(b) == len(prefix)+n+1 && b[len(b)-1] == 0 {
			return nil
		}
	}
	result, whole := resp.(codec.Result) // what is returned is no struct: resp is the result itself
	if !whole {
		result = m.NewResult()
	}
	if err := p.codec().Decode(b, result, l); err != nil {
		return err
	}
	if exc := result.Exception(); exc != nil {
		return exc
	}
	success := result.Success()
	switch {
	case resp == nil || whole && success != nil:
		return nil
	case success == nil:
		return &RemoteError{Type: RemoteMissingResult, Message: m.Name + ": neither a result nor an exception"}
	}
	_, err := p.parse(appendMessage(p, success), resp, l)
	return err
}

// appendMessage encodes m alone.
func appendMessage(p protocol, m codec.Message) []byte {
	if p == protoBinary {
		return m.AppendBinary(nil)
	}
	return m.AppendCompact(nil)
}

// methodTable finds what a port serves.
type methodTable struct {
	byID      map[uint16]*method
	byName    map[string]*method // "Method" and "Service:Method"
	handshake *method            // is in neither
}

func newMethodTable(peer, client []*codec.Method) methodTable {
	t := methodTable{byID: map[uint16]*method{}, byName: map[string]*method{}, handshake: newMethod(raftpb.RaftPeerHandshake, false)}
	add := func(list []*codec.Method, peerOnly bool) {
		for _, cm := range list {
			if isHandshake([]byte(cm.Name)) {
				continue // answered here, never by the handler
			}
			m := newMethod(cm, peerOnly)
			if m.ID != 0 {
				t.byID[m.ID] = m
			}
			t.byName[m.Name] = m
			t.byName[m.qualified] = m
		}
	}
	add(client, false)
	add(peer, true)
	return t
}

// methodFaults reports methods that a port cannot tell apart.
func methodFaults(lists ...[]*codec.Method) []error {
	var errs []error
	ids, names := map[uint16]string{}, map[string]bool{}
	for _, list := range lists {
		for _, m := range list {
			name := m.Service + "." + m.Name
			if other, ok := ids[m.ID]; ok && m.ID != 0 {
				errs = append(errs, fmt.Errorf("transport: config: Methods: %s has id %d of %s", name, m.ID, other))
			}
			ids[m.ID] = name
			if isHandshake([]byte(m.Name)) && m.Service != raftpb.RaftPeerHandshake.Service {
				errs = append(errs, fmt.Errorf("transport: config: Methods: %s: the name is taken by %s", name, raftpb.RaftPeerHandshake.Service))
			}
			if names[m.Name] {
				errs = append(errs, fmt.Errorf("transport: config: Methods: name %s is there twice", m.Name))
			}
			names[m.Name] = true
		}
	}
	return errs
}
