package wal

import "syscall"

const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// volatileMount names the file system under dir when its contents do not outlive
// a power cut ("tmpfs", "ramfs"), else "".
func volatileMount(dir string) string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return ""
	}
	switch int64(st.Type) { //nolint:unconvert // an int32 on some architectures
	case tmpfsMagic:
		return "tmpfs"
	case ramfsMagic:
		return "ramfs"
	}
	return ""
}
