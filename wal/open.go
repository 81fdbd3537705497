package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Recovery says what Open found.
type Recovery struct {
	Created        bool  // there was no log
	Segments       int   // that hold frames
	Footers        int   // of them, those that were not read because the catalog had their footer
	Frames         int64 // read back
	Records        int64
	Torn           bool  // the log ended in a write that nobody was told of; it was cut off
	RewrittenBytes int64 // written again, because nothing said that they had been synced
	CatalogRebuilt bool  // the catalog was lost; the segments had all that was in it
	Elapsed        time.Duration

	Damage    *CorruptError // what Options.Salvage made this Open live with
	Uncertain []GroupReport // the groups in doubt, since this Open or an earlier one; ascending
}

// firstLSN leaves 0 to mean none.
const firstLSN = alignBytes

// Open opens the log in dir or creates one. dir and what it needs is made. It
// fails with *IdentityError when the directory is another node's, with an error
// that matches ErrLocked when another Log has it open, and with *CorruptError when
// bytes that were promised durable do not read back; in none of these cases is
// anything changed. What it returns is on disk before it returns.
func Open(dir string, o Options) (*Log, Recovery, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, Recovery{}, err
	}
	l := newLog(dir, o)
	start := o.Clock.Now()
	rec, err := l.open()
	if err != nil {
		_ = l.release()
		return nil, Recovery{}, fmt.Errorf("wal: open %s: %w", dir, err)
	}
	rec.Elapsed = o.Clock.Now().Sub(start)
	l.start()
	return l, rec, nil
}

func newLog(dir string, o Options) *Log {
	l := &Log{
		o:        o,
		dir:      dir,
		fs:       &countingFS{FS: o.FS, syncs: &syncCounter{}},
		groups:   map[raftpb.GroupID]*Group{},
		chores:   make(chan struct{}, 1),
		stop:     make(chan struct{}),
		released: make(chan struct{}),
	}
	l.work.L, l.room.L, l.idle.L, l.turn.L = &l.mu, &l.mu, &l.mu, &l.mu
	l.timer = o.Clock.NewTimer(l.onTimer)
	l.watchdog = o.Clock.NewTimer(l.onWatch)
	return l
}

// start lets the log live: from here on it has goroutines.
func (l *Log) start() {
	if l.o.Manual {
		return
	}
	for range l.o.Lanes {
		l.done.Go(l.run)
	}
	l.done.Go(l.housekeep)
	l.wakeHousekeeper()
}

func (l *Log) open() (Recovery, error) {
	have, found, err := l.peek()
	if err != nil {
		return Recovery{}, err
	}
	if found && !l.o.Identity.accepts(have) {
		return Recovery{}, &IdentityError{Dir: l.dir, Want: l.o.Identity, Have: have}
	}
	if err := l.lockDir(); err != nil {
		return Recovery{}, err
	}
	l.label = durabilityLabel(&l.o, l.dir)
	files, err := l.listSegments()
	if err != nil {
		return Recovery{}, err
	}
	rebuilt, err := l.openCatalog()
	if err != nil {
		return Recovery{}, err
	}
	if len(files) == 0 {
		if l.meta.newest > 0 {
			return Recovery{}, &CorruptError{Segment: l.meta.first, Reason: "all segments are missing"}
		}
		return Recovery{Created: true, CatalogRebuilt: rebuilt}, l.create()
	}
	rec := Recovery{CatalogRebuilt: rebuilt || l.meta.store == [16]byte{}}
	err = l.recover(files, &rec)
	return rec, err
}

// peek reads whose log the directory holds, and touches nothing.
func (l *Log) peek() (id Identity, found bool, err error) {
	dir := l.fs.PathJoin(l.dir, segDir)
	names, err := l.fs.List(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := parseSegName(name); !ok {
			continue
		}
		h, _, _, ok, err := l.readHeader(name)
		if err != nil {
			return id, false, err
		}
		if ok {
			return h.id, true, nil
		}
	}
	return id, false, nil
}

// readHeader reads the header of a segment file; ok is false when it has no whole one.
func (l *Log) readHeader(name string) (h segmentHeader, version uint16, size int64, ok bool, err error) {
	f, err := l.fs.Open(l.fs.PathJoin(l.dir, segDir, name))
	if err != nil {
		return h, 0, 0, false, err
	}
	err = withPage(func(page []byte) error {
		n, err := f.ReadAt(page, 0)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		h, version, ok = decodeSegmentHeader(page[:n])
		return err
	})
	if st, e := f.Stat(); e == nil {
		size = st.Size()
	} else {
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return segmentHeader{}, 0, 0, false, err
	}
	return h, version, size, ok, nil
}

// lockDir makes the directories and takes the lock. A directory that was made but
// cannot be written to is removed again.
func (l *Log) lockDir() error {
	missing, err := l.missingDirs()
	if err != nil {
		return err
	}
	if err := l.fs.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	l.lock, err = l.fs.Lock(l.fs.PathJoin(l.dir, lockName))
	if err != nil {
		l.lock = nil
		for _, d := range missing {
			_ = l.fs.Remove(d)
		}
		var path *iofs.PathError
		if errors.As(err, &path) {
			return err
		}
		return errors.Join(ErrLocked, err)
	}
	for _, name := range []string{segDir, spareDir, catalogDir} {
		if err := l.fs.MkdirAll(l.fs.PathJoin(l.dir, name), 0o755); err != nil {
			return err
		}
	}
	if l.o.Sync == SyncNone {
		return nil
	}
	// The names of directories must last as long as what is in them; whoever made
	// dir may not have seen to that.
	if len(missing) == 0 {
		missing = []string{l.dir}
	}
	for _, d := range missing {
		if err := syncDir(l.fs, l.parent(d)); err != nil && !errors.Is(err, iofs.ErrPermission) {
			return err
		}
	}
	return l.syncDirs("", segDir, spareDir)
}

// missingDirs lists what MkdirAll will have to make, deepest first.
func (l *Log) missingDirs() (missing []string, err error) {
	for d := l.dir; l.parent(d) != d; d = l.parent(d) {
		_, err := l.fs.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, iofs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, d)
	}
	return missing, nil
}

// parent is PathDir, but for the in-memory file system, which has no ".".
func (l *Log) parent(dir string) string {
	d := l.fs.PathDir(dir)
	if d == "." && onlyInMemory(l.o.FS) {
		return "/"
	}
	return d
}

// openCatalog opens the catalog. One that cannot be opened is moved aside and
// begun anew: the segments hold all that was in it.
func (l *Log) openCatalog() (rebuilt bool, err error) {
	dir := l.fs.PathJoin(l.dir, catalogDir)
	l.cat, err = l.o.Catalog(l.fs, dir, l.o.Logger)
	if noSpaceError(err) {
		return false, err // it is whole, as far as anybody knows
	}
	if err != nil {
		aside := fmt.Sprintf("%s.damaged-%d", dir, l.o.Clock.Now().UnixNano())
		l.o.Logger.Warn("wal: catalog does not open and is rebuilt", "dir", dir, "file", aside, "err", err)
		if e := l.fs.Rename(dir, aside); e != nil {
			return false, errors.Join(err, e)
		}
		if e := l.fs.MkdirAll(dir, 0o755); e != nil {
			return false, errors.Join(err, e)
		}
		rebuilt = true
		if l.cat, err = l.o.Catalog(l.fs, dir, l.o.Logger); err != nil {
			return false, err
		}
	}
	if err := l.syncDirs(""); err != nil {
		return false, err
	}
	m, err := readMeta(l.cat)
	if err != nil {
		return false, err
	}
	if m != nil {
		l.meta = *m
	}
	return rebuilt, nil
}

// create begins a log in an empty directory. The first segment is what makes it
// exist; it is there, with its header and all its directories synced, or nothing is.
func (l *Log) create() error {
	var seed [32]byte
	if _, err := io.ReadFull(l.o.Random, seed[:]); err != nil {
		return fmt.Errorf("random: %w", err)
	}
	copy(l.store[:], seed[:16])
	l.salt = binary.LittleEndian.Uint64(seed[16:])
	l.id = l.o.Identity
	if l.id.Incarnation == 0 {
		l.id.Incarnation = max(1, int64(binary.LittleEndian.Uint64(seed[24:])>>1))
	}
	if err := l.loadSpares(); err != nil {
		return err
	}
	l.segs.prep.Lock()
	defer l.segs.prep.Unlock()
	if l.prefills() && len(l.segs.spares) == 0 {
		name := l.fs.PathJoin(l.dir, spareDir, fmt.Sprintf("%08x", l.segs.counter))
		l.segs.counter++
		if err := l.fill(name); err != nil {
			return err
		}
		l.segs.spares = append(l.segs.spares, name)
	}
	seg, err := l.prepare(firstSeq)
	if err != nil {
		return err
	}
	l.begin(seg, firstLSN, 0)
	_, err = l.saveMeta()
	return err
}

// begin makes seg, which may be a fresh one, the place of the next frame.
func (l *Log) begin(seg *segment, lsn uint64, chain uint32) {
	l.active, l.chain, l.clean = seg, chain, true
	l.segs.tail = seg.seq
	if !seg.begun {
		seg.base = lsn
	}
	l.setLimit(seg.base)
	l.haveNext = l.segs.next != nil
	l.nextLSN, l.written, l.durable, l.promised = lsn, lsn, lsn, lsn
}

// loadSpares finds the files that may become segments. Those that are shorter
// than a segment were being written when the log stopped; they are removed.
func (l *Log) loadSpares() error {
	dir := l.fs.PathJoin(l.dir, spareDir)
	names, err := l.fs.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		var n uint32
		if _, err := fmt.Sscanf(name, "%08x", &n); err != nil || fmt.Sprintf("%08x", n) != name {
			continue
		}
		l.segs.counter = max(l.segs.counter, n+1)
		path := l.fs.PathJoin(dir, name)
		st, err := l.fs.Stat(path)
		if err != nil {
			return err
		}
		if st.Size() < l.o.SegmentBytes || len(l.segs.spares) >= maxSpares+max(0, l.o.Spares) {
			if err := l.fs.Remove(path); err != nil {
				return err
			}
			continue
		}
		l.segs.spares = append(l.segs.spares, path)
	}
	return nil
}

// release gives back what open opened.
func (l *Log) release() error {
	l.segs.mu.Lock()
	segs := l.segs.list
	l.segs.list, l.segs.closed = nil, true
	l.segs.mu.Unlock()
	if l.active != nil && !l.active.begun {
		segs = append(segs, l.active)
	}
	if l.segs.next != nil {
		segs = append(segs, l.segs.next)
	}
	var errs []error
	for _, seg := range segs {
		errs = append(errs, seg.close())
	}
	if l.cat != nil {
		errs = append(errs, l.cat.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}
