package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// segFile is a segment as it was found.
type segFile struct {
	name   string
	footed bool // the catalog had its footer
	segmentHeader
}

// listSegments reads the headers of all segments, ascending. Every file with a
// segment's name has a whole header from the moment it got that name.
func (l *Log) listSegments() ([]segFile, error) {
	names, err := l.fs.List(l.fs.PathJoin(l.dir, segDir))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var files []segFile
	for _, name := range names {
		seq, ok := parseSegName(name)
		if !ok {
			l.o.Logger.Warn("wal: unknown file left alone", "dir", l.dir, "file", name)
			continue
		}
		h, version, size, ok, err := l.readHeader(name)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, &CorruptError{Segment: seq, Reason: "segment header is damaged"}
		case version != formatVersion:
			return nil, fmt.Errorf("segment %d has format version %d, this program knows %d", seq, version, formatVersion)
		case h.seq != seq:
			return nil, &CorruptError{Segment: seq, Reason: fmt.Sprintf("file holds segment %d", h.seq)}
		case size < int64(h.pages)*alignBytes:
			return nil, &CorruptError{Segment: seq, Offset: size, Reason: "file is shorter than it was made"}
		}
		files = append(files, segFile{name: name, segmentHeader: h})
	}
	return files, nil
}

// recover rebuilds the views from the segments and makes sure that all they show
// is on disk.
func (l *Log) recover(files []segFile, rec *Recovery) error {
	var dropped []segFile
	for len(files) > 1 && l.meta.store == files[0].store && files[0].seq < l.meta.first {
		dropped = append(dropped, files[0]) // nothing in them counts; a crash kept them
		files = files[1:]
	}
	begun, prepared, err := l.arrange(files)
	if err != nil {
		return err
	}
	l.id, l.store, l.salt = files[0].id, files[0].store, files[0].salt
	if len(begun) == 0 {
		rec.Created = true
		return errors.Join(l.resume(nil, prepared, tailState{end: firstLSN}), l.endRecovery(rec))
	}
	counted, t, err := l.replayAll(begun, rec)
	if err != nil {
		return err
	}
	for _, g := range l.groups {
		v := &g.view
		if !v.confirm() && v.unsure {
			v.empty(v.base.first, v.base.prevTerm)
		}
		if !v.confirm() {
			return &CorruptError{Group: g.id, Reason: fmt.Sprintf(
				"group %d begins at entry %d, not at %d", g.id, v.first, v.base.first)}
		}
	}
	if err := l.convict(); err != nil {
		return err
	}
	t.newest = begun[len(begun)-1].seq
	rec.Segments, rec.Torn, rec.Damage = len(counted), t.torn, t.damage
	if err := l.resume(counted, prepared, t); err != nil {
		return err
	}
	if err := l.endRecovery(rec); err != nil {
		return err
	}
	l.segs.prep.Lock()
	defer l.segs.prep.Unlock()
	for _, f := range dropped {
		if err := l.bury(l.fs.PathJoin(l.dir, segDir, f.name)); err != nil {
			return err
		}
	}
	return nil
}

// arrange checks that the segments are all there and all of one log, and splits
// off those that no frame was written to.
func (l *Log) arrange(files []segFile) (begun, prepared []segFile, err error) {
	for i := range files {
		f := &files[i]
		bad := func(reason string) error { return &CorruptError{Segment: f.seq, Reason: reason} }
		switch {
		case f.store != files[0].store || f.id != files[0].id:
			return nil, nil, bad("segment of another log")
		case i > 0 && f.seq != files[i-1].seq+1:
			return nil, nil, &CorruptError{Segment: files[i-1].seq + 1, Reason: "segment is missing"}
		case f.prepared():
			prepared = append(prepared, *f)
			continue
		case len(prepared) > 0:
			return nil, nil, bad("segment stands behind one that was never begun")
		case len(begun) > 0 && f.base < begun[len(begun)-1].base && !f.doubtful():
			return nil, nil, bad("segment begins before the one in front of it")
		}
		begun = append(begun, *f)
	}
	first, last := files[0].seq, files[len(files)-1].seq
	known := l.meta.store != [16]byte{}
	switch {
	case known && l.meta.store != files[0].store:
		return nil, nil, &CorruptError{Reason: "catalog belongs to another log"}
	case known && first > l.meta.first:
		return nil, nil, &CorruptError{Segment: l.meta.first, Reason: "segment is missing"}
	case known && last < l.meta.newest:
		return nil, nil, &CorruptError{Segment: l.meta.newest, Reason: "segment is missing"}
	case len(begun) == 0 && first != firstSeq:
		return nil, nil, &CorruptError{Segment: first - 1, Reason: "segment is missing"}
	}
	return begun, prepared, nil
}

// openScan opens a segment and walks its frames from the first one.
func (l *Log) openScan(f *segFile) (*scanner, error) {
	r, err := l.openThrough(l.fs.PathJoin(l.dir, segDir, f.name))
	if err != nil {
		return nil, err
	}
	s, err := newScanner(r, &f.segmentHeader)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	_ = r.Prefetch(0, s.size) // a hint
	s.borrowWindow()
	return s, nil
}

// closeScan ends what openScan began.
func closeScan(s *scanner) {
	s.returnWindow()
	_ = s.r.Close() // opened for reading
}

// replaySegment replays a segment that another one follows. All of it was durable
// before the next one began, so whatever is wrong with it is damage. A cut is where
// the log ends in spite of that, under Options.Salvage.
func (l *Log) replaySegment(
	f *segFile, end uint64, chain uint32, partial bool, rec *Recovery,
) (cut *tailState, err error) {
	if !l.o.Verify {
		if ft, ok := l.loadFooter(f, end, chain); ok {
			f.footed = true
			return nil, l.replayFooter(f.seq, &ft, partial, rec)
		}
	}
	s, err := l.openScan(f)
	if err != nil {
		return nil, err
	}
	defer closeScan(s)
	for s.lsn < end {
		fr, v, err := s.next()
		if err != nil {
			return nil, err
		}
		if v != frameWhole {
			t := tailState{end: s.lsn, chain: s.chain}
			err := l.salvage(&t, &CorruptError{Segment: f.seq, Offset: s.offset(), Reason: "frame is damaged"})
			return &t, err
		}
		if err := l.replayFrame(f, &fr, partial, rec); err != nil {
			return nil, err
		}
	}
	if s.lsn != end || s.chain != chain {
		return nil, &CorruptError{Segment: f.seq, Offset: s.offset(), Reason: "segment does not end where the next one begins"}
	}
	return nil, nil //nolint:nilnil // no cut is what is normal
}

// replayFooter does what replaying the segment would do.
func (l *Log) replayFooter(seq uint64, ft *footer, partial bool, rec *Recovery) error {
	rec.Footers++
	rec.Frames += int64(ft.frames)
	return l.replayRecords(seq, ft.walk, partial, rec)
}

func (l *Log) replayFrame(f *segFile, fr *scannedFrame, partial bool, rec *Recovery) error {
	rec.Frames++
	if l.o.Verify {
		l.suspects = append(l.suspects, suspects(f, fr)...)
	}
	return l.replayRecords(f.seq, fr.walk, partial, rec)
}

// replayRecords moves the views by the records that walk shows.
func (l *Log) replayRecords(
	seq uint64, walk func(func(recordHeader, []byte, uint64) bool) bool, partial bool, rec *Recovery,
) error {
	var reason string
	whole := walk(func(h recordHeader, b []byte, lsn uint64) bool {
		rec.Records++
		v := &l.group(h.group).view
		if l.o.mutated(mutTruncationLost) {
			defer v.resurrect(slices.Clone(v.runs), slices.Clone(v.terms), v.last)
		}
		if reason = v.replay(h, b, lsn, partial); reason != "" {
			reason = fmt.Sprintf("group %d, LSN %d: %s", h.group, lsn, reason)
		}
		return reason == ""
	})
	if !whole && reason == "" {
		reason = "footer is not well-formed"
	}
	if reason != "" {
		return &CorruptError{Segment: seq, Reason: reason}
	}
	return nil
}

// suspect is an entry with a damaged body that may have been replaced since.
type suspect struct {
	CorruptError
	lsn uint64
}

func suspects(f *segFile, fr *scannedFrame) (found []suspect) {
	fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
		if h.typ != recEntries || verifyEntries(&h, rec) < 0 {
			return true
		}
		for _, i := range badEntries(&h, rec) {
			found = append(found, suspect{lsn: lsn, CorruptError: CorruptError{
				Segment: f.seq, Offset: segHeaderBytes + int64(lsn-f.base),
				Group: h.group, Lo: raftpb.Index(i), Hi: raftpb.Index(i) + 1, Reason: damagedBody,
			}})
		}
		return true
	})
	return found
}

// convict names the suspects that still count, at most a hundred of them.
func (l *Log) convict() error {
	var found []error
	for i := range l.suspects {
		if s := &l.suspects[i]; len(found) < 100 && l.isCurrent(s.Group, uint64(s.Lo), s.lsn) {
			found = append(found, &s.CorruptError)
		}
	}
	l.suspects = nil
	return errors.Join(found...)
}

// tailState is where the log ends.
type tailState struct {
	end     uint64
	chain   uint32
	torn    bool // something stands behind the end; it stays there, a new segment goes on
	clean   bool // the last frame was written by Close
	promise uint64
	damage  *CorruptError // what ends it there, under Options.Salvage
	newest  uint64        // number of the last segment that frames were written to, void or not
}

// recoverTail decides where the log ends, replays the last segment up to there
// and writes again what may not be on disk.
//
//	... whole frame | whole frame | X ............
//	    ^ promise                  ^ the first place where no whole frame begins
//
// Bytes before the promise were acknowledged, so X before it is damage. Behind
// it, X is the end of the log: the write was torn and nobody was told of it.
func (l *Log) recoverTail(f *segFile, partial bool, rec *Recovery) (tailState, error) {
	s, err := l.openScan(f)
	if err != nil {
		return tailState{}, err
	}
	defer closeScan(s)
	t, starts, err := l.findEnd(f, s)
	if err != nil {
		return t, err
	}
	if err := l.cutBodies(s, &t, starts); err != nil {
		return t, err
	}
	s.seek(f.base, f.chainIn)
	for s.lsn < t.end {
		fr, v, err := s.next()
		if err != nil {
			return t, err
		}
		if v != frameWhole {
			return t, &CorruptError{Segment: f.seq, Offset: s.offset(), Reason: "frame reads differently a second time"}
		}
		t.chain = fr.hcrc
		if err := l.replayFrame(f, &fr, partial, rec); err != nil {
			return t, err
		}
	}
	rec.RewrittenBytes, err = l.rewrite(f, s, t)
	return t, err
}

// findEnd finds X and the promise. starts are the frames that nothing promised,
// the only ones that may be cut.
func (l *Log) findEnd(f *segFile, s *scanner) (t tailState, starts []uint64, err error) {
	t.promise = max(f.base, l.meta.durable) // earlier segments are durable
	t.chain = f.chainIn
	for {
		lsn := s.lsn
		fr, v, err := s.next()
		if err != nil {
			return t, nil, err
		}
		if v != frameWhole {
			t.torn = v == frameTorn
			break
		}
		t.promise = max(t.promise, fr.durable)
		t.clean = fr.kind == frameClean
		starts = append(starts, lsn)
		for len(starts) > 0 && starts[0] < t.promise {
			starts = starts[1:]
		}
	}
	t.end = s.lsn
	after, err := s.later()
	if err != nil {
		return t, nil, err
	}
	t.torn = t.torn || after.frames
	t.promise = max(t.promise, after.durable)
	if after.misplaced != 0 {
		err = l.salvage(&t, &CorruptError{Segment: f.seq, Offset: after.misplaced, Reason: "frame stands at a wrong place"})
	} else if t.promise > t.end {
		err = l.salvage(&t, &CorruptError{
			Segment: f.seq, Offset: s.offset(),
			Reason: fmt.Sprintf("log ends at LSN %d, but was durable up to %d", t.end, t.promise),
		})
	}
	return t, starts, err
}

// cutBodies cuts the log before the first unpromised frame with an entry body
// that did not reach the disk: such a frame is as torn as one without its header.
func (l *Log) cutBodies(s *scanner, t *tailState, starts []uint64) error {
	for _, lsn := range starts {
		if lsn < t.promise {
			continue
		}
		s.seek(lsn, 0)
		fr, v, err := s.nextAny()
		if err != nil {
			return err
		}
		if v != frameWhole || !fr.verifyBodies() {
			t.end, t.torn, t.clean = lsn, true, false
			return nil
		}
	}
	return nil
}

// rewrite writes the frames that nothing promised once more, in place, and syncs
// them. After the death of a process they may be in the page cache only, and
// after a failed sync the cache may hold pages that it believes to be on disk. The
// header is as old as the first frame: no promise about that, none about it.
func (l *Log) rewrite(f *segFile, s *scanner, t tailState) (n int64, err error) {
	header := t.promise <= f.base
	if l.o.Sync == SyncNone || !header && t.promise >= t.end {
		return 0, nil
	}
	w, err := l.fs.OpenReadWrite(l.fs.PathJoin(l.dir, segDir, f.name), categoryLog)
	if err != nil {
		return 0, err
	}
	if header {
		err = withPage(func(page []byte) error {
			f.encode(page)
			_, err := w.WriteAt(page, 0)
			return err
		})
	}
	from := t.promise
	if f.flags&segNoSync != 0 {
		from = t.end // was never synced, so no sync of it failed
	}
	for s.seek(from, 0); s.lsn < t.end && err == nil; {
		off, size := s.offset(), min(int64(t.end-s.lsn), scanWindow)
		var b []byte
		if b, err = s.read(off, int(size)); err == nil {
			_, err = w.WriteAt(b, off)
			n += int64(len(b))
			s.lsn += uint64(size)
		}
	}
	if err == nil {
		err = w.SyncData()
	}
	return n, errors.Join(err, w.Close())
}

// resume makes the log ready to go on behind its end: in the last segment when
// that ends cleanly, else in a new one, so that no torn bytes are overwritten.
func (l *Log) resume(begun, prepared []segFile, t tailState) error {
	if err := l.loadSpares(); err != nil {
		return err
	}
	l.segs.prep.Lock()
	defer l.segs.prep.Unlock()
	if err := l.openReaders(begun, t.end); err != nil {
		return err
	}
	var seg *segment
	if n := len(begun) - 1; n >= 0 && !t.torn && (begun[n].flags&segNoSync != 0) == (l.o.Sync == SyncNone) {
		w, err := l.fs.OpenReadWrite(l.fs.PathJoin(l.dir, segDir, begun[n].name), categoryLog)
		if err != nil {
			return err
		}
		seg = l.segs.list[n]
		seg.w, l.salt = w, seg.salt
	} else {
		var salt [8]byte
		if _, err := io.ReadFull(l.o.Random, salt[:]); err != nil {
			return fmt.Errorf("random: %w", err)
		}
		l.salt = le64(salt[:])
	}
	seg, err := l.adopt(t.newest, prepared, seg)
	if err != nil {
		return err
	}
	l.begin(seg, t.end, t.chain)
	l.clean = t.clean || len(begun) == 0
	if t.damage == nil {
		return nil
	}
	seg.doubtful = true
	if err := seg.begin(l, t.end, t.chain); err != nil {
		return err
	}
	return l.syncFile(seg.w) // from here on the damage is not needed to tell of the doubt
}

// openReaders opens all segments for reading. Those written by a log that never
// syncs are synced now, if this one does.
func (l *Log) openReaders(begun []segFile, end uint64) error {
	for i := range begun {
		f := &begun[i]
		name := l.fs.PathJoin(l.dir, segDir, f.name)
		if f.flags&segNoSync != 0 && l.o.Sync == SyncFull {
			w, err := l.fs.OpenReadWrite(name, categoryLog)
			if err != nil {
				return err
			}
			if err := errors.Join(w.Sync(), w.Close()); err != nil {
				return err
			}
		}
		r, err := l.openAt(name)
		if err != nil {
			return err
		}
		seg := newSegment(f.seq, f.salt, l.o.SegmentBytes)
		seg.base, seg.pages, seg.chainIn, seg.begun, seg.r = f.base, f.pages, f.chainIn, true, r
		seg.footed, seg.doubtful = f.footed, f.doubtful()
		seg.setEnd(end)
		if i+1 < len(begun) {
			seg.setEnd(begun[i+1].base)
		}
		l.segs.list = append(l.segs.list, seg)
	}
	return nil
}

// adopt finds a use for the segments that no frame was written to: the first is
// the next one, or the one to go on in when seg is nil; more than one can be left
// only by a crash, and become spares.
func (l *Log) adopt(newest uint64, prepared []segFile, seg *segment) (*segment, error) {
	for i := range prepared {
		name := l.fs.PathJoin(l.dir, segDir, prepared[i].name)
		if i > 0 {
			if err := l.bury(name); err != nil {
				return nil, err
			}
			continue
		}
		next := newSegment(prepared[i].seq, l.salt, l.o.SegmentBytes)
		next.pages = prepared[i].pages
		l.segs.next = next
		var err error
		if next.w, err = l.fs.OpenReadWrite(name, categoryLog); err != nil {
			return nil, err
		}
		if next.r, err = l.openAt(name); err != nil {
			return nil, err
		}
	}
	if seg != nil {
		return seg, nil
	}
	if seg, l.segs.next = l.segs.next, nil; seg != nil {
		return seg, nil
	}
	return l.prepare(newest + 1)
}
