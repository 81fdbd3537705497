// Package wal is the log of all Raft groups of one node: entries, terms and
// votes, commit indexes and snapshot notices, in segment files that one writer
// fills and that are synced once per group of batches.
//
//	Submit/Write --> frame being filled --> one pwrite, one fdatasync --> done(nil)
//	Group.Entries <-- frames in memory <-- segment files, every body checked
//
// # What is promised
//
// A batch is answered with nil only after fdatasync covered it (see
// Log.Durability for the modes that promise less). Term and vote travel in the
// same log as the entries. After a failed write or sync nothing is answered with
// nil any more and nothing is tried again: only Open can tell what the disk has.
//
// Open tells a torn end, of which nobody was told, from damage to what was
// acknowledged: each frame says up to where the log was durable before it. A torn
// end is cut off, damage is a *CorruptError; Options.Salvage opens such a log with
// its groups in doubt. Entries are checked on every read.
//
// # Files
//
//	<dir>/LOCK               held while a Log is open
//	<dir>/seg/%016x.rwal     segments, numbered without gaps
//	<dir>/spare/%08x         written blocks that may become segments
//	<dir>/catalog/           which segments there must be; can be rebuilt
//
// docs/spec/wal.md has the format byte by byte.
package wal
