//go:build unix

package main

import (
	"syscall"
	"time"
)

// processCPU returns the processor time this process has used, user and system.
func processCPU() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// ownGroup keeps a Ctrl-C at the terminal from reaching a child: its parent stops it
// when the result is in.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// What stops a process for a while, and lets it go on.
const stopSignal, continueSignal = syscall.SIGSTOP, syscall.SIGCONT
