package clients_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

const nodes = 3

// cluster is three raftbench processes.
type cluster struct{ addresses []string }

// startCluster builds raftbench and starts the nodes. They end with the test, and with this process: their standard
// input does.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "raftbench")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/raftbench").CombinedOutput(); err != nil {
		t.Fatalf("go build raftbench: %v\n%s", err, out)
	}
	cl := &cluster{freeAddresses(t, nodes)}
	var peers []string
	for i, a := range cl.addresses {
		peers = append(peers, fmt.Sprintf("%d=%s", i+1, a))
	}
	for i, a := range cl.addresses {
		startNode(t, binary, "--id", strconv.Itoa(i+1), "--listen", a, "--peer", strings.Join(peers, ","))
	}
	cl.follower(t) // there is a leader now
	return cl
}

func startNode(t *testing.T, binary string, args ...string) {
	t.Helper()
	args = append([]string{"node", "--cluster", "demo", "--durability", "memory", "--end-with-stdin"}, args...)
	cmd := exec.Command(binary, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a node ended with %v\n%s", err, stderr.Bytes())
		}
	})
	if err != nil || !strings.Contains(line, "ready") {
		t.Fatalf("a node is not ready: %q, %v", line, err)
	}
}

// Nodes listen on ports below the range from which systems take those of outgoing connections, so that nobody gets one
// by chance before its node does.
const firstPort, lastPort = 10000, 30000

// freeAddresses finds loopback addresses where nobody listens.
func freeAddresses(t *testing.T, n int) (list []string) {
	t.Helper()
	const attempts = 1000
	for range attempts {
		if len(list) == n {
			return list
		}
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		if l, err := net.Listen("tcp", address); err == nil {
			defer l.Close() // not before all are found: they differ
			list = append(list, address)
		}
	}
	t.Fatalf("no %d free ports in %d attempts", n, attempts)
	return nil
}

// dial returns a client of our own for a node: the test does not take a program's word.
func (cl *cluster) dial(t *testing.T, node int) *raftpb.RaftClientClient {
	t.Helper()
	c, err := transport.Dial(t.Context(), cl.addresses[node-1], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return raftpb.NewRaftClientClient(c)
}

// leader waits for a node that leads and that all follow.
func (cl *cluster) leader(t *testing.T) int {
	t.Helper()
	var clients []*raftpb.RaftClientClient
	for node := 1; node <= nodes; node++ {
		clients = append(clients, cl.dial(t, node))
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		var leaders []raftpb.NodeID
		for _, c := range clients {
			s, err := c.Status(t.Context(), &raftpb.StatusRequest{Group: 1})
			if err != nil {
				t.Fatal(err)
			}
			leaders = append(leaders, s.Leader)
		}
		if leaders = slices.Compact(leaders); len(leaders) == 1 && leaders[0] != 0 {
			return int(leaders[0])
		}
	}
	t.Fatal("the nodes agree on no leader")
	return 0
}

// follower returns a node that does not lead.
func (cl *cluster) follower(t *testing.T) int {
	t.Helper()
	return cl.leader(t)%nodes + 1
}

// checkWritten asks the leader which commands of a client it has applied. They must include those that the program
// says it wrote, two when it wrote in two protocols.
func (cl *cluster) checkWritten(t *testing.T, client int, transcript string) {
	t.Helper()
	want := written(transcript)
	if len(want) == 0 {
		t.Fatal("the transcript names no command")
	}
	r, err := cl.dial(t, cl.leader(t)).Read(t.Context(), &raftpb.ReadRequest{
		Group: 1, Query: fmt.Appendf(nil, "client %d", client), TimeoutMs: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, sequence := range want {
		if !covers(string(r.Result), sequence) {
			t.Errorf("the cluster has %s of client %d, and not %d", r.Result, client, sequence)
		}
	}
}

// covers tells whether a number lies in ranges such as "1..5 7..9", ends not included.
func covers(ranges string, n uint64) bool {
	return slices.ContainsFunc(strings.Fields(ranges), func(r string) bool {
		var lo, hi uint64
		_, err := fmt.Sscanf(r, "%d..%d", &lo, &hi)
		return err == nil && lo <= n && n < hi
	})
}
