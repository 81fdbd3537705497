//go:build !unix

package main

import (
	"syscall"
	"time"
)

// processCPU is not known here.
func processCPU() (time.Duration, bool) { return 0, false }

// ownGroup is what unix systems need.
func ownGroup() *syscall.SysProcAttr { return nil }

// No process can be stopped for a while here: the scenario that does so fails.
const stopSignal, continueSignal = syscall.Signal(0), syscall.Signal(0)
