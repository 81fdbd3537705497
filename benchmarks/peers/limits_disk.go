package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// syncMode is one way of getting a block onto the disk for good.
type syncMode struct {
	name    string
	prepare func(f *os.File, size int64) error // before timing
	flags   int                                // extra open flags
	write   func(f *os.File, b []byte, at int64) error
}

func syncModes() []syncMode {
	return []syncMode{
		{"growing file, write+fsync", leave, 0, writeThen(unix.Fsync)},
		{"growing file, write+fdatasync", leave, 0, writeThen(unix.Fdatasync)},
		{"fallocated file, write+fdatasync", fallocate, 0, writeThen(unix.Fdatasync)},
		{"prewritten file, write+fdatasync", fill, 0, writeThen(unix.Fdatasync)},
		{"prewritten file, write+fsync", fill, 0, writeThen(unix.Fsync)},
		{"prewritten file, O_DSYNC write", fill, unix.O_DSYNC, justWrite},
		{"prewritten file, O_DIRECT write+fdatasync", fill, unix.O_DIRECT, writeThen(unix.Fdatasync)},
		{"prewritten file, O_DIRECT|O_DSYNC write", fill, unix.O_DIRECT | unix.O_DSYNC, justWrite},
		{"fallocated file, O_DIRECT|O_DSYNC write", fallocate, unix.O_DIRECT | unix.O_DSYNC, justWrite},
		{"prewritten file, write only (page cache)", fill, 0, justWrite},
	}
}

func writeThen(sync func(fd int) error) func(*os.File, []byte, int64) error {
	return func(f *os.File, b []byte, at int64) error {
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		return sync(int(f.Fd()))
	}
}

func justWrite(f *os.File, b []byte, at int64) error {
	_, err := f.WriteAt(b, at)
	return err
}

func leave(*os.File, int64) error { return nil }

func fallocate(f *os.File, size int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, size) }

// fill writes the whole file and syncs it, so that later writes neither allocate
// blocks nor convert unwritten extents.
func fill(f *os.File, size int64) error {
	zero := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zero)) {
		if _, err := f.WriteAt(zero, at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// openPrepared makes the file of a measurement.
func openPrepared(path string, m syncMode, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.prepare(f, size), f.Close()); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|m.flags, 0o644)
}

// syncLoop writes blocks one after another for dur or up to size.
func syncLoop(path string, m syncMode, block int, size int64, dur time.Duration, h *meter.Histogram) error {
	defer os.Remove(path)
	f, err := openPrepared(path, m, size)
	if err != nil {
		return err
	}
	defer f.Close()
	b := aligned(block)
	for i := range b {
		b[i] = byte(i * 7)
	}
	at := int64(0)
	for end := time.Now().Add(dur); ; {
		began := time.Now()
		if began.After(end) {
			return nil
		}
		if err := m.write(f, b, at); err != nil {
			return err
		}
		h.Add(time.Since(began))
		if at += int64(block); at+int64(block) > size {
			return nil // the file is used up; enough samples were taken
		}
	}
}

func diskLimits(dir string, dur time.Duration) error {
	oneWriter(dir, dur)
	if err := threeWriters(dir, dur); err != nil {
		return err
	}
	return bandwidth(dir)
}

func oneWriter(dir string, dur time.Duration) {
	fmt.Print("\n## Disk: block made durable, one writer\n\n")
	fmt.Println("| block | way | mean µs | p50 | p99 | p99.9 | per s | MB/s |\n|--:|---|--:|--:|--:|--:|--:|--:|")
	for _, block := range []int{4 << 10, 32 << 10, 128 << 10, 1 << 20} {
		for _, m := range syncModes() {
			h := new(meter.Histogram)
			size := int64(512 << 20)
			if block <= 4<<10 {
				size = 256 << 20
			}
			if err := syncLoop(filepath.Join(dir, "f"), m, block, size, dur, h); err != nil {
				fmt.Printf("| %d | %s | %v |\n", block, m.name, err) // a way that this file system does not offer
				continue
			}
			s := meter.Summarise(h)
			rate := 1e6 / s.Mean
			fmt.Printf("| %d | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n",
				block, m.name, s.Mean, s.P50, s.P99, s.P999, rate, rate*float64(block)/1e6)
			unix.Sync()
		}
	}
}

func threeWriters(dir string, dur time.Duration) error {
	fmt.Print("\n## Disk: three files, three threads at once (one per member)\n\n")
	fmt.Println("| block | way | mean µs | p50 | p99 | syncs/s, all three | MB/s, all three |\n|--:|---|--:|--:|--:|--:|--:|")
	for _, block := range []int{4 << 10, 32 << 10, 128 << 10} {
		for _, i := range []int{1, 2, 3, 7} {
			m := syncModes()[i]
			hists := make([]*meter.Histogram, members)
			errs := make([]error, members)
			var wg sync.WaitGroup
			for k := range hists {
				hists[k] = new(meter.Histogram)
				wg.Go(func() {
					runtime.LockOSThread()
					errs[k] = syncLoop(filepath.Join(dir, fmt.Sprint("f", k)), m, block, 256<<20, dur, hists[k])
				})
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			s := meter.Summarise(hists...)
			rate := members * 1e6 / s.Mean
			fmt.Printf("| %d | %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", block, m.name, s.Mean, s.P50, s.P99, rate, rate*float64(block)/1e6)
			unix.Sync()
		}
	}
	return nil
}

func bandwidth(dir string) error {
	const total = 1 << 30
	fmt.Print("\n## Disk: sequential bandwidth, 1 MiB writes, 1 GiB, one sync at the end\n\n")
	for _, m := range []syncMode{
		{"buffered, growing", leave, 0, justWrite},
		{"buffered, prewritten", fill, 0, justWrite},
		{"O_DIRECT, prewritten", fill, unix.O_DIRECT, justWrite},
	} {
		path := filepath.Join(dir, "seq")
		f, err := openPrepared(path, m, total)
		if err != nil {
			return err
		}
		b := aligned(1 << 20)
		start := time.Now()
		for at := int64(0); at < total; at += int64(len(b)) {
			if err := m.write(f, b, at); err != nil {
				return err
			}
		}
		err = unix.Fdatasync(int(f.Fd()))
		took := time.Since(start)
		if err := errors.Join(err, f.Close(), os.Remove(path)); err != nil {
			return err
		}
		fmt.Printf("- %s: %.0f MB/s\n", m.name, total/took.Seconds()/1e6)
		unix.Sync()
	}
	return nil
}
