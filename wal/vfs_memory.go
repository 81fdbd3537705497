package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// NewMemFS returns a file system in memory, empty. A log on it survives nothing.
func NewMemFS() FS { return vfs.NewMem() }
