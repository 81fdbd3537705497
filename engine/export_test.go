package engine

import "github.com/seed-814fcd60/raftwire/wal"

// OnFS lets tests put a host's log on another file system.
func (c *Config) OnFS(fs wal.FS) { c.fs = fs }

// InFlight lets tests bound the appends in flight to a follower.
func (c *Config) InFlight(appends int) { c.inflight = appends }
