package wal

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

	Segments    int   // files that hold frames
	QueuedBytes int   // handed over and not yet written
	CacheBytes  int   // of written frames kept for readers
	DurableLSN  int64 // bytes of log made durable since it was created
}

// counters are guarded by Log.mu.
type counters struct {
	frameSyncs, frames, records, entries, batches, bytes, stalls int64
}

// Metrics returns the current figures.
func (l *Log) Metrics() Metrics {
	l.segs.mu.RLock()
	segments := len(l.segs.list)
	l.segs.mu.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Metrics{
		Syncs:       l.fs.syncs.calls.Load(),
		FrameSyncs:  l.counts.frameSyncs,
		Frames:      l.counts.frames,
		Records:     l.counts.records,
		Entries:     l.counts.entries,
		Batches:     l.counts.batches,
		Bytes:       l.counts.bytes,
		Stalls:      l.counts.stalls,
		Segments:    segments,
		QueuedBytes: l.queuedBytes,
		CacheBytes:  l.cache.bytes,
		DurableLSN:  int64(l.durable),
	}
}
