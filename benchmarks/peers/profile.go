package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// profiles names files to write profiles of the metered time to; "": none.
type profiles struct {
	cpu, alloc, block, mutex string
}

// start begins all profiles; stop ends them and writes the files.
func (p profiles) start() (stop func() error, err error) {
	var f *os.File
	if p.cpu != "" {
		if f, err = os.Create(p.cpu); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if p.block != "" {
		runtime.SetBlockProfileRate(10_000) // one in 10 us of waiting: does not slow what it measures
	}
	if p.mutex != "" {
		runtime.SetMutexProfileFraction(20)
	}
	return func() error {
		var closed error
		if f != nil {
			pprof.StopCPUProfile()
			closed = f.Close()
		}
		return errors.Join(closed, write("allocs", p.alloc), write("block", p.block), write("mutex", p.mutex))
	}, nil
}

func write(profile, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup(profile).WriteTo(f, 0); err != nil {
		return errors.Join(fmt.Errorf("%s profile: %w", profile, err), f.Close())
	}
	return f.Close()
}
