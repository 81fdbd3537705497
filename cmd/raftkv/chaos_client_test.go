package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// chaosClient is one client of a history. It does one thing at a time.
type chaosClient struct {
	*chaos
	k       *cluster.Client
	random  *rand.Rand
	process int
	session int64 // 0: none
	serial  int64
	written int
}

// client reads and writes until the chaos is over.
func (c *chaos) client(id int) {
	k, err := cluster.New(c.addrs, transport.ClientConfig{})
	if err != nil {
		c.t.Error(err)
		return
	}
	defer k.Close()
	cl := &chaosClient{chaos: c, k: k, random: rand.New(rand.NewPCG(uint64(id), 1)), process: c.process()}
	for !c.done.Load() {
		e := cl.next()
		e.Process, e.Start = cl.process, c.history.now()
		err := cl.do(&e)
		e.End, e.Outcome = c.history.now(), outcomeOf(err)
		if err := c.history.add(e); err != nil {
			c.t.Error(err)
			return
		}
		if e.Outcome == unknown {
			cl.process, cl.session = c.process(), 0
		}
	}
}

// outcomeOf says what an error leaves open.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return happened
	case errors.Is(err, cluster.ErrUnknown):
		return unknown
	}
	var unavailable *raftpb.Unavailable
	if errors.As(err, &unavailable) && unavailable.Applied.Set {
		return unknown // it happened, and the answer is lost
	}
	return happensNot
}

// next makes up an operation. Keys change with time, so that no key's history becomes too long to check.
func (cl *chaosClient) next() event {
	age := cl.history.now() / int64(1500*time.Millisecond)
	e := event{Key: fmt.Sprintf("key-%d-%d", age, cl.random.IntN(4))}
	cl.written++
	text := fmt.Sprintf("%d.%d ", cl.process, cl.written)
	switch cl.random.IntN(10) {
	case 0, 1, 2:
		e.Op, e.Mode = "get", "linearizable"
	case 3:
		e.Op, e.Mode = "get", "follower"
	case 4, 5:
		e.Op, e.Value = "put", text
	case 6:
		e.Op = "del"
	case 7:
		e.Op, e.Value = "cas", text
		if cl.random.IntN(2) == 0 {
			var got event
			got.Key = e.Key
			if cl.get(&got, raftpb.ConsistencyStale) == nil {
				e.Expected = got.Answer.Value
			}
		}
	default:
		e.Op, e.Value = "append", text
	}
	return e
}

// do carries out an operation and fills in what the store said.
func (cl *chaosClient) do(e *event) error {
	if e.Op == "get" {
		mode := raftpb.ConsistencyLinearizable
		if e.Mode == "follower" {
			mode = raftpb.ConsistencyFollower
		}
		return cl.get(e, mode)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	once, kind := (*kvpb.InSession)(nil), cluster.Once
	if cl.process%2 == 0 { // every other client retries what it does not know, in a session
		if once = cl.inSession(ctx); once == nil {
			return errors.New("no session")
		}
		kind = cluster.Again
	}
	group, key, value := kvpb.DefaultGroup, []byte(e.Key), []byte(e.Value)
	switch e.Op {
	case "put":
		var resp kvpb.PutResponse
		err := cl.k.Call(ctx, kind, kvpb.KVPut, &kvpb.PutRequest{Group: group, Key: key, Value: value, TimeoutMs: 1000, Once: once}, &resp)
		e.Answer.Found = resp.Existed
		return err
	case "del":
		var resp kvpb.DeleteResponse
		err := cl.k.Call(ctx, kind, kvpb.KVDelete, &kvpb.DeleteRequest{Group: group, Key: key, TimeoutMs: 1000, Once: once}, &resp)
		e.Answer.Found = resp.Existed
		return err
	case "append":
		var resp kvpb.AppendResponse
		err := cl.k.Call(ctx, kind, kvpb.KVAppendValue, &kvpb.AppendRequest{Group: group, Key: key, Value: value, TimeoutMs: 1000, Once: once}, &resp)
		e.Answer.Length = resp.Length
		return err
	default:
		req := &kvpb.CasRequest{Group: group, Key: key, Value: value, TimeoutMs: 1000, Once: once}
		if e.Expected != "" {
			req.Expected = []byte(e.Expected)
		}
		var resp kvpb.CasResponse
		err := cl.k.Call(ctx, kind, kvpb.KVCas, req, &resp)
		e.Answer.Swapped = resp.Swapped
		return err
	}
}

func (cl *chaosClient) get(e *event, mode raftpb.Consistency) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var resp kvpb.GetResponse
	err := cl.k.Call(ctx, cluster.Read, kvpb.KVGet, &kvpb.GetRequest{
		Group: kvpb.DefaultGroup, Key: []byte(e.Key), Consistency: mode, TimeoutMs: 1000,
	}, &resp)
	e.Answer = reply{Found: resp.Value != nil, Value: string(resp.Value)}
	return err
}

// inSession is the place of the next command in this client's session; nil: there is no session to be had.
func (cl *chaosClient) inSession(ctx context.Context) *kvpb.InSession {
	if cl.session == 0 {
		var resp raftpb.OpenSessionResponse
		req := &raftpb.OpenSessionRequest{Group: kvpb.DefaultGroup, TimeoutMs: 1000}
		if err := cl.k.Call(ctx, cluster.Again, raftpb.RaftClientOpenSession, req, &resp); err != nil {
			return nil
		}
		cl.session, cl.serial = resp.Session, 0
	}
	cl.serial++
	return &kvpb.InSession{Session: cl.session, Serial: cl.serial, AckedBelow: cl.serial}
}
