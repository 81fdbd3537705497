// Package meter counts what a load costs a machine and how long its operations take.
package meter

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sample is a snapshot of everything that is metered over the time of a load.
// The first group of fields covers the calling process; Add merges others. The
// second is of the whole machine.
type Sample struct {
	CPU        time.Duration // user and system
	SystemCPU  time.Duration
	Allocs     uint64
	AllocBytes uint64
	GCs        uint64
	Switches   uint64 // context switches

	WriteBytes uint64        // written to the block device
	Syncs      uint64        // fsync and fdatasync calls on ext4; 0 without tracefs
	Flushes    uint64        // cache flushes that the block device completed
	Machine    time.Duration // CPU time of everything, kernel threads included
}

// Sub returns what was counted since o.
func (s Sample) Sub(o Sample) Sample {
	return Sample{
		CPU: s.CPU - o.CPU, SystemCPU: s.SystemCPU - o.SystemCPU, Allocs: s.Allocs - o.Allocs,
		AllocBytes: s.AllocBytes - o.AllocBytes, GCs: s.GCs - o.GCs, Switches: s.Switches - o.Switches,
		WriteBytes: s.WriteBytes - o.WriteBytes, Syncs: s.Syncs - o.Syncs, Flushes: s.Flushes - o.Flushes,
		Machine: s.Machine - o.Machine,
	}
}

// Add merges what belongs to the process that took o.
func (s Sample) Add(o Sample) Sample {
	s.CPU += o.CPU
	s.SystemCPU += o.SystemCPU
	s.Allocs += o.Allocs
	s.AllocBytes += o.AllocBytes
	s.GCs += o.GCs
	s.Switches += o.Switches
	return s
}

// Process meters the calling process.
func Process() Sample {
	var s Sample
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) == nil {
		s.SystemCPU = time.Duration(ru.Stime.Nano())
		s.CPU = time.Duration(ru.Utime.Nano()) + s.SystemCPU
		s.Switches = uint64(ru.Nvcsw + ru.Nivcsw)
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	s.Allocs, s.AllocBytes, s.GCs = ms.Mallocs, ms.TotalAlloc, uint64(ms.NumGC)
	return s
}

// Disk counts disk writes, syncs and CPU time of the whole machine. The
// figures of /proc/self/io are no good for the writes: a byte rewritten in a large
// folio counts as the whole folio there, though only its dirty blocks go to the
// disk. Neither source costs the measured code anything to speak of: the ext4
// tracepoint fires once per sync, and the block layer keeps the flush count anyway.
type Disk struct {
	disk string
	fds  []int
}

// NewDisk meters the disk that holds dir. Without tracefs, which takes root,
// only the flush count is known.
func NewDisk(dir string) *Disk {
	d := &Disk{}
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		d.disk = fmt.Sprintf("%d %d", unix.Major(st.Dev), unix.Minor(st.Dev))
	}
	id := syncTracepoint()
	if id == 0 {
		return d
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Size: uint32(unix.PERF_ATTR_SIZE_VER5)}
	for cpu := range runtime.NumCPU() {
		fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == nil {
			d.fds = append(d.fds, fd)
		}
	}
	return d
}

// syncTracepoint is the number of the tracepoint that fires on each sync; 0: none.
func syncTracepoint() uint64 {
	for _, root := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		b, err := os.ReadFile(root + "/events/ext4/ext4_sync_file_enter/id")
		if err != nil {
			continue
		}
		if id, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			return id
		}
	}
	return 0
}

// Read fills in what is counted for the whole machine.
func (d *Disk) Read(s *Sample) {
	for _, fd := range d.fds {
		var b [8]byte
		if n, err := unix.Read(fd, b[:]); err == nil && n == len(b) {
			s.Syncs += binary.NativeEndian.Uint64(b[:])
		}
	}
	// Fields of a line: 0 major, 1 minor, 2 name, 9 sectors written, 18 flushes completed.
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(stats)) {
		f := strings.Fields(line)
		if len(f) >= 20 && f[0]+" "+f[1] == d.disk {
			s.WriteBytes = number(f[9]) * 512
			s.Flushes = number(f[18])
		}
	}
	s.Machine = machineCPU()
}

// machineCPU is the CPU time that the whole machine has spent so far.
func machineCPU() (busy time.Duration) {
	// First line: cpu user nice system idle iowait irq softirq steal, in 1/100 s.
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	if f := strings.Fields(string(stat)); len(f) > 8 {
		for _, i := range []int{1, 2, 3, 6, 7, 8} {
			busy += time.Duration(number(f[i])) * 10 * time.Millisecond
		}
	}
	return busy
}

// number reads a field that the kernel wrote; what it did not write is 0.
func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// AwaitQuiet waits until the machine has been all but idle for a second, for at
// most limit.
func AwaitQuiet(limit time.Duration) {
	const window, allowed = time.Second, 100 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before := machineCPU()
		time.Sleep(window)
		if machineCPU()-before <= allowed {
			return
		}
	}
}
