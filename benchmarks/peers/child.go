package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// child is a member in a process of its own. It reads one-word commands from its
// standard input and answers each with a line of JSON.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

type childStatus struct {
	State  state
	Sample meter.Sample
}

func startChild(sys string, cfg NodeConfig) (*child, error) {
	blob, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-sys", sys, "-member", string(blob))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// ask sends "stat" or "yield"; the latter passes leadership of all groups to member 1.
func (ch *child) ask(command string) (childStatus, error) {
	var st childStatus
	if _, err := fmt.Fprintln(ch.in, command); err != nil {
		return st, err
	}
	line, err := ch.out.ReadBytes('\n')
	if err != nil {
		return st, fmt.Errorf("member process %d: %w", ch.cmd.Process.Pid, err)
	}
	return st, json.Unmarshal(line, &st)
}

// close ends the process: its input ends, and after a while it is killed.
func (ch *child) close() {
	ch.in.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- ch.cmd.Wait() }()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		if err := ch.cmd.Process.Kill(); err != nil {
			fmt.Fprintln(os.Stderr, "kill member process:", err)
		}
		<-stopped
	}
}

// runMember is the body of a child process.
func runMember(e engine, blob string) error {
	var cfg NodeConfig
	if err := json.Unmarshal([]byte(blob), &cfg); err != nil {
		return err
	}
	n, err := e.start(cfg)
	if err != nil {
		return err
	}
	defer n.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "yield" {
			for g := range cfg.Groups {
				if n.Leads(g) {
					n.HandOver(g, 1)
				}
			}
		}
		if err := json.NewEncoder(os.Stdout).Encode(childStatus{n.Applied(), meter.Process()}); err != nil {
			return err
		}
	}
	return in.Err()
}
