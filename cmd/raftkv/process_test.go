package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is the program itself in a process that a test has started.
func TestMain(m *testing.M) {
	if os.Getenv("RAFTKV_TEST_PROGRAM") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// program is the command in a process of its own.
func program(dir string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RAFTKV_TEST_PROGRAM=1")
	return cmd
}

// outcome is what a program did.
type outcome struct {
	status         int
	stdout, stderr string
}

// runIn runs the program in dir to its end.
func runIn(t testing.TB, dir string, args ...string) outcome {
	t.Helper()
	cmd := program(dir, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// processNode is a node in a process of its own.
type processNode struct {
	t    testing.TB
	dir  string
	args []string
	addr string

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

// start starts the process and waits until it serves.
func (n *processNode) start() {
	n.t.Helper()
	n.begin()
	eventually(n.t, "node at "+n.addr, func() bool {
		select {
		case <-n.exited:
			n.t.Fatalf("the node ended with status %d: %s", n.cmd.ProcessState.ExitCode(), n.out)
		default:
		}
		return strings.Contains(n.out.String(), " serves at ")
	})
}

// begin starts the process.
func (n *processNode) begin() {
	n.t.Helper()
	n.out, n.exited = new(output), make(chan struct{})
	n.cmd = program(n.dir, append([]string{"serve"}, n.args...)...)
	n.cmd.Stdout, n.cmd.Stderr = n.out, n.out
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
}

// signal sends a signal and, if that ends the process, waits for its end.
func (n *processNode) signal(s syscall.Signal) int {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("%v: %v\n%s", s, err, n.out)
	}
	<-n.exited
	return n.cmd.ProcessState.ExitCode()
}

// startNodes starts a cluster of processes. adjust gives node id further arguments.
func startNodes(t testing.TB, count int, adjust func(id int) []string) []*processNode {
	t.Helper()
	dir := t.TempDir()
	var peers []string
	nodes := make([]*processNode, count)
	for i := range nodes {
		addr := freeAddress(t)
		peers = append(peers, "--peer", fmt.Sprintf("%d=%s", i+1, addr))
		nodes[i] = &processNode{t: t, dir: dir, addr: addr}
	}
	for i, n := range nodes {
		n.args = append([]string{
			"--id", fmt.Sprint(i + 1), "--listen", n.addr, "--dir", filepath.Join(dir, fmt.Sprint(i+1)), "--admin", "off",
			"--election-timeout", "500ms",
		}, peers...)
		if adjust != nil {
			n.args = append(n.args, adjust(i+1)...)
		}
		n.start()
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			select {
			case <-n.exited:
			default:
				_ = n.cmd.Process.Kill()
				<-n.exited
			}
			if t.Failed() {
				t.Logf("node at %s:\n%s", n.addr, n.out)
			}
		}
	})
	return nodes
}

// endpoints is the value of --endpoints for nodes.
func endpoints(nodes []*processNode) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.addr)
	}
	return strings.Join(all, ",")
}

// freeAddress is an address that nobody else takes meanwhile: on Linux all of 127/8 is this machine, and each call has a part
// of it for itself.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits until ok holds; it gives up only when nothing can be expected any more.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
