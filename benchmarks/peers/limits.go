package main

import (
	"flag"
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

// limits measures what the machine itself can do, so that results of whole systems
// can be put in relation to it.
func limits(args []string) error {
	fs := flag.NewFlagSet("limits", flag.ExitOnError)
	parent := fs.String("dir", filepath.Join(os.TempDir(), "raftwire-peers"), "directory on the disk to measure")
	dur := fs.Duration("dur", 2*time.Second, "time per measurement")
	only := fs.String("only", "", "disk, net or cpu (default: all)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*parent, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(*parent, "limits-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *only == "" || *only == "disk" {
		if err := diskLimits(dir, *dur); err != nil {
			return err
		}
	}
	if *only == "" || *only == "net" {
		if err := netLimits(*dur); err != nil {
			return err
		}
	}
	if *only == "" || *only == "cpu" {
		cpuLimits(*dur)
	}
	return nil
}

// aligned returns a buffer that O_DIRECT accepts.
func aligned(n int) []byte {
	b := make([]byte, n+blockBytes)
	off := blockBytes - int(uintptr(unsafe.Pointer(&b[0]))%blockBytes)
	return b[off : off+n]
}
