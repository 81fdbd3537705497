package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// childCPU returns the processor time a running process has used, user and system.
func childCPU(pid int) (time.Duration, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The second field is the program's name in parentheses and may hold anything;
	// fields 14 and 15, the 12th and 13th behind it, are user and system time.
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseUint(string(f[11]), 10, 63)
	system, err2 := strconv.ParseUint(string(f[12]), 10, 63)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(user+system) * tick, err1 == nil && err2 == nil
}
