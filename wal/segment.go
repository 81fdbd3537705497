package wal

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Layout of a log's directory.
const (
	lockName   = "LOCK"
	segDir     = "seg"     // %016x.rwal, by sequence number, dense
	spareDir   = "spare"   // %08x, files that may become segments; their content means nothing
	catalogDir = "catalog" // what the catalog makes of it
	segSuffix  = ".rwal"
	fillBytes  = 256 << 10 // zeros written at a time; what a sync of frames may have to wait for
	firstSeq   = 1
	scanWindow = 1 << 20 // bytes read at a time by a scan
)

func segName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segSuffix) }

func parseSegName(name string) (seq uint64, ok bool) {
	hex, found := strings.CutSuffix(name, segSuffix)
	if !found || len(hex) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return seq, err == nil && segName(seq) == name
}

// segment is one file of the log. Frames fill it from its second page on:
//
//	page 0          page 1 ...                                    SegmentBytes
//	header | frame | frame | frame | zeros or stale frames .......|
//
// A file under its final name always has a whole header, at first one that only
// says "prepared". The first frame's write completes it, and only after all that
// came before it in the log is durable.
type segment struct {
	seq, base, salt uint64
	pages           uint32
	size            int64 // bytes a frame must end within, unless it is the first
	chainIn         uint32
	begun           bool // the header says where the segment begins
	doubtful        bool // see segDoubtful
	footed          bool // the catalog has its footer, or making one was tried; the housekeeper's
	w, r            File
	end             atomic.Uint64 // LSN behind the last frame
	refs            atomic.Int32  // the log's own, and readers that use r; the last one closes it
}

func (s *segment) offset(lsn uint64) int64 { return segHeaderBytes + int64(lsn-s.base) }

func (s *segment) setEnd(lsn uint64) { s.end.Store(lsn) }

// fits reports whether need bytes at lsn belong into the segment. The first
// frame always does.
func (s *segment) fits(lsn uint64, need int64) bool {
	return !s.begun || lsn == s.base || s.offset(lsn)+need <= s.size
}

// begin completes the header when nothing is in the segment yet.
func (s *segment) begin(l *Log, lsn uint64, chain uint32) error {
	if s.begun {
		return nil
	}
	s.base, s.chainIn = lsn, chain
	h := l.header(s.seq)
	h.pages = s.pages
	h.flags &^= segPrepared
	if s.doubtful {
		h.flags |= segDoubtful
	}
	h.base, h.chainIn = lsn, chain
	err := withPage(func(page []byte) error {
		h.encode(page)
		_, err := s.w.WriteAt(page, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("write header of segment %d: %w", s.seq, err)
	}
	s.setEnd(lsn)
	s.begun = true
	l.segs.add(s)
	return nil
}

func (s *segment) sync() error {
	if err := s.w.SyncData(); err != nil {
		return fmt.Errorf("sync segment %d: %w", s.seq, err)
	}
	return nil
}

func newSegment(seq, salt uint64, size int64) *segment {
	s := &segment{seq: seq, salt: salt, size: size}
	s.refs.Store(1)
	return s
}

// close gives the files back; the one for reading stays open until the last
// reader has left.
func (s *segment) close() error {
	var err error
	if s.w != nil {
		err = s.w.Close()
		s.w = nil
	}
	return errors.Join(err, s.release())
}

func (s *segment) release() error {
	if s.refs.Add(-1) == 0 && s.r != nil {
		return s.r.Close()
	}
	return nil
}

// segments are the files that make up the log. Lock order: prep, then mu.
type segments struct {
	mu     sync.RWMutex
	list   []*segment // begun ones, ascending
	tail   uint64     // sequence number of the one that takes the frames
	dying  []*segment // dropped, their files still to be made spares
	closed bool

	prep    sync.Mutex // held while a file becomes a segment
	next    *segment   // prepared; guarded by prep
	spares  []string   // files in spareDir, written and synced; guarded by prep
	counter uint32     // names spares; guarded by prep
}

func (s *segments) add(seg *segment) {
	s.mu.Lock()
	s.list = append(s.list, seg)
	s.mu.Unlock()
}

// acquire returns the segment that holds lsn, errMoved when it is gone. The
// caller owes it a release.
func (s *segments) acquire(lsn uint64) (*segment, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	// An empty segment has the base of the one after it: the last one counts.
	i := sort.Search(len(s.list), func(k int) bool { return s.list[k].base > lsn }) - 1
	if i < 0 {
		return nil, errMoved
	}
	s.list[i].refs.Add(1)
	return s.list[i], nil
}

// header returns the header of a segment that this log prepares.
func (l *Log) header(seq uint64) segmentHeader {
	h := segmentHeader{
		flags: segPrepared, store: l.store, seq: seq, salt: l.salt,
		created: l.o.Clock.Now().UnixNano(), id: l.id,
	}
	if l.o.Sync == SyncNone {
		h.flags |= segNoSync
	}
	return h
}

// rotate makes the next segment the active one. What the old one holds is
// durable before the new one can say where it begins: that is what lets recovery
// call every bad frame before the last segment damage.
func (l *Log) rotate(lsn uint64) error {
	l.mu.Lock()
	unsynced := l.durable < l.written
	l.mu.Unlock()
	if unsynced && l.o.Sync == SyncFull {
		if err := l.active.sync(); err != nil {
			return err
		}
	}
	l.segs.prep.Lock()
	defer l.segs.prep.Unlock()
	if l.segs.next == nil {
		seg, err := l.prepare(l.active.seq + 1)
		if err != nil {
			return err
		}
		l.segs.next = seg
	}
	old := l.active
	l.active, l.segs.next = l.segs.next, nil
	l.active.base = lsn
	l.segs.mu.Lock()
	l.segs.tail = l.active.seq
	l.segs.mu.Unlock()
	l.setLimit(lsn)
	if err := old.w.Close(); err != nil {
		return fmt.Errorf("close segment %d: %w", old.seq, err)
	}
	old.w = nil
	l.wakeHousekeeper()
	return nil
}

// setLimit notes where a segment that begins at base is full, and that the one
// after it is still to be made.
func (l *Log) setLimit(base uint64) {
	l.mu.Lock()
	l.limitLSN = base + uint64(l.o.SegmentBytes) - segHeaderBytes
	l.haveNext = false
	l.mu.Unlock()
}

// spaceFound notes how an attempt to make the next segment ended.
func (l *Log) spaceFound(err error) {
	l.mu.Lock()
	l.haveNext = l.haveNext || err == nil
	l.noSpace = err != nil && noSpaceError(err)
	l.mu.Unlock()
}

// reserveBytes of the last segment on a full disk are kept for what is no entry.
func (l *Log) reserveBytes() uint64 { return uint64(min(1<<20, l.o.SegmentBytes/4)) }

// spaceFor reports whether a batch of size bytes with entries may be taken.
func (l *Log) spaceFor(size int) bool {
	return !l.noSpace || l.haveNext || l.endLSN()+uint64(alignUp(size))+alignBytes+l.reserveBytes() <= l.limitLSN
}

// prepare turns a spare, or an empty file when there is none, into the segment
// seq. prep is held. The header is durable before the file gets its final name,
// so a file in segDir without a whole header is a damaged one.
func (l *Log) prepare(seq uint64) (*segment, error) {
	wrap := func(err error) error { return fmt.Errorf("prepare segment %d: %w", seq, err) }
	spare := l.fs.PathJoin(l.dir, spareDir, fmt.Sprintf("%08x", l.segs.counter))
	var f File
	var err error
	if n := len(l.segs.spares); n > 0 {
		spare = l.segs.spares[n-1]
		l.segs.spares = l.segs.spares[:n-1]
		f, err = l.fs.OpenReadWrite(spare, categoryLog)
	} else {
		l.segs.counter++
		f, err = l.fs.Create(spare, categoryLog)
	}
	if err != nil {
		return nil, wrap(err)
	}
	name := l.fs.PathJoin(l.dir, segDir, segName(seq))
	seg := newSegment(seq, l.salt, l.o.SegmentBytes)
	seg.w = f
	if err := l.stamp(seg, spare, name); err != nil {
		_ = seg.close()
		return nil, wrap(err)
	}
	return seg, nil
}

// stamp writes the prepared header, gives the file its final name and opens it
// for reading.
func (l *Log) stamp(seg *segment, spare, name string) error {
	st, err := seg.w.Stat()
	if err != nil {
		return err
	}
	h := l.header(seg.seq)
	seg.pages = uint32(min(st.Size()/alignBytes, 1<<32-1))
	h.pages = seg.pages
	err = withPage(func(page []byte) error {
		h.encode(page)
		_, err := seg.w.WriteAt(page, 0)
		return err
	})
	if err != nil {
		return err
	}
	if err := l.syncFile(seg.w); err != nil {
		return err
	}
	if err := l.fs.Rename(spare, name); err != nil {
		return err
	}
	if err := l.syncDirs(segDir, spareDir); err != nil {
		return err
	}
	seg.r, err = l.openAt(name)
	return err
}

// syncFile makes all of f durable, unless the log never syncs.
func (l *Log) syncFile(f File) error {
	if l.o.Sync == SyncNone {
		return nil
	}
	return f.Sync()
}

// syncDirs makes the names in directories of the log durable, "" being the log's
// own, unless the log never syncs.
func (l *Log) syncDirs(names ...string) error {
	if l.o.Sync == SyncNone || l.o.mutated(mutNoDirSync) {
		return nil
	}
	for _, name := range names {
		if err := syncDir(l.fs, l.fs.PathJoin(l.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// prefills reports whether new segments get their blocks written in advance: a
// sync over written blocks needs no commit of the file system's journal.
func (l *Log) prefills() bool {
	return l.o.forcePrefill || (l.o.Sync == SyncFull && !onlyInMemory(l.o.FS))
}

// fill writes zeros over a whole new file and syncs it, in slices that leave the
// disk to the commit path in between.
func (l *Log) fill(name string) error {
	f, err := l.fs.Create(name, categorySpare)
	if err != nil {
		return err
	}
	err = l.fillFile(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// fillFile leaves the page cache out where it can: nobody reads the zeros, and to copy them
// there took a fifth of the processor time of a log that grows fast.
func (l *Log) fillFile(f File) error {
	none := zeros.Get().(*[fillBytes]byte) //nolint:forcetypeassert // nothing else is in there
	defer zeros.Put(none)
	direct := pastCache(f, true)
	for at := int64(0); at < l.o.SegmentBytes; {
		n, err := f.Write(none[:min(fillBytes, l.o.SegmentBytes-at)])
		if err != nil && direct && n == 0 && errors.Is(err, syscall.EINVAL) { // blocks larger than ours
			direct = false
			if !pastCache(f, false) {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		at += int64(n)
		if !direct {
			if _, err := f.SyncTo(at); err != nil {
				return err
			}
		}
		if l.stopping() {
			return ErrClosed
		}
	}
	return l.syncFile(f)
}

func (l *Log) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return l.failed.Load()
	}
}
