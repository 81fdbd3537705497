//go:build !linux

package wal

// pastCache reports that writes cannot leave the page cache out here.
func pastCache(File, bool) bool { return false }
