// Peers measures the throughput and latency of replicated, durable writes in
// three-member clusters of several Raft engines, one load per run, and prints one
// line of JSON. Its matrix command compares engines on one machine, interleaved.
//
//	peers -sys raftwire -payload 128 -conc 256 -dur 5s
//	peers matrix -sys raftwire,etcdraft -payload 128 -conc 1,256 -reps 3 -out runs.jsonl
//	peers report runs.jsonl
//	peers limits -dir /path/on/the/disk
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "limits":
			return limits(args[1:])
		case "matrix":
			return matrix(args[1:])
		case "report":
			return report(args[1:])
		}
	}
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	if s.engine.prepare != nil {
		s.engine.prepare()
	}
	if s.member != "" {
		return runMember(s.engine, s.member)
	}
	return s.run()
}

// settings are the flags of one run.
type settings struct {
	engine  engine
	tag     string
	groups  int
	procs   int
	spread  bool
	dir     string
	keep    bool
	member  string // this process is one member, configured by this JSON
	load    loadConfig
	options Options
}

// Set for the second start of this program, see restart.
const (
	envRoot = "PEERS_ROOT" // the run's directory, made already
	envCwd  = "PEERS_CWD"  // where relative paths of flags are
)

func parseSettings(args []string) (*settings, error) {
	s := &settings{}
	fs := flag.NewFlagSet("peers", flag.ExitOnError)
	sys := fs.String("sys", "", "system under test: "+engineNames())
	fs.StringVar(&s.tag, "tag", "", "label copied to the result")
	fs.IntVar(&s.load.payload, "payload", 128, "bytes per command")
	fs.IntVar(&s.load.clients, "conc", 256, "closed-loop clients")
	fs.IntVar(&s.groups, "groups", 1, "Raft groups (dragonboat and raftwire)")
	fs.BoolVar(&s.spread, "spread", false, "spread the leaders of groups over the members (dragonboat)")
	fs.IntVar(&s.procs, "procs", 1, "processes: 1 or 3; clients run next to the leader")
	fs.DurationVar(&s.load.warm, "warm", 2*time.Second, "warm-up")
	fs.DurationVar(&s.load.metered, "dur", 5*time.Second, "metered time")
	fs.StringVar(&s.dir, "dir", filepath.Join(os.TempDir(), "raftwire-peers"), "parent of the members' data directories")
	fs.BoolVar(&s.keep, "keep", false, "keep the data directories")
	fs.StringVar(&s.load.profiles.cpu, "cpuprofile", "", "write a CPU profile of the metered time")
	fs.StringVar(&s.load.profiles.alloc, "allocprofile", "", "write a profile of allocations, start included")
	fs.StringVar(&s.load.profiles.block, "blockprofile", "", "write a profile of waiting")
	fs.StringVar(&s.load.profiles.mutex, "mutexprofile", "", "write a profile of contended locks")
	fs.StringVar(&s.member, "member", "", "internal: run one member, configured by this JSON")
	fs.BoolVar(&s.options.Default, "default", false, "the engine's defaults instead of the tuned settings")
	fs.IntVar(&s.options.MaxAppend, "maxappend", 0, "hraft: MaxAppendEntries (0: 1024)")
	fs.IntVar(&s.options.InFlight, "inflight", 0, "hraft: MaxRPCsInFlight (0: the library's default)")
	fs.StringVar(&s.options.LogDBMemory, "logdbmem", "", "dragonboat: tiny, small, medium or large (empty: the library's default, large)")
	fs.IntVar(&s.options.LogPieces, "execshards", 0, "dragonboat: engine and log store shards (0: 16)")
	fs.BoolVar(&s.options.NoYield, "noyield", false, "etcdraft, floor: do not yield before cutting a batch")
	fs.StringVar(&s.options.Codec, "codec", "", "raftwire: thrift-compact, thrift-binary or msgpack (empty: thrift-compact)")
	fs.IntVar(&s.options.Workers, "workers", 0, "raftwire: workers per host (0: the library's default)")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return s, s.complete(*sys)
}

// complete checks the flags against each other.
func (s *settings) complete(sys string) (err error) {
	if s.engine, err = findEngine(sys); err != nil {
		return err
	}
	p := &s.load.profiles
	for _, path := range []*string{&p.cpu, &p.alloc, &p.block, &p.mutex} {
		if from := os.Getenv(envCwd); from != "" && *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(from, *path)
		}
	}
	switch {
	case s.groups < 1 || s.load.clients < 1 || s.load.payload < 0:
		return errors.New("-groups and -conc are at least 1, -payload at least 0")
	case s.groups > 1 && !s.engine.groups:
		return fmt.Errorf("-groups %d: %w", s.groups, errOneGroup)
	case s.procs != 1 && s.procs != members:
		return fmt.Errorf("-procs is 1 or %d", members)
	}
	return nil
}

// run measures once, in an empty directory of its own, on a disk with nothing
// left to write.
func (s *settings) run() error {
	root := os.Getenv(envRoot)
	if root == "" {
		root = filepath.Join(s.dir, fmt.Sprintf("%s-%d", s.engine.name, os.Getpid()))
		if err := os.MkdirAll(root, 0o755); err != nil {
			return err
		}
		if !s.keep {
			defer os.RemoveAll(root)
		}
		if s.engine.settings != nil {
			return s.restart(root)
		}
	}
	unix.Sync()
	if s.procs == 1 && os.Getenv("GOMAXPROCS") == "" {
		// Three processes would have a set of Ps each. One set for three members would
		// punish every engine for its syncs, each of which keeps a P until the runtime
		// notices.
		runtime.GOMAXPROCS(members * runtime.NumCPU())
	}
	cl, err := startCluster(clusterConfig{s.engine, root, s.groups, s.procs, s.spread, s.options})
	if err != nil {
		return err
	}
	defer cl.close()
	r, err := runLoad(cl, s.load)
	if err != nil {
		return err
	}
	r.Sys, r.Tag, r.Groups, r.Procs = s.engine.name, s.tag, s.groups, s.procs
	r.Go, r.CPUs, r.GOMAXPROCS, r.GOGC = runtime.Version(), runtime.NumCPU(), runtime.GOMAXPROCS(0), os.Getenv("GOGC")
	r.When = time.Now().UTC().Format(time.RFC3339)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// restart starts this program again in a directory that holds the engine's
// settings, which the library reads from the working directory before main runs.
func (s *settings) restart(root string) error {
	if err := s.engine.settings(root); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), envRoot+"="+root, envCwd+"="+cwd)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
