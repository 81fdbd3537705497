package wal

import "github.com/seed-814fcd60/raftwire/histogram"

// Metrics are totals since Open, but for the gauges at the end.
type Metrics struct {
	Syncs      int64 // calls of fsync and fdatasync, of the catalog and of directories too
	FrameSyncs int64 // of them, those that made frames durable
	Frames     int64 // written
	Records    int64 // in them
	Entries    int64 // handed over
	Batches    int64 // handed over; Batches/Frames is what group commit saves
	Bytes      int64 // written in frames, padding included
	Stalls     int64 // times that Submit or Write waited for MaxQueuedBytes
	SyncStalls int64 // reports of a write or sync that took longer than Options.StallAfter
	Footers    int64 // of closed segments written to the catalog
	Recycled   int64 // segments of which nothing counted any more
	SyncErrors int64 // syncs that failed; after the first of a frame the log refuses everything
	Damages    int64 // finds of damaged bytes: at the start, by readers, in the background
	Repairs    int64 // entries replaced by a copy that another member had

	// SyncDurations are those of the syncs that made frames durable.
	SyncDurations histogram.Histogram

	Segments    int   // files that hold frames
	Spares      int   // files that are ready to become the next segments
	QueuedBytes int   // handed over and not yet written
	CacheBytes  int   // of written frames kept for readers
	DurableLSN  int64 // bytes of log made durable since it was created
}

// counters are guarded by Log.mu.
type counters struct {
	frameSyncs, frames, records, entries, batches, bytes, stalls, syncStalls, footers, recycled int64
}

// Metrics returns the current figures.
func (l *Log) Metrics() Metrics {
	l.segs.mu.RLock()
	segments := len(l.segs.list)
	l.segs.mu.RUnlock()
	l.segs.prep.Lock()
	spares := len(l.segs.spares)
	if l.segs.next != nil {
		spares++
	}
	l.segs.prep.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Metrics{
		Syncs:         l.fs.syncs.calls.Load(),
		FrameSyncs:    l.counts.frameSyncs,
		Frames:        l.counts.frames,
		Records:       l.counts.records,
		Entries:       l.counts.entries,
		Batches:       l.counts.batches,
		Bytes:         l.counts.bytes,
		Stalls:        l.counts.stalls,
		SyncStalls:    l.counts.syncStalls,
		Footers:       l.counts.footers,
		Recycled:      l.counts.recycled,
		SyncErrors:    l.fs.syncs.errors.Load(),
		Damages:       l.damaged.Load(),
		Repairs:       l.repaired.Load(),
		SyncDurations: l.syncTimes.Read(),

		Segments:    segments,
		Spares:      spares,
		QueuedBytes: l.queuedBytes,
		CacheBytes:  l.cache.bytes,
		DurableLSN:  int64(l.durable),
	}
}
