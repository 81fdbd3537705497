package main

import (
	"fmt"
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
	c := newConsole(t, dir, ctl)
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

// console is a terminal with a cluster: bash carries out what is not about the nodes themselves.
type console struct {
	t       *testing.T
	dir     string
	env     []string
	address map[string]string // in the document: here
	nodes   map[string]*processNode
	jobs    []*exec.Cmd // those with & at the end
}

var (
	documented = regexp.MustCompile(`127\.0\.0\.1:700\d`)
	nodeOf     = regexp.MustCompile(`raftkv serve --id (\d)`)
)

// newConsole puts raftkv, which is this program, and raftctl where a shell finds them.
func newConsole(t *testing.T, dir, ctl string) *console {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = serve ]; then set -- \"$@\" --admin off; fi\nRAFTKV_TEST_PROGRAM=1 exec '%s' \"$@\"\n", self)
	if err := os.WriteFile(filepath.Join(dir, "raftkv"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &console{
		t: t, dir: dir, address: map[string]string{}, nodes: map[string]*processNode{},
		env: append(os.Environ(), "PATH="+filepath.Dir(ctl)+string(os.PathListSeparator)+os.Getenv("PATH")),
	}
}

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
	case words[0] == "raftkv" && words[1] == "serve" && !strings.Contains(line, "||"):
		n := &processNode{t: c.t, dir: c.dir, args: append(words[2:], "--admin", "off"), addr: words[5]}
		c.nodes[words[3]] = n
		n.start()
	case words[0] == "kill":
		c.kill(line)
	case words[0] == "export":
		c.env = append(c.env, words[1])
	case words[0] == "go":
	case words[len(words)-1] == "&":
		job := c.bash(strings.TrimSuffix(line, "&"))
		if err := job.Start(); err != nil {
			c.t.Fatal(err)
		}
		c.jobs = append(c.jobs, job)
	case words[len(words)-1] == "wait":
		c.expect(strings.TrimSuffix(line, "; wait"), want)
		c.wait()
	default:
		c.expect(line, want)
	}
}

func (c *console) bash(line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir, cmd.Env = c.dir, c.env
	return cmd
}

// expect has bash carry out a line, which has to print want.
func (c *console) expect(line, want string) {
	c.t.Helper()
	out, err := c.bash(line).CombinedOutput()
	if err != nil || !c.pattern(want).Match(out) {
		c.t.Errorf("%s (%v) printed\n%s\nwant\n%s", line, err, out, want)
	}
}

// kill ends nodes, as the line says: with SIGKILL or SIGTERM, by their numbers, or the one that leads.
func (c *console) kill(line string) {
	c.t.Helper()
	end := syscall.SIGTERM
	if strings.Contains(line, " -9 ") {
		end = syscall.SIGKILL
	}
	var gone []*processNode
	for _, m := range nodeOf.FindAllStringSubmatch(line, -1) {
		gone = append(gone, c.nodes[m[1]])
	}
	if strings.Contains(line, "# the one that leads") {
		gone = nil
		for _, n := range c.nodes {
			if strings.Contains(n.out.String(), "role=LEADER") {
				gone = append(gone, n)
			}
		}
	}
	for _, n := range gone {
		if status := n.signal(end); end == syscall.SIGTERM && status != 0 {
			c.t.Errorf("%s: status %d: %s", line, status, n.out)
		}
	}
}

// wait waits for what runs in the background.
func (c *console) wait() {
	for _, job := range c.jobs {
		if err := job.Wait(); err != nil {
			c.t.Errorf("%q: %v", job.Args, err)
		}
	}
	c.jobs = nil
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
		line, open := strings.CutSuffix(line, "...") // the rest of the line is another time's
		line = documented.ReplaceAllString(line, "@@")
		line = strings.Join(strings.Fields(line), " ")
		line = regexp.QuoteMeta(line)
		line = strings.ReplaceAll(line, "@@", `127\.\d+\.\d+\.\d+:\d+`)
		line = regexp.MustCompile(`\b(leader|follower|precandidate)\b`).ReplaceAllString(line, `(leader|follower|precandidate|candidate)`)
		line = regexp.MustCompile(` voter (replicate|leads).*`).ReplaceAllString(line, ` voter (replicate|probe|snapshot|leads)[^\n]*`)
		line = regexp.MustCompile(`\b[0-9a-f]{16,}\b`).ReplaceAllString(line, `[0-9a-f]+`)
		line = regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(line, `[\d:]+`)
		line = regexp.MustCompile(`(^|[ (])\d+\b`).ReplaceAllString(line, `$1[\d-]+`)
		if open {
			line += `[^\n]*`
		}
		b.WriteString(` *` + strings.ReplaceAll(line, " ", ` +`) + ` *\n`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String())
}

func (c *console) close() {
	if err := os.WriteFile(filepath.Join(c.dir, "stop"), nil, 0o600); err != nil { // ends what is still in the background
		c.t.Error(err)
	}
	c.wait()
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
