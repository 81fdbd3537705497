package wal

import (
	"bytes"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// coarse is a file on a disk whose blocks are larger than ours: it refuses what goes
// past the page cache.
type coarse struct {
	File
	refused, written int
}

func (f *coarse) Write(b []byte) (int, error) {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	if errno != 0 {
		return 0, errno
	}
	if flags&syscall.O_DIRECT != 0 {
		f.refused++
		return 0, &os.PathError{Op: "write", Err: syscall.EINVAL}
	}
	f.written++
	return f.File.Write(b)
}

// A spare has all its blocks, as zeros, whether or not the disk takes writes past the
// page cache.
func TestSparesAreWritten(t *testing.T) {
	fs := vfs.Default
	o := manual(fs)
	o.SegmentBytes = 3*fillBytes + alignBytes
	l, _ := mustOpen(t, t.TempDir(), o)
	defer mustClose(t, l)
	for name, wrap := range map[string]func(File) File{
		"as it is": func(f File) File { return f },
		"coarse":   func(f File) File { return &coarse{File: f} },
	} {
		path := fs.PathJoin(t.TempDir(), "spare")
		file, err := fs.Create(path, categorySpare)
		if err != nil {
			t.Fatal(err)
		}
		f := wrap(file)
		if err := l.fillFile(f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c, ok := f.(*coarse); ok && c.written == 0 {
			t.Errorf("%s: nothing was written", name)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, make([]byte, o.SegmentBytes)) {
			t.Errorf("%s: %d bytes, want %d zeros", name, len(got), o.SegmentBytes)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Blocks*512 < o.SegmentBytes {
			t.Errorf("%s: %d bytes have blocks, want %d", name, st.Blocks*512, o.SegmentBytes)
		}
	}
}
