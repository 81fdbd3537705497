package main

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A node that is started with nothing but "serve" works, keeps what it was given, and stops when it is asked to.
func TestOneNode(t *testing.T) {
	t.Parallel()
	dir, addr, admin := t.TempDir(), freeAddress(t), freeAddress(t)
	n := &processNode{t: t, dir: dir, addr: addr, args: []string{"--listen", addr, "--admin", admin}}
	n.start()
	k := func(status int, want string, args ...string) {
		t.Helper()
		out := runIn(t, dir, append(args, "--endpoints", addr)...)
		if out.status != status || !strings.Contains(out.stdout+out.stderr, want) {
			t.Errorf("raftkv %q: status %d, want %d: %s%s, want %q", args, out.status, status, out.stdout, out.stderr, want)
		}
	}
	k(0, "ok", "put", "greeting", "hello")
	k(0, "hello\n", "get", "greeting")
	k(exitNo, "no such key", "get", "nothing")
	k(0, "ok", "cas", "greeting", "hello", "hello world")
	k(exitNo, "not swapped: the value is hello world", "cas", "greeting", "hello", "x")
	k(exitNo, "not swapped: no such key", "cas", "nothing", "hello", "x")
	k(0, "ok", "cas", "--absent", "new", "1")
	k(exitNo, `"current":"1"`, "cas", "--absent", "new", "1", "--json")
	k(0, "ok, 3 bytes now", "append", "new", "23", "--session", "new")
	k(0, "123\n", "get", "new")
	k(0, "greeting\thello world\nnew\t123\n", "scan")
	k(0, "new\n", "scan", "n", "--keys")
	k(0, `"more":true`, "scan", "--limit", "1", "--json")
	k(0, "ok", "del", "new")
	k(exitNo, "no such key", "del", "new")
	k(exitFailed, "at most 4096", "put", strings.Repeat("k", 4097), "v")
	k(exitFailed, "the key is empty", "put", "", "v")
	k(exitUsage, "want KEY", "get")
	k(exitUsage, `--consistency "eventual"`, "get", "x", "--consistency", "eventual")
	k(exitUsage, "--session", "put", "a", "b", "--session", "7")
	k(exitUsage, "--limit: -1", "scan", "--limit", "-1")
	k(exitUsage, "--timeout: 0s", "get", "x", "--timeout", "0s")
	k(exitFailed, "session", "put", "a", "b", "--session", "7777:1")
	k(exitUsage, "flag provided but not defined", "get", "x", "--bogus")

	checkPage(t, "http://"+admin+"/readyz", "ok\n")
	checkPage(t, "http://"+admin+"/metrics", `raftwire_group_leads{group="1",node="1"} 1`)
	if out := runIn(t, dir, "serve", "--listen", freeAddress(t), "--admin", "off"); out.status != exitDirInUse {
		t.Errorf("a second process on the directory: status %d: %s", out.status, out.stderr)
	}
	begun := time.Now()
	if status := n.signal(syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM: status %d after %v: %s", status, time.Since(begun), n.out)
	}
	checkModes(t, filepath.Join(dir, "raftkv-data"))
	k(exitNoNode, "no node answers", "get", "greeting", "--timeout", "300ms")
	if out := runIn(t, dir, "serve", "--listen", addr, "--cluster", "another"); out.status != exitWrongDir || !strings.Contains(out.stderr, "another") {
		t.Errorf("the directory of another cluster: status %d: %s", out.status, out.stderr)
	}
	n.start()
	k(0, "hello world\n", "get", "greeting")
	n.signal(syscall.SIGKILL)
}

// checkPage fails unless url is served and has want.
func checkPage(t *testing.T, url, want string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if page, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(page), want) {
		t.Errorf("%s: %s %v: %s, want %q", url, resp.Status, err, page, want)
	}
}

// checkModes says what of dir others than its owner may read.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The quick start of README.md: three nodes, a write, the leader killed, the write is still there.
func TestThreeNodesOutliveTheirLeader(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3, nil)
	at := []string{"--endpoints", endpoints(nodes), "--timeout", "30s", "--json"}
	put := runIn(t, t.TempDir(), append([]string{"put", "greeting", "hello"}, at...)...)
	if put.status != 0 {
		t.Fatalf("put: %+v", put)
	}
	for _, n := range nodes {
		if strings.Contains(n.out.String(), "role=LEADER") {
			n.signal(syscall.SIGKILL)
			break
		}
	}
	for _, mode := range []string{"linearizable", "follower", "lease", "stale"} {
		got := runIn(t, t.TempDir(), append([]string{"get", "greeting", "--consistency", mode}, at...)...)
		var answer struct {
			Found bool
			Value string
			Index int64
		}
		if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || !answer.Found || answer.Value != "hello" {
			t.Errorf("get %s after the leader was killed: %+v", mode, got)
		}
	}
	if out := runIn(t, t.TempDir(), append([]string{"append", "greeting", " world", "--session", "new"}, at...)...); out.status != 0 {
		t.Errorf("append with two of three nodes: %+v", out)
	}
}

// A node whose directory was lost is refused by the others, and says so when it ends: it must not vote again.
func TestANodeThatLostItsDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3, nil)
	at := []string{"--endpoints", endpoints(nodes), "--timeout", "30s"}
	if out := runIn(t, t.TempDir(), append([]string{"put", "a", "1"}, at...)...); out.status != 0 {
		t.Fatalf("put: %+v", out)
	}
	lost := nodes[2]
	lost.signal(syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Join(lost.dir, "3")); err != nil {
		t.Fatal(err)
	}
	lost.begin()
	<-lost.exited
	if status := lost.cmd.ProcessState.ExitCode(); status != exitAmnesia || !strings.Contains(lost.out.String(), "lost its data directory") {
		t.Errorf("status %d: %s", status, lost.out)
	}
	if out := runIn(t, t.TempDir(), append([]string{"get", "a"}, at...)...); out.stdout != "1\n" {
		t.Errorf("get: %+v", out)
	}
}

// What --print-config prints is a configuration file that means the same.
func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{
		"--id", "2", "--cluster", `a "b" \c`, "--peer", "2=x:1", "--peer", "3=y:2", "--segment-bytes", "1MiB",
		"--election-timeout", "2s", "--dial", "3=z:3",
	}
	first := runIn(t, dir, append([]string{"serve", "--print-config"}, args...)...)
	file := filepath.Join(dir, "raftkv.toml")
	if err := os.WriteFile(file, []byte(first.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	second := runIn(t, dir, "serve", "--print-config", "--config", file)
	if first.status != 0 || second.stdout != first.stdout || !strings.Contains(first.stdout, `peer = ["2=x:1", "3=y:2"]`) {
		t.Errorf("printed\n%s\nand read back\n%s%s", first.stdout, second.stdout, second.stderr)
	}
	third := runIn(t, dir, "serve", "--print-config", "--config", file, "--id", "3")
	if !strings.Contains(third.stdout, "\nid = 3\n") {
		t.Errorf("a flag does not go before the file: %s", third.stdout)
	}
}

// The guide explains every setting.
func TestTheGuideHasEverySetting(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "tuning.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(guide), "\n## The settings of raftkv\n")
	for _, o := range options() {
		if !strings.Contains(table, "`"+o.name+"`") {
			t.Errorf("docs/guides/tuning.md does not say what %q is", o.name)
		}
	}
}

// All that is wrong with a configuration is said at once, in one line, by name.
func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "raftkv.toml")
	if err := os.WriteFile(file, []byte("bogus = 1\npeer = \"1=a:1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"--id 0 --listen nowhere --peer 7", []string{"--id", "--listen", "--peer"}},
		{"--peer 2=a:1", []string{"node 1, which is this one, is not among them"}},
		{"--peer 1=a:1 --join", []string{"--peer and --join"}},
		{"--tls-cert x", []string{"--tls-cert, --tls-key and --tls-ca"}},
		{"--election-timeout 1ms --heartbeat 1h", []string{"ElectionTimeout", "HeartbeatInterval"}},
		{"--config " + file, []string{`unknown key "bogus"`, "peer: want an array"}},
		{"--config nofile", []string{"nofile"}},
		{"extra", []string{"extra"}},
		{"--segment-bytes 1", []string{"SegmentBytes"}},
		{"--snapshot-entries many --segment-bytes big --election-timeout soon", []string{`--snapshot-entries: "many"`, `--segment-bytes: "big"`, "--election-timeout"}},
		{"--codec morse", []string{`Codec: "morse"`}},
		{"--tls-cert no --tls-key no --tls-ca no", []string{"no such file"}},
	} {
		out := runIn(t, dir, append([]string{"serve"}, strings.Fields(c.args)...)...)
		if out.status != exitUsage || strings.Count(out.stderr, "\n") != 1 {
			t.Errorf("%q: status %d, in several lines or none: %s", c.args, out.status, out.stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(out.stderr, want) {
				t.Errorf("%q: %q is not in: %s", c.args, want, out.stderr)
			}
		}
	}
}
