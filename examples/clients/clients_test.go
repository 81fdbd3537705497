// Package clients_test runs the programs of this folder against a cluster of three raftbench processes. What it carries
// out are the commands of each README, in a copy of the folder: what a reader is told works as it is written.
package clients_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program is one folder and what differs between them.
type program struct {
	name      string
	folder    string
	protocols []string                         // each of which must be redirected, and writes one command
	adapt     func(commands []string) []string // of the first block of the README; nil: as they are
}

func programs() []program {
	thrift := []string{"compact", "binary"}
	return []program{
		{name: "java", folder: "java", protocols: thrift}, // the slowest first
		{name: "cpp", folder: "cpp", protocols: thrift},
		{name: "rust", folder: "rust", protocols: thrift},
		{name: "python", folder: "python", protocols: thrift},
		{name: "python-debian", folder: "python", protocols: thrift, adapt: withDebianPython},
		{name: "node", folder: "node", protocols: thrift},
		{name: "native-python", folder: "native-python", protocols: []string{"native"}},
	}
}

// withDebianPython uses the packages python3-thrift and python3-msgpack, as the README says.
func withDebianPython(commands []string) []string {
	var out []string
	for _, c := range commands {
		if !strings.Contains(c, "pip install") {
			out = append(out, strings.ReplaceAll(c, ".venv/bin/python", "/usr/bin/python3"))
		}
	}
	return out
}

// TestClients needs the compilers and registries of five languages, so it only runs when it is asked to.
func TestClients(t *testing.T) {
	if os.Getenv("RAFTWIRE_CLIENTS") == "" {
		t.Skip("needs Thrift and five languages: run it with make clients, or with RAFTWIRE_CLIENTS=1 where they are installed")
	}
	cl := startCluster(t)
	for i, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			client := 10 + i // its number in the commands it writes
			dir := copyOut(t, p.folder)
			blocks := shellBlocks(t, filepath.Join(dir, "README.md"))
			if p.adapt != nil {
				for i := range blocks {
					blocks[i] = p.adapt(blocks[i])
				}
			}
			first := blocks[0]
			build, use := first[:len(first)-1], first[len(first)-1]
			begin := time.Now()
			for _, c := range build {
				mustRun(t, dir, c)
			}
			t.Logf("built in %v", time.Since(begin).Round(time.Second/10))
			refused(t, dir, use)
			transcript := redirected(t, cl, dir, use, client, p.protocols)
			checkTranscript(t, transcript, p.protocols)
			cl.checkWritten(t, client, transcript)
			for _, block := range blocks[1:] {
				for _, c := range block {
					t.Logf("%s: %s", c, mustRun(t, dir, c).stdout)
				}
			}
		})
	}
}

// What the READMEs say, to be replaced.
const (
	readmeNative  = "127.0.0.1:7001 1 demo"
	readmeAddress = "127.0.0.1:7001"
)

// aim puts a node's address, and the number of the client, into the command of a README.
func aim(command, address string, node, client int) string {
	return strings.NewReplacer(
		readmeNative, fmt.Sprintf("%s %d demo %d", address, node, client),
		readmeAddress, fmt.Sprintf("%s %d", address, client),
	).Replace(command)
}

// refused shows what a program does where nobody listens: one line on standard error, and an exit code.
func refused(t *testing.T, dir, use string) {
	t.Helper()
	out := run(t, dir, aim(use, freeAddresses(t, 1)[0], 1, 1))
	errors := strings.TrimSpace(colours.ReplaceAllString(out.stderr, ""))
	if out.code == 0 || !strings.HasPrefix(errors, "client: ") || strings.Contains(errors, "\n") {
		t.Errorf("without a node: exit code %d, standard error %q", out.code, errors)
	}
}

// colours are the escape sequences that Maven prints even when told not to.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// redirected runs a program against a follower. It does so again if the follower came to lead in the meantime.
func redirected(t *testing.T, cl *cluster, dir, use string, client int, protocols []string) string {
	t.Helper()
	const attempts = 5
	for range attempts {
		follower := cl.follower(t)
		out := run(t, dir, aim(use, cl.addresses[follower-1], follower, client))
		if out.code != 0 {
			t.Fatalf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
		}
		all := !slices.ContainsFunc(protocols, func(p string) bool { return !hasLine(out.stdout, p, "redirected to") })
		if all {
			return out.stdout
		}
		t.Logf("node %d came to lead while the program ran", follower)
	}
	t.Fatalf("not redirected in %d attempts", attempts)
	return ""
}

func checkTranscript(t *testing.T, transcript string, protocols []string) {
	t.Helper()
	t.Logf("\n%s", transcript)
	for _, p := range protocols {
		for _, text := range []string{": node ", ": proposed ", ": proposed again: ", "duplicate", ": read at index "} {
			if !hasLine(transcript, p, text) {
				t.Errorf("the transcript has no line of %s with %q", p, text)
			}
		}
	}
	plain := strings.TrimSpace(colours.ReplaceAllString(transcript, ""))
	if !strings.HasSuffix(plain, "\nok") {
		t.Errorf("the transcript does not end with ok")
	}
}

func hasLine(text, begin, part string) bool {
	for line := range strings.Lines(text) {
		if line = colours.ReplaceAllString(line, ""); strings.HasPrefix(line, begin) && strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// written finds the sequence numbers that a program says it wrote.
func written(transcript string) (list []uint64) {
	for _, m := range regexp.MustCompile(`: proposed \d+/(\d+):`).FindAllStringSubmatch(transcript, -1) {
		if n, err := strconv.ParseUint(m[1], 10, 64); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, dir, command string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", command, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func mustRun(t *testing.T, dir, command string) outcome {
	t.Helper()
	out := run(t, dir, command)
	if out.code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", command, out.code, out.stdout, out.stderr)
	}
	return out
}

// shellBlocks returns the commands of each sh block of a document.
func shellBlocks(t *testing.T, path string) (blocks [][]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, ok := strings.Cut(part, "```\n")
		if !ok {
			t.Fatalf("%s: a block does not end", path)
		}
		blocks = append(blocks, strings.Split(strings.TrimSpace(block), "\n"))
	}
	if len(blocks) == 0 || len(blocks[0]) > 3 || !strings.Contains(blocks[0][len(blocks[0])-1], readmeAddress) {
		t.Fatalf("%s: want a block of at most three commands, the last with the address %s", path, readmeAddress)
	}
	return blocks
}

// copyOut copies a folder, and what the files in it refer to, so that building leaves nothing in the work tree.
func copyOut(t *testing.T, folder string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "examples", "clients", folder)
	copyTree(t, folder, dir)
	copyTree(t, filepath.Join("..", "..", "idl"), filepath.Join(root, "idl"))
	copyTree(t, filepath.Join("..", "..", "gen", "golden"), filepath.Join(root, "gen", "golden"))
	return dir
}

// built are the folders that a program's own build makes.
var built = []string{"build", "target", "node_modules", ".venv", "__pycache__"}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(built, d.Name()):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
