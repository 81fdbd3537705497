package engine

import "github.com/seed-814fcd60/raftwire/wal"

// OnFS lets tests put a host's log on another file system.
func (c *Config) OnFS(fs wal.FS) { c.FS = fs }
