package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The console blocks of the README and of the guide are carried out, and print what stands there: with other addresses, and any
// numbers. "..." stands for any lines.
func TestWhatTheDocumentsSayHappens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctl := filepath.Join(dir, "raftctl")
	if out, err := exec.Command("go", "build", "-o", ctl, "../raftctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := &console{t: t, dir: dir, ctl: ctl, address: map[string]string{}, nodes: map[string]*processNode{}}
	t.Cleanup(c.close)
	for _, file := range []string{"README.md", "docs/guides/operations.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for _, command := range strings.Split("\n"+m[1], "\n$ ")[1:] {
				line, want, _ := strings.Cut(command, "\n")
				c.run(line, want)
			}
		}
		if file == "README.md" { // the guide has all three nodes
			for _, n := range c.nodes {
				select {
				case <-n.exited:
					n.start()
				default:
				}
			}
		}
	}
}

// console is a terminal with a cluster.
type console struct {
	t       *testing.T
	dir     string
	ctl     string
	address map[string]string // in the document: here
	nodes   map[string]*processNode
}

var documented = regexp.MustCompile(`127\.0\.0\.1:700\d`)

// run carries out a line.
func (c *console) run(line, want string) {
	c.t.Helper()
	line = documented.ReplaceAllStringFunc(line, func(addr string) string {
		if c.address[addr] == "" {
			c.address[addr] = freeAddress(c.t)
		}
		return c.address[addr]
	})
	words := strings.Fields(line)
	switch {
	case strings.HasPrefix(line, "raftkv serve "):
		n := &processNode{t: c.t, dir: c.dir, args: append(words[2:], "--admin", "off"), addr: words[5]}
		c.nodes[words[3]] = n
		n.start()
	case words[0] == "raftkv", words[0] == "raftctl":
		cmd := exec.Command("bash", "-c", strings.Replace(line, words[0], `"$PROGRAM"`, 1))
		self, _ := os.Executable()
		cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "RAFTKV_TEST_PROGRAM=1", "RAFTKV_ENDPOINTS="+c.endpoints(), "PROGRAM="+self)
		if words[0] == "raftctl" {
			cmd.Env = append(cmd.Env, "PROGRAM="+c.ctl)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !c.pattern(want).Match(out) {
			c.t.Errorf("%s (%v) printed\n%s\nwant\n%s", line, err, out, want)
		}
	case words[0] == "kill":
		for _, n := range c.nodes {
			if strings.Contains(n.out.String(), "role=LEADER") {
				n.signal(syscall.SIGKILL)
			}
		}
	case words[0] == "go", words[0] == "export":
	default:
		c.t.Errorf("the test does not know what to do about %q", line)
	}
}

func (c *console) endpoints() string {
	var all []string
	for _, addr := range []string{"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"} {
		all = append(all, c.address[addr])
	}
	return strings.Join(all, ",")
}

// pattern matches what a command may print when the document says that it prints text.
func (c *console) pattern(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^(?s)`)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "..." {
			b.WriteString(`.*`)
			continue
		}
		line = documented.ReplaceAllString(line, "@@")
		line = strings.Join(strings.Fields(line), " ")
		line = regexp.QuoteMeta(line)
		line = strings.ReplaceAll(line, "@@", `127\.\d+\.\d+\.\d+:\d+`)
		line = regexp.MustCompile(`\b(leader|follower)\b`).ReplaceAllString(line, `(leader|follower)`)
		line = regexp.MustCompile(` voter .*`).ReplaceAllString(line, ` voter (replicate|probe|snapshot|leads)[^\n]*`)
		line = regexp.MustCompile(`(^|[ (])\d+\b`).ReplaceAllString(line, `$1[\d-]+`)
		b.WriteString(strings.ReplaceAll(line, " ", ` +`) + ` *\n`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String())
}

func (c *console) close() {
	for _, n := range c.nodes {
		select {
		case <-n.exited:
		default:
			_ = n.cmd.Process.Kill()
			<-n.exited
		}
		if c.t.Failed() {
			c.t.Logf("node at %s:\n%s", n.addr, n.out)
		}
	}
}
