package wal

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// damagedLog is a log of several segments, with one flipped bit in the body of
// entry 3 of group 1, in a closed segment that has its footer.
func damagedLog(t *testing.T) (*crashfs.FS, Options, []raftpb.Entry) {
	t.Helper()
	fs := crashfs.New()
	o := manual(fs)
	o.SegmentBytes, o.CacheBytes = 16<<10, -1
	l, _ := mustOpen(t, "wal", o)
	es := entriesOf(1, 1, 30, 2000)
	for i := range es {
		mustWrite(t, l, func(b *Batch) {
			b.Append(1, raftpb.Index(i+1), es[i:i+1])
			b.Append(2, raftpb.Index(i+1), entriesOf(1, raftpb.Index(i+1), 1, 10))
		})
		for l.Step() {
		}
	}
	mustClose(t, l)
	spoilBody(t, fs, "3@1|")
	return fs, o, es
}

// spoilBody flips a bit in the body that begins with text.
func spoilBody(t *testing.T, fs *crashfs.FS, text string) {
	t.Helper()
	spoil(t, fs, text, 50)
}

// spoil flips a bit so many bytes from the beginning of that body.
func spoil(t *testing.T, fs *crashfs.FS, text string, distance int) {
	t.Helper()
	names, _ := fs.List("wal/seg")
	for _, name := range names {
		if at := strings.Index(string(fs.Bytes("wal/seg/"+name)), text+"xxxx"); at >= 0 {
			fs.Spoil("wal/seg/"+name, at+distance, 0x04)
			return
		}
	}
	t.Fatalf("no body begins with %s", text)
}

func isEntry3(err error) bool {
	e, ok := errors.AsType[*CorruptError](err)
	return ok && e.Group == 1 && e.Lo == 3 && e.Hi == 4 && (e.Segment == 1 || e.Segment == 2) // where it is depends on when files were at hand
}

// A flipped bit in a closed segment is found when the entry is read, by a scrub and
// by an Open that verifies; each names it. Repair makes all three content, for good.
func TestDamageFoundAndRepaired(t *testing.T) {
	_, o, es := damagedLog(t)
	verify := o
	verify.Verify = true
	if _, _, err := Open("wal", verify); !isEntry3(err) {
		t.Errorf("verifying open: %v", err)
	}
	l, rec := mustOpen(t, "wal", o)
	if rec.Footers == 0 {
		t.Error("the damaged segment was read although it has a footer")
	}
	if _, err := l.Group(1).Entries(nil, 1, 31, 1<<20); !isEntry3(err) {
		t.Errorf("read: %v", err)
	}
	rep, err := l.Scrub(t.Context(), 0)
	if err != nil || len(rep.Damage) != 1 || !isEntry3(rep.Damage[0]) || rep.Segments < 4 || rep.Bytes < 60000 {
		t.Errorf("scrub: %+v, %v", rep, err)
	}
	wrong := es[2]
	wrong.Term = 2
	if err := l.Repair(1, 3, wrong); !errors.Is(err, ErrBadBatch) {
		t.Errorf("repair with another term: %v", err)
	}
	wrong = es[2]
	wrong.Body = []byte("something else")
	if err := l.Repair(1, 3, wrong); !errors.Is(err, ErrBadBatch) {
		t.Errorf("repair with another body: %v", err)
	}
	if err := l.Repair(1, 31, es[2]); !errors.Is(err, ErrBadBatch) {
		t.Errorf("repair behind the end: %v", err)
	}
	if err := l.Repair(1, 3, es[2]); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		checkEntries(t, l.Group(1), 1, es)
		got, err := l.Group(1).Entries(nil, 3, 4, 1)
		if err != nil || diffEntries(got, es[2:3]) != "" {
			t.Errorf("repaired entry: %v", err)
		}
		if rep, err := l.Scrub(t.Context(), 0); err != nil || len(rep.Damage) != 0 {
			t.Errorf("scrub after repair: %+v, %v", rep, err)
		}
	}
	check()
	for range 2 {
		mustClose(t, l)
		l, _ = mustOpen(t, "wal", verify)
		check()
	}
	// Overwriting makes the repair void like the entry.
	mustWrite(t, l, func(b *Batch) { b.Append(1, 3, entriesOf(2, 3, 2, 5)) })
	es = append(es[:2:2], entriesOf(2, 3, 2, 5)...)
	checkEntries(t, l.Group(1), 1, es)
	mustWrite(t, l, func(b *Batch) { b.Compact(1, 5) })
	for l.Step() {
	}
	mustClose(t, l)
	l, _ = mustOpen(t, "wal", verify)
	checkEntries(t, l.Group(1), 5, nil)
	mustClose(t, l)
}

// The power fails at every moment of a repair, and what was not synced survives in parts:
// the entry is damaged still and named, or whole; once the repair was acknowledged it is
// whole. Nothing else of the log moves.
func TestCrashDuringRepair(t *testing.T) {
	fs, o, es := damagedLog(t)
	l, _ := mustOpen(t, "wal", o)
	rng := rand.New(rand.NewPCG(1, 2))
	var images, repaired int
	shoot := func(acked bool) {
		for i, s := range crashfs.Survivals() {
			after := o
			after.FS = fs.Image(s, rng)
			again, _ := mustOpen(t, "wal", after)
			got, err := again.Group(1).Entries(nil, 3, 4, 1)
			switch {
			case err == nil && diffEntries(got, es[2:3]) == "":
				repaired++
			case acked || !isEntry3(err):
				t.Errorf("survival %d, acknowledged %t: %v", i, acked, err)
			}
			for _, span := range [][2]raftpb.Index{{1, 3}, {4, 31}} {
				got, err := again.Group(1).Entries(nil, span[0], span[1], 1<<20)
				if err != nil || diffEntries(got, es[span[0]-1:span[1]-1]) != "" {
					t.Errorf("survival %d: the rest: %v", i, err)
				}
			}
			images++
			crash(again)
		}
	}
	fs.OnOp = func(crashfs.Op) error { shoot(false); return nil }
	if err := l.Repair(1, 3, es[2]); err != nil {
		t.Fatal(err)
	}
	fs.OnOp = nil
	if repaired == 0 || repaired == images {
		t.Errorf("%d of %d images have the entry: no crash came between", repaired, images)
	}
	shoot(true)
	crash(l)
}

// A batch is judged operation by operation: a repair of what it drops or replaces is
// refused, and leaves nothing of the batch.
func TestRepairWithinABatch(t *testing.T) {
	l, _ := mustOpen(t, "wal", manual(crashfs.New()))
	es := entriesOf(1, 1, 3, 20)
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, es) })
	for name, before := range map[string]func(*Batch){
		"cut":       func(b *Batch) { b.Truncate(1, 2) },
		"replaced":  func(b *Batch) { b.Append(1, 2, entriesOf(2, 2, 1, 20)) },
		"compacted": func(b *Batch) { b.Compact(1, 3) },
		"destroyed": func(b *Batch) { b.Destroy(1) },
	} {
		var b Batch
		before(&b)
		b.Repair(1, 2, es[1])
		if err := l.Write(&b); !errors.Is(err, ErrBadBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustWrite(t, l, func(b *Batch) {
		b.Append(1, 4, entriesOf(2, 4, 1, 20))
		b.Repair(1, 4, entriesOf(2, 4, 1, 20)[0])
		b.Repair(1, 2, es[1])
	})
	checkEntries(t, l.Group(1), 1, append(es, entriesOf(2, 4, 1, 20)...))
	mustClose(t, l)
}

// Entries of a damaged frame are whole once each of them was repaired, and a scrub says so.
func TestRepairOfADamagedFrame(t *testing.T) {
	fs, o, es := damagedLog(t)
	spoil(t, fs, "5@1|", -20) // in the record's header or table
	l, _ := mustOpen(t, "wal", o)
	rep, err := l.Scrub(t.Context(), 0)
	if err != nil || len(rep.Damage) < 2 {
		t.Fatalf("%+v, %v", rep.Damage, err)
	}
	for _, d := range rep.Damage {
		for i := d.Lo; i < d.Hi; i++ {
			good := es[i-1]
			if d.Group == 2 {
				good = entriesOf(1, i, 1, 10)[0]
			}
			if !l.Group(d.Group).Suffers(d, i) {
				t.Errorf("entry %d of group %d does not suffer from what was found just now", i, d.Group)
			}
			if err := l.Repair(d.Group, i, good); err != nil {
				t.Errorf("entry %d of group %d: %v", i, d.Group, err)
			}
			if l.Group(d.Group).Suffers(d, i) {
				t.Errorf("entry %d of group %d suffers after its repair", i, d.Group)
			}
		}
	}
	checkEntries(t, l.Group(1), 1, es)
	if rep, err := l.Scrub(t.Context(), 0); err != nil || len(rep.Damage) != 0 {
		t.Errorf("%v, %v", rep.Damage, err)
	}
	mustClose(t, l)
}

// What a scrub found counts although the entry can still be read from memory, and until the
// entry is repaired, overwritten or compacted.
func TestAFindingCountsUntilTheEntryIsAnother(t *testing.T) {
	fs := crashfs.New()
	l, _ := mustOpen(t, "wal", manual(fs))
	es := entriesOf(1, 1, 4, 100)
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, es) })
	for _, i := range []string{"1", "2", "3"} {
		spoil(t, fs, i+"@1|", 50)
	}
	g := l.Group(1)
	if _, err := g.Entries(nil, 1, 5, 1<<20); err != nil {
		t.Fatalf("the frame is not in memory any more: %v", err)
	}
	rep, err := l.Scrub(t.Context(), 0)
	if err != nil || len(rep.Damage) != 3 {
		t.Fatalf("%+v, %v", rep, err)
	}
	suffer := func(want ...bool) {
		t.Helper()
		for k, d := range rep.Damage {
			if i := raftpb.Index(k + 1); g.Suffers(d, i) != want[k] || g.Suffers(d, 4) || l.Group(2).Suffers(d, i) {
				t.Errorf("entry %d: want %v", i, want[k])
			}
		}
	}
	suffer(true, true, true)
	if err := l.Repair(1, 2, es[1]); err != nil {
		t.Fatal(err)
	}
	suffer(true, false, true)
	mustWrite(t, l, func(b *Batch) { b.Append(1, 3, entriesOf(2, 3, 1, 100)) })
	suffer(true, false, false)
	mustWrite(t, l, func(b *Batch) { b.Compact(1, 2) })
	suffer(false, false, false)
	mustClose(t, l)
}

// A scrub names the entries behind a damaged frame header, which nobody can read
// any more, and goes on behind it.
func TestScrubDamagedFrame(t *testing.T) {
	fs, o, _ := damagedLog(t)
	l, _ := mustOpen(t, "wal", o)
	lsn := l.Group(1).view.runs[1].lsn &^ (alignBytes - 1)
	fs.Spoil("wal/seg/"+segName(1), int(lsn-firstLSN)+segHeaderBytes+20, 1)
	rep, err := l.Scrub(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []raftpb.GroupID
	for _, e := range rep.Damage {
		if e.Lo == 2 && e.Hi == 3 {
			named = append(named, e.Group)
		}
	}
	if len(named) != 2 || len(rep.Damage) != 3 {
		t.Errorf("damage: %v", rep.Damage)
	}
	mustClose(t, l)
}

// A scrub keeps to its rate, ends with its context and with the log.
func TestScrubPace(t *testing.T) {
	_, o, _ := damagedLog(t)
	clock := &handClock{now: time.Unix(1e9, 0)}
	o.Clock = clock
	l, _ := mustOpen(t, "wal", o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Scrub(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	mustClose(t, l)
	if _, err := l.Scrub(t.Context(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A sync that hangs is reported while it hangs, and counts as failed in the end.
func TestWatchdog(t *testing.T) {
	fs := crashfs.New()
	clock := &handClock{now: time.Unix(1e9, 0)}
	o := manual(fs)
	o.Clock = clock
	var ages []time.Duration
	var fatal error
	o.OnStall = func(age time.Duration) { ages = append(ages, age) }
	o.OnFatal = func(err error) { fatal = err }
	l, _ := mustOpen(t, "wal", o)
	hang := 350 * time.Millisecond
	fs.OnOp = func(op crashfs.Op) error {
		if op.Kind == crashfs.Sync {
			for range hang / (50 * time.Millisecond) {
				clock.advance(50 * time.Millisecond)
			}
		}
		return nil
	}
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 1}) })
	if len(ages) != 2 || ages[0] != 100*time.Millisecond || ages[1] != 200*time.Millisecond || fatal != nil {
		t.Errorf("stalls reported at %v, fatal %v", ages, fatal)
	}
	if n := l.Metrics().SyncStalls; n != 2 {
		t.Errorf("%d stalls counted", n)
	}
	hang = 30 * time.Second
	var b Batch
	b.HardState(1, HardState{Term: 2})
	_ = l.Write(&b)
	if !errors.Is(fatal, ErrFatal) {
		t.Errorf("after 30 s: %v", fatal)
	}
	if err := l.Write(&b); !errors.Is(err, ErrFatal) {
		t.Errorf("write after that: %v", err)
	}
	fs.OnOp = nil
	_ = l.Close()
}

// A process that stands still while the disk has a write of its (SIGSTOP, a machine that is moved) does not take its own
// sleep for a hang: the watchdog was asleep too.
func TestWatchdogSleepsWithTheProcess(t *testing.T) {
	fs := crashfs.New()
	clock := &handClock{now: time.Unix(1e9, 0)}
	o := manual(fs)
	o.Clock = clock
	var ages []time.Duration
	var fatal error
	o.OnStall = func(age time.Duration) { ages = append(ages, age) }
	o.OnFatal = func(err error) { fatal = err }
	l, _ := mustOpen(t, "wal", o)
	var hang []time.Duration
	fs.OnOp = func(op crashfs.Op) error {
		if op.Kind == crashfs.Sync {
			for _, d := range hang {
				clock.advance(d)
			}
		}
		return nil
	}
	hang = []time.Duration{50 * time.Millisecond, time.Hour, 50 * time.Millisecond}
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 1}) })
	if fatal != nil || len(ages) > 1 || len(ages) == 1 && ages[0] > 200*time.Millisecond {
		t.Fatalf("an hour in which nothing ran: reported at %v, fatal %v", ages, fatal)
	}
	hang = []time.Duration{time.Hour}
	for range 40 { // and what hangs after it does
		hang = append(hang, time.Second)
	}
	var b Batch
	b.HardState(1, HardState{Term: 2})
	if err := l.Write(&b); !errors.Is(err, ErrFatal) || !errors.Is(fatal, ErrFatal) {
		t.Errorf("40 s of a hang: %v, told %v", err, fatal)
	}
	fs.OnOp = nil
	_ = l.Close()
}

// On a full disk entries are refused in time; terms, votes and compactions still
// fit, and make room.
func TestNoSpace(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	for l.Step() {
	}
	full := true
	fs.OnOp = func(op crashfs.Op) error {
		if full && (op.Kind == crashfs.Create || op.Kind == crashfs.Write && strings.Contains(op.Path, spareDir)) {
			return syscall.ENOSPC
		}
		return nil
	}
	var b Batch
	next := raftpb.Index(1)
	var err error
	for range 200 {
		b.Reset()
		b.Append(1, next, entriesOf(1, next, 1, 3000))
		if err = l.Write(&b); err != nil {
			break
		}
		next++
		for l.Step() {
		}
	}
	if !errors.Is(err, ErrNoSpace) || next < 10 {
		t.Fatalf("after %d entries: %v", next-1, err)
	}
	// Its owner has not heard of the refusal yet and commits the entry that was not taken.
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 2, Vote: 1, Commit: next}) })
	mustWrite(t, l, func(b *Batch) { b.Compact(1, next) })
	for l.Step() {
	}
	full = false
	l.wakeHousekeeper()
	for l.Step() {
	}
	mustWrite(t, l, func(b *Batch) { b.Append(1, next, entriesOf(2, next, 1, 3000)) })
	mustClose(t, l)
	l, _ = mustOpen(t, "wal", o)
	checkEntries(t, l.Group(1), next, entriesOf(2, next, 1, 3000))
	if hs := l.Group(1).HardState(); hs.Term != 2 || hs.Vote != 1 || hs.Commit != next-1 {
		t.Errorf("hard state is %v, the log reached %d", hs, next-1)
	}
	mustClose(t, l)
}
