package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// cpuProfile is a CPU profile of the time measured. The nil profile does nothing.
type cpuProfile struct{ file *os.File }

// newProfile creates the file, so that a name that cannot be used is found before the load.
func newProfile(name string) (*cpuProfile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	return &cpuProfile{f}, nil
}

func (p *cpuProfile) start() error {
	if p == nil {
		return nil
	}
	if err := pprof.StartCPUProfile(p.file); err != nil {
		return fmt.Errorf("--cpuprofile: %w", err)
	}
	return nil
}

func (p *cpuProfile) stop() {
	if p != nil {
		pprof.StopCPUProfile()
	}
}

func (p *cpuProfile) close() error {
	if p == nil {
		return nil
	}
	return p.file.Close()
}
