package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	official "github.com/seed-814fcd60/raftwire/gen/testdata/official/raftpb"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// startNode starts a cluster of one in a process of its own and returns its address.
func startNode(t *testing.T, dir string, more ...string) (p *program, addr string) {
	t.Helper()
	args := []string{"node", "--id", "1", "--cluster", "c", "--listen", "127.0.0.1:0", "--dir", dir, "--election-timeout", "50ms", "--segment", "1048576"}
	p = startProgram(t, append(args, more...)...)
	line := p.line(t)
	m := regexp.MustCompile(`^raftbench node 1: ready on (127\.0\.0\.1:\d+), durability .+$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("ready line %q", line)
	}
	return p, m[1]
}

// stockClient is what the official Thrift compiler generates, over the official
// library's framed transport.
func stockClient(t *testing.T, addr string, protocol thrift.TProtocolFactory) *official.RaftClientClient {
	t.Helper()
	framed := thrift.NewTFramedTransportConf(thrift.NewTSocketConf(addr, nil), nil)
	if err := framed.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = framed.Close() })
	return official.NewRaftClientClientFactory(framed, protocol)
}

func TestNodeServesStockThriftClients(t *testing.T) {
	t.Parallel()
	_, addr := startNode(t, filepath.Join(t.TempDir(), "data"))
	for name, protocol := range map[string]thrift.TProtocolFactory{
		"compact": thrift.NewTCompactProtocolFactoryConf(nil),
		"binary":  thrift.NewTBinaryProtocolFactoryConf(nil),
	} {
		t.Run(name, func(t *testing.T) {
			client := stockClient(t, addr, protocol)
			eventually(t, "a leader", func() bool {
				s, err := client.Status(t.Context(), &official.StatusRequest{Group: 1})
				return err == nil && s.Leader == 1
			})
			id := uint32(len(name)) // another client in each subtest
			proposed, err := client.Propose(t.Context(), &official.ProposeRequest{Group: 1, Command: command(id, 5, "hello"), TimeoutMs: 5000})
			if err != nil || proposed.Index < 1 || proposed.Term < 1 || len(proposed.Result_) != 0 {
				t.Fatalf("propose: %v, %v", proposed, err)
			}
			for _, c := range []official.Consistency{official.Consistency_LINEARIZABLE, official.Consistency_STALE} {
				read, err := client.Read(t.Context(), &official.ReadRequest{
					Group: 1, Query: fmt.Appendf(nil, "client %d", id), Consistency: c, TimeoutMs: 5000,
				})
				if err != nil || string(read.Result_) != "5..6" || read.Index < proposed.Index {
					t.Errorf("read %v: %v, %v", c, read, err)
				}
			}
			_, err = client.Propose(t.Context(), &official.ProposeRequest{Group: 9, Command: command(id, 6, "")})
			if e, ok := err.(*official.NoSuchGroup); !ok || e.Group != 9 {
				t.Errorf("propose to a group that is not there: %v", err)
			}
			_, err = client.Read(t.Context(), &official.ReadRequest{Group: 1, Query: []byte("nonsense")})
			if e, ok := err.(*official.Rejected); !ok || e.Code != official.RejectCode_BAD_ARGUMENT {
				t.Errorf("nonsense query: %v", err)
			}
		})
	}
}

func TestNodeStopsCleanly(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p, _ := startNode(t, filepath.Join(t.TempDir(), "data"))
		if out := p.end(t, s); out.status != 0 || out.stdout != "" || out.stderr != "" {
			t.Errorf("%v: exit status %d:\n%s%s", s, out.status, out.stdout, out.stderr)
		}
	}
}

// A child whose parent is gone stops by itself.
func TestNodeEndsWithStdin(t *testing.T) {
	t.Parallel()
	addrs, err := freeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	ch := start(t, []string{
		"node", "--end-with-stdin", "--id", "7", "--cluster", "c", "--listen", addrs[0], "--durability", "memory",
	})
	if err := ch.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	<-ch.ended
	if ch.err != nil || ch.id != 7 || ch.addr != addrs[0] || ch.durability == result.Durable {
		t.Errorf("node %d at %s, durability %s, ended: %v", ch.id, ch.addr, ch.durability, ch.err)
	}
}

func TestNodePortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	out := runArgs(t, "node", "--id", "1", "--cluster", "c", "--listen", l.Addr().String(), "--dir", filepath.Join(dir, "data"))
	if out.status != exitFailed || strings.Count(out.stderr, "\n") != 1 || !strings.Contains(out.stderr, "address already in use") || out.stdout != "" {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	checkEmpty(t, dir)
}

// A directory belongs to one node of one cluster. Who comes wrongly changes nothing in it.
func TestNodeForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	p, addr := startNode(t, dir)
	client := stockClient(t, addr, thrift.NewTCompactProtocolFactoryConf(nil))
	eventually(t, "a command", func() bool {
		_, err := client.Propose(t.Context(), &official.ProposeRequest{Group: 1, Command: command(1, 1, ""), TimeoutMs: 5000})
		return err == nil
	})
	if out := p.end(t, syscall.SIGTERM); out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	for name, args := range map[string][]string{
		"another node":    {"--id", "2", "--cluster", "c"},
		"another cluster": {"--id", "1", "--cluster", "d"},
	} {
		out := runProgram(t, append([]string{"node", "--listen", "127.0.0.1:0", "--dir", dir}, args...)...)
		if out.status != exitFailed || strings.Count(out.stderr, "\n") != 1 || !strings.Contains(out.stderr, "belongs to") {
			t.Errorf("%s: exit status %d:\n%s", name, out.status, out.stderr)
		}
	}
	_, addr = startNode(t, dir)
	client = stockClient(t, addr, thrift.NewTCompactProtocolFactoryConf(nil))
	eventually(t, "the command after a restart", func() bool {
		r, err := client.Read(t.Context(), &official.ReadRequest{Group: 1, Query: []byte("client 1"), TimeoutMs: 5000})
		return err == nil && string(r.Result_) == "1..2"
	})
}
