package wal_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// entry is a command as a log stores it.
func entry(term raftpb.Term, body string) raftpb.Entry {
	return raftpb.Entry{
		Term: term, Kind: raftpb.EntryKindCommand, Body: []byte(body), Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, []byte(body)),
	}
}

// quiet are the options of a log in memory.
func quiet(fs wal.FS) wal.Options {
	return wal.Options{
		Identity: wal.Identity{Cluster: "example", Node: 1}, FS: fs, Catalog: wal.FileCatalog, Logger: slog.New(slog.DiscardHandler),
		SegmentBytes: 64 << 10,
	}
}

// A batch of changes of several groups is one write and one sync, whole or not at all; what
// Write has returned is there after a restart.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	options := quiet(wal.DefaultFS())
	options.Catalog = wal.PebbleCatalog // the default
	log, recovery, err := wal.Open(dir, options)
	if err != nil {
		panic(err)
	}
	fmt.Println("new:", recovery.Created, "groups:", log.Groups())

	var b wal.Batch
	b.Append(7, 1, []raftpb.Entry{entry(1, "a"), entry(1, "b")})
	b.HardState(7, wal.HardState{Term: 1, Vote: 1, Commit: 1})
	b.Append(8, 1, []raftpb.Entry{entry(1, "of another group")})
	fmt.Println(log.Write(&b), log.Close())

	log, _, err = wal.Open(dir, wal.Options{Logger: options.Logger}) // whoever's it is
	if err != nil {
		panic(err)
	}
	defer log.Close()
	g := log.Group(7)
	entries, err := g.Entries(nil, g.FirstIndex(), g.LastIndex()+1, 1<<20)
	if err != nil {
		panic(err)
	}
	fmt.Printf("node %d of %q; group %d: term %d, %d entries, the last is %q\n", log.Identity().Node, log.Identity().Cluster,
		g.ID(), g.HardState().Term, len(entries), entries[len(entries)-1].Body)
	fmt.Println("groups:", log.Groups(), "in doubt:", g.Uncertain(), "honest about the file system:", log.Durability() != "")
	// Output:
	// new: true groups: []
	// <nil> <nil>
	// node 1 of "example"; group 7: term 1, 2 entries, the last is "b"
	// groups: [7 8] in doubt: false honest about the file system: true
}

// Submit returns at once; the callback tells when the batch is durable. Batches that wait
// together share a sync.
func ExampleLog_Submit() {
	log, _, err := wal.Open("log", quiet(wal.NewMemFS()))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	durable := make(chan error, 3)
	var b wal.Batch
	for i := range raftpb.Index(3) {
		b.Append(7, i+1, []raftpb.Entry{entry(1, "x")})
		log.Submit(&b, func(err error) { durable <- err })
		b.Reset() // it may be used again
	}
	fmt.Println(<-durable, <-durable, <-durable, b.Empty(), log.Metrics().Batches >= 3)
	// Output: <nil> <nil> <nil> true true
}

// A log is cut at its end by a new leader, and at its beginning behind a snapshot.
func ExampleBatch() {
	log, _, err := wal.Open("log", quiet(wal.NewMemFS()))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	g := log.Group(7)
	write := func(change func(b *wal.Batch)) {
		var b wal.Batch
		change(&b)
		if err := log.Write(&b); err != nil {
			panic(err)
		}
		fmt.Println("first", g.FirstIndex(), "last", g.LastIndex(), "snapshot", g.Snapshot().Index)
	}
	write(func(b *wal.Batch) {
		b.Append(7, 1, []raftpb.Entry{entry(1, "a"), entry(1, "b"), entry(1, "c"), entry(1, "d")})
	})
	write(func(b *wal.Batch) { b.Truncate(7, 4) })
	write(func(b *wal.Batch) { b.Snapshot(7, wal.Snapshot{Index: 1, Term: 1}); b.Compact(7, 2) })
	write(func(b *wal.Batch) { b.HardState(7, wal.HardState{Term: 1, Commit: 3}); b.NoSync() }) // a commit alone
	term, err := g.Term(3)
	fmt.Println(term, err)
	var buf wal.ReadBuffer // for who reads much and keeps nothing
	entries, err := g.EntriesInto(&buf, nil, 2, 4, 1<<20)
	fmt.Println(len(entries), err)
	write(func(b *wal.Batch) { b.Destroy(7) })
	// Output:
	// first 1 last 4 snapshot 0
	// first 1 last 3 snapshot 0
	// first 2 last 3 snapshot 1
	// first 2 last 3 snapshot 1
	// 1 <nil>
	// 2 <nil>
	// first 1 last 0 snapshot 0
}

// The whole log is read in search of damage. What is found can be stored again from another
// member's copy: alone, or with other changes in a batch.
func ExampleLog_Scrub() {
	log, _, err := wal.Open("log", quiet(wal.NewMemFS()))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	var b wal.Batch
	b.Append(7, 1, []raftpb.Entry{entry(1, "a"), entry(1, "b")})
	if err := log.Write(&b); err != nil {
		panic(err)
	}
	report, err := log.Scrub(context.Background(), 0)
	fmt.Println("damage:", len(report.Damage), err)
	for _, damage := range report.Damage {
		for i := damage.Lo; i < damage.Hi; i++ {
			fmt.Println(i, log.Group(damage.Group).Suffers(damage, i))
		}
	}
	fmt.Println(log.Repair(7, 2, entry(1, "b")))
	b.Reset()
	b.Repair(7, 1, entry(1, "a"))
	b.Trust(7) // the group has again all that it ever acknowledged
	fmt.Println(log.Write(&b))
	groups, excess := log.Pinned() // who should compact
	fmt.Println(groups, excess)
	// Output:
	// damage: 0 <nil>
	// <nil>
	// <nil>
	// [] 0
}

// Tools look at a log without opening it.
func ExampleInspect() {
	fs := wal.NewMemFS()
	log, _, err := wal.Open("log", quiet(fs))
	if err != nil {
		panic(err)
	}
	var b wal.Batch
	b.Append(7, 1, []raftpb.Entry{entry(1, "a"), entry(1, "b")})
	if err := log.Write(&b); err != nil {
		panic(err)
	}
	if err := log.Close(); err != nil {
		panic(err)
	}
	report, err := wal.Inspect(fs, "log", wal.Inspection{})
	fmt.Println(report.Entries, report.Clean, len(report.Damage), err)
	// Output: 2 true 0 <nil>
}

// A simulation takes the place of the log's goroutines and of the disk: it decides when a
// write happens, and what a power loss leaves.
func ExampleCrashFS() {
	disk := wal.NewCrashFS()
	options := quiet(disk)
	options.Manual = true
	log, _, err := wal.Open("log", options)
	if err != nil {
		panic(err)
	}
	told := false
	var b wal.Batch
	b.Append(7, 1, []raftpb.Entry{entry(1, "a")})
	log.Submit(&b, func(error) { told = true })
	early := disk.Crash(0, 1) // nothing was written yet
	for log.Step() {
	}
	late := disk.Crash(0, 1) // whatever was told to somebody is there
	fmt.Println("told:", told)
	for _, left := range []*wal.CrashFS{early, late} {
		log, _, err := wal.Open("log", quiet(left))
		if err != nil {
			panic(err)
		}
		fmt.Println("entries:", log.Group(7).LastIndex(), log.Close())
	}
	thaw := disk.Freeze() // syncs hang
	thaw()
	disk.Slow(0) // syncs take so long
	disk.Break() // and now they fail
	b.Reset()
	b.Append(7, 2, []raftpb.Entry{entry(1, "b")})
	var failed error
	log.Submit(&b, func(err error) { failed = err })
	for log.Step() {
	}
	fmt.Println("failed:", failed != nil, log.Close() != nil)
	// Output:
	// told: true
	// entries: 0 <nil>
	// entries: 1 <nil>
	// failed: true true
}

// What a slow disk does to whoever writes can be tried without one.
func ExampleNewSlowFS() {
	disk := wal.NewSlowFS(wal.NewMemFS())
	log, _, err := wal.Open("data", quiet(disk))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	disk.Slow(20 * time.Millisecond)
	var b wal.Batch
	b.Append(7, 1, []raftpb.Entry{entry(1, "a")})
	began := time.Now()
	fmt.Println(log.Write(&b), time.Since(began) >= 20*time.Millisecond)
	// Output: <nil> true
}
