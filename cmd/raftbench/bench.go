package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

var (
	errInterrupted = errors.New("interrupted")
	errNotVerified = errors.New("verification failed")
)

const (
	// After Ctrl-C everything has to be over within 2 s: commands in flight get
	// interruptedDrain, comparing the nodes gets interruptedVerify, closing the rest.
	interruptedDrain  = 400 * time.Millisecond
	interruptedVerify = 500 * time.Millisecond
)

// runBench is the command "run": start, load, measure, compare, report, clean up.
func runBench(ctx context.Context, c *runConfig, log *slog.Logger, stdout, stderr io.Writer) (err error) {
	if !c.processes {
		defer setProcs()()
	}
	profile, err := newProfile(c.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, profile.close()) }()
	c.work.history, err = newHistory(c.historyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.work.history.close()) }()
	r, err := runOnce(ctx, c, log, newProgress(stderr), profile)
	if r == nil {
		return err
	}
	if c.json {
		err = errors.Join(r.printJSON(stdout), err)
	} else {
		err = errors.Join(r.printTable(stdout), err)
	}
	if err != nil {
		return err
	}
	return r.fault()
}

// runOnce runs a cluster of its own under load. It returns no report when the cluster failed.
func runOnce(ctx context.Context, c *runConfig, log *slog.Logger, p *progress, profile *cpuProfile) (*report, error) {
	c.logLevel.Set(slog.LevelWarn)
	dirs, err := newDataDirs(c)
	if err != nil {
		return nil, err
	}
	c.machine = result.ThisMachine(dirs.root)
	doing := "starting"
	if c.peers != nil {
		doing = "connecting to"
	}
	p.line(fmt.Sprintf("%s %s, GOMAXPROCS %d", doing, plural(c.nodes, "node"), runtime.GOMAXPROCS(0)))
	cl, err := startCluster(ctx, c, log, dirs)
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return nil, errors.Join(err, dirs.abandon())
	}
	r, err := measureCluster(ctx, c, cl, p, profile)
	p.done()
	c.logLevel.Set(slog.LevelError) // nodes that stop see each other go, which is no news
	if closing := cl.close(); err == nil {
		err = closing
	}
	if removing := dirs.finish(); err == nil {
		err = removing
	}
	return r, err
}

// measureCluster puts the load on a running cluster and compares the nodes after it.
// It returns no report when the cluster failed.
func measureCluster(ctx context.Context, c *runConfig, cl *cluster, p *progress, profile *cpuProfile) (*report, error) {
	l, err := newLoad(ctx, cl, c.work)
	if err != nil {
		return nil, err
	}
	stage := newStage(c, cl, l, p)
	m, err := l.measure(ctx, cl, c.warmup, stage.grain(), p, profile, stage.body())
	drain, compare := drainLimit, verifyLimit
	if m.interrupted {
		drain, compare = interruptedDrain, interruptedVerify
	}
	if err != nil {
		drain = 0 // a member has failed; closing the others ends what is in flight
	}
	stuck := l.drain(drain)
	if err != nil {
		return nil, err
	}
	if stuck != nil && !m.interrupted {
		return nil, stuck
	}
	r := newReport(c, cl, l, &m)
	stage.report(r)
	r.Leaders = ledBy(context.WithoutCancel(ctx), cl)
	if stuck != nil { // its clients still run: nothing to compare with
		r.unverified = stuck.Error()
		return r, nil //nolint:nilerr // an interrupted run reports it in the result
	}
	p.line("comparing the nodes")
	v := verify(context.WithoutCancel(ctx), cl, l, compare)
	if m.interrupted && !v.settled {
		r.unverified = "no time left"
		return r, nil
	}
	r.judge(v)
	return r, nil
}

// procsPerCPU is how many Ps the nodes of one process get per CPU: a goroutine in a
// sync holds one until the scheduler takes it back, and three processes would have as many.
const procsPerCPU = 3

// setProcs sets GOMAXPROCS unless the environment has; what it returns undoes it.
func setProcs() (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(procsPerCPU * before)
	return func() { runtime.GOMAXPROCS(before) }
}

// ledBy returns how many groups each node leads.
func ledBy(ctx context.Context, cl *cluster) []int {
	ctx, cancel := context.WithTimeout(ctx, interruptedVerify)
	defer cancel()
	list := make([]int, len(cl.members))
	for _, leader := range cl.leaders(ctx) {
		if leader > 0 {
			list[leader-1]++
		}
	}
	return list
}
