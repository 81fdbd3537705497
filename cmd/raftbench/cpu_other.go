//go:build !linux

package main

import "time"

// childCPU is known on Linux only.
func childCPU(int) (time.Duration, bool) { return 0, false }
