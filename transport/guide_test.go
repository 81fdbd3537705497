package transport_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// The commands of the guide make certificates that nodes and clients can use.
func TestGuideToTLS(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	page, err := os.ReadFile("../docs/guides/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(page), "```sh\n")
	script, _, closed := strings.Cut(script, "```")
	if !found || !closed {
		t.Fatal("the guide has no commands")
	}
	dir := t.TempDir()
	cmd := exec.Command("bash", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	identity := func(name string) *transport.Identity {
		path := func(end string) string { return filepath.Join(dir, name+end) }
		id, err := transport.LoadIdentity(path(".pem"), path(".key"), filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	demo := func(name string) func(*transport.Config) {
		return func(cfg *transport.Config) { cfg.Cluster, cfg.Identity = "demo", identity(name) }
	}
	b := listen(t, 2, propose, demo("node2"))
	up := make(chan bool, 10)
	listen(t, 1, propose, demo("node1"), func(cfg *transport.Config) {
		cfg.Peers = map[raftpb.NodeID]string{2: b.Addr()}
		cfg.PeerState = func(_ raftpb.NodeID, connected bool) { up <- connected }
	})
	if !receive(t, up) {
		t.Error("the nodes do not connect")
	}
	joe := dial(t, b.Addr(), transport.ClientConfig{Identity: identity("joe"), Cluster: "demo"})
	var resp raftpb.ProposeResponse
	if err := joe.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: []byte("x")}, &resp); err != nil {
		t.Error(err)
	}
}
