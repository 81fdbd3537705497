package wal

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pastCache makes writes to f go to the disk without a copy in the page cache, or back to
// what is usual, and reports whether it could. Buffers, sizes and positions have to be
// multiples of the disk's block then.
func pastCache(f File, yes bool) bool {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false
	}
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
	if errno != 0 {
		return false
	}
	if flags &^= syscall.O_DIRECT; yes {
		flags |= syscall.O_DIRECT
	}
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFL, flags)
	return errno == 0
}
