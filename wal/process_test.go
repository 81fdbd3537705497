package wal_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// nodeDir tells the test's binary to be the node of TestDamageInARealProcess.
const nodeDir = "RAFTWIRE_WAL_TEST_DIR"

// A real process whose closed segment gets a flipped byte on disk says so when it reads
// the entry, when it scrubs, and when it starts again and verifies; each time it names
// the group and the index. So does Inspect, as "raftctl wal verify" has it.
func TestDamageInARealProcess(t *testing.T) {
	if dir := os.Getenv(nodeDir); dir != "" {
		if err := beNode(os.Stdin, os.Stdout, dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := filepath.Join(t.TempDir(), "wal")
	n := startNode(t, dir)
	n.expect("ready 40 of 40")
	flip(t, dir, "group 7, entry 2|")
	const want = "body does not match its checksum (segment 1, offset OFFSET) (group 7, entries [2, 3))"
	n.say("go on")
	n.expect("read: wal: corrupt: " + want)
	n.expect("scrub: wal: corrupt: " + want)
	n.end()
	n = startNode(t, dir)
	n.expect("start: wal: open " + dir + ": wal: corrupt: " + want)
	n.expect("ready 0 of 40")
	n.say("go on")
	n.expect("read: wal: corrupt: " + want)
	n.end()
	rep, err := wal.Inspect(nil, dir, wal.Inspection{})
	if err != nil || len(rep.Damage) != 1 || rep.Damage[0].Group != 7 || rep.Damage[0].Lo != 2 {
		t.Errorf("inspect: %v, %v", rep.Damage, err)
	}
}

// flip changes one bit of the body that begins with text, in the file.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "seg", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte(text))
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[at+50] ^ 8}, int64(at+50)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%q is in no segment", text)
}

// node is the other process.
type node struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startNode(t *testing.T, dir string) *node {
	t.Helper()
	n := &node{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamageInARealProcess$")}
	n.cmd.Env = append(os.Environ(), nodeDir+"="+dir)
	n.cmd.Stderr = os.Stderr
	var err error
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.out = bufio.NewScanner(out)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) say(line string) {
	n.t.Helper()
	if _, err := fmt.Fprintln(n.in, line); err != nil {
		n.t.Fatal(err)
	}
}

// expect reads one line and compares it, but for offsets.
func (n *node) expect(want string) {
	n.t.Helper()
	if !n.out.Scan() {
		n.t.Fatalf("the process ended before it said %q", want)
	}
	got := n.out.Text()
	if before, after, found := strings.Cut(want, "OFFSET"); found {
		if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
			n.t.Errorf("the process said %q, want %q", got, want)
		}
	} else if got != want {
		n.t.Errorf("the process said %q, want %q", got, want)
	}
}

func (n *node) end() {
	n.t.Helper()
	for n.out.Scan() {
		n.t.Logf("at its end the process said %s", n.out.Text())
	}
	if err := n.cmd.Wait(); err != nil {
		n.t.Errorf("the process: %v", err)
	}
}

// beNode is what the other process does: it opens the log, checking all of it, writes
// 40 entries if there are none, waits for a line, reads and scrubs.
func beNode(in io.Reader, out io.Writer, dir string) error {
	o := wal.Options{
		Identity: wal.Identity{Cluster: "process", Node: 1}, Logger: slog.New(slog.DiscardHandler),
		SegmentBytes: 32 << 10, CacheBytes: -1, Verify: true,
	}
	l, _, err := wal.Open(dir, o)
	if err != nil {
		fmt.Fprintln(out, "start:", err)
		o.Verify = false // the rest of the log is as good as ever
		if l, _, err = wal.Open(dir, o); err != nil {
			return err
		}
	}
	const entries = 40
	var b wal.Batch
	written := 0
	for i := l.Group(7).LastIndex() + 1; i <= entries; i++ {
		body := fmt.Appendf(nil, "group 7, entry %d|%s", i, strings.Repeat("x", 4000))
		b.Reset()
		b.Append(7, i, []raftpb.Entry{{
			Term: 1, Kind: raftpb.EntryKindCommand, Body: body, Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, body),
		}})
		if err := l.Write(&b); err != nil {
			return err
		}
		written++
	}
	fmt.Fprintf(out, "ready %d of %d\n", written, entries)
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	_, err = l.Group(7).Entries(nil, 1, entries+1, 1<<20)
	fmt.Fprintln(out, "read:", err)
	rep, err := l.Scrub(context.Background(), 0)
	if err != nil {
		return err
	}
	for _, d := range rep.Damage {
		fmt.Fprintln(out, "scrub:", d)
	}
	return l.Close()
}
