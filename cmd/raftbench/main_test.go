package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asProgram in the environment makes the test binary be raftbench: for children, and
// for tests of signals.
const asProgram = "RAFTBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	// A program under the race detector sleeps for a second before it ends: too long
	// for one that has to stop within two.
	race := strings.TrimSpace(os.Getenv("GORACE") + " atexit_sleep_ms=10")
	if err := errors.Join(os.Setenv(asProgram, "1"), os.Setenv("GORACE", race)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// testLimit bounds waits for something that must happen. It decides nothing but when
// a test gives up.
const testLimit = 60 * time.Second

// eventually waits until done returns true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	if err := poll(ctx, nil, done); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// output is what a run of the command line left behind.
type output struct {
	status         int
	stdout, stderr string
}

// runArgs runs a command line in this process. Tests that run in parallel use
// runProgram: the command line library has global variables.
func runArgs(t *testing.T, args ...string) output {
	t.Helper()
	var stdout bytes.Buffer
	stderr := new(lockedBuffer)
	status := run(t.Context(), append([]string{"raftbench"}, args...), strings.NewReader(""), &stdout, &lockedWriter{w: stderr})
	return output{status, stdout.String(), stderr.String()}
}

// lockedBuffer collects what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// program is raftbench in a process of its own.
type program struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *lockedBuffer
}

// startProgram starts raftbench; it is killed at the end of the test if it still runs.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], args...), stderr: new(lockedBuffer)}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// line reads a line of standard output.
func (p *program) line(t *testing.T) string {
	t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("standard output: %v; standard error:\n%s", err, p.stderr)
	}
	return strings.TrimSuffix(line, "\n")
}

// runProgram runs a command line in a process of its own.
func runProgram(t *testing.T, args ...string) output {
	t.Helper()
	return startProgram(t, args...).wait(t)
}

// end signals the program and returns what it left behind.
func (p *program) end(t *testing.T, s os.Signal) output {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return p.wait(t)
}

// wait waits for the end of the program and of its children.
func (p *program) wait(t *testing.T) output {
	t.Helper()
	rest, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // the exit status says it
	return output{p.cmd.ProcessState.ExitCode(), string(rest), p.stderr.String()}
}
