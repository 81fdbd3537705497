package peers_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

const group = kvpb.DefaultGroup

// cluster is raftkv twice, and a member in another language.
type cluster struct {
	t     *testing.T
	nodes [3]*node
}

// node is a process.
type node struct {
	t       *testing.T
	id      int
	address string
	dir     string
	command []string

	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
}

// output collects what a process writes. It is safe for concurrent use.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "raftkv")
	run(t, ".", "go", "build", "-o", binary, "../../cmd/raftkv")
	dir := t.TempDir()
	cl := &cluster{t: t}
	addresses := freeAddresses(t, len(cl.nodes))
	for i, a := range addresses {
		cl.nodes[i] = &node{t: t, id: i + 1, address: a, dir: dir, out: new(output)}
	}
	for i, n := range cl.nodes[:2] {
		n.command = []string{
			binary, "serve", "--id", fmt.Sprint(i + 1), "--listen", n.address, "--dir", fmt.Sprint(i + 1), "--admin", "off",
			"--election-timeout", "1s", "--snapshot-entries", "300", "--keep-entries", "100", "--segment-bytes", "64KiB",
		}
		for k, a := range addresses {
			n.command = append(n.command, "--peer", fmt.Sprintf("%d=%s", k+1, a))
		}
	}
	cl.prepareVoter(addresses)
	for _, n := range cl.nodes {
		n.start()
	}
	t.Cleanup(func() {
		for _, n := range cl.nodes {
			if n.exited != nil {
				_ = n.cmd.Process.Kill() // it may have ended
				<-n.exited
			}
			if t.Failed() {
				t.Logf("node %d:\n%s", n.id, n.out)
			}
		}
	})
	return cl
}

// prepareVoter does what python/README.md says, in a copy of the folder; the last command starts the voter.
func (cl *cluster) prepareVoter(addresses []string) {
	root := cl.t.TempDir()
	dir := filepath.Join(root, "examples", "peers", "python")
	for from, to := range map[string]string{"python": dir, filepath.Join("..", "..", "idl"): filepath.Join(root, "idl")} {
		files, err := filepath.Glob(filepath.Join(from, "*.*"))
		if err != nil || os.MkdirAll(to, 0o755) != nil {
			cl.t.Fatalf("%s: %v", from, err)
		}
		for _, f := range files {
			run(cl.t, ".", "cp", f, to)
		}
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		cl.t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```sh\n")
	if len(blocks) != 3 {
		cl.t.Fatalf("the README has %d blocks of sh, want one that starts the voter and one that tests it", len(blocks)-1)
	}
	for i, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		blocks[i] = strings.TrimSpace(strings.ReplaceAll(b, "\\\n", ""))
	}
	commands := strings.Split(blocks[1], "\n")
	last := len(commands) - 1
	for _, c := range append(commands[:last:last], blocks[2]) {
		run(cl.t, dir, "sh", "-ec", c)
	}
	start := strings.NewReplacer("127.0.0.1:7001", addresses[0], "127.0.0.1:7002", addresses[1], "127.0.0.1:7003", addresses[2]).Replace(commands[last])
	voter := cl.nodes[2]
	voter.dir, voter.command = dir, []string{"sh", "-ec", "exec env " + start}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// start starts the process and waits until it serves.
func (n *node) start() {
	n.t.Helper()
	before := strings.Count(n.out.String(), " serves at ")
	n.exited = make(chan struct{})
	n.cmd = exec.Command(n.command[0], n.command[1:]...)
	n.cmd.Dir, n.cmd.Stdout, n.cmd.Stderr = n.dir, n.out, n.out
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // its end is what counts
		close(exited)
	}(n.cmd, n.exited)
	eventually(n.t, fmt.Sprintf("node %d", n.id), func() bool {
		select {
		case <-n.exited:
			n.t.Fatalf("node %d ended: %s", n.id, n.out)
		default:
		}
		return strings.Count(n.out.String(), " serves at ") > before
	})
}

// kill ends the process without a word.
func (n *node) kill() {
	n.t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		n.t.Fatalf("node %d: %v\n%s", n.id, err, n.out)
	}
	<-n.exited
}

// call calls the node, on a connection of its own.
func (n *node) call(m *codec.Method, req, resp codec.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := transport.Dial(ctx, n.address, transport.ClientConfig{})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, m, req, resp)
}

func (cl *cluster) statusOf(n *node) (s raftpb.StatusResponse, ok bool) {
	err := n.call(raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: group}, &s)
	return s, err == nil
}

// leader waits until one leads.
func (cl *cluster) leader() (leader raftpb.NodeID) {
	eventually(cl.t, "a leader", func() bool {
		s, ok := cl.statusOf(cl.nodes[2])
		leader = s.Leader
		return ok && leader != 0
	})
	return leader
}

// commit is the highest commit index that a member knows of.
func (cl *cluster) commit() (highest raftpb.Index) {
	for _, n := range cl.nodes {
		if s, ok := cl.statusOf(n); ok {
			highest = max(highest, s.Commit)
		}
	}
	return highest
}

// caughtUp waits until a node has what is committed now.
func (cl *cluster) caughtUp(n *node) {
	cl.t.Helper()
	goal := cl.commit()
	eventually(cl.t, fmt.Sprintf("node %d at %d", n.id, goal), func() bool {
		s, ok := cl.statusOf(n)
		return ok && s.Commit >= goal
	})
}

// freeAddresses finds addresses below the ports that systems give to outgoing connections.
func freeAddresses(t *testing.T, count int) (list []string) {
	t.Helper()
	for range 1000 {
		if len(list) == count {
			return list
		}
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		if l, err := net.Listen("tcp", address); err == nil {
			defer l.Close() // not before all are found: they differ
			list = append(list, address)
		}
	}
	t.Fatal("no ports are free")
	return nil
}

// eventually waits until ok holds; it gives up only when nothing can be expected any more.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within two minutes", what)
		}
	}
}
