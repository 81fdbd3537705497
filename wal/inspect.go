package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// SegmentInfo is the header of a segment file.
type SegmentInfo struct {
	Name     string
	Seq      uint64
	Base     uint64 // LSN of the first frame
	Prepared bool   // holds no frame yet
	NoSync   bool   // written by a log that never syncs
	Doubtful bool   // begins where damage was found: older segments are void from its base on
	Created  time.Time
	Identity Identity
}

// FrameInfo is the header of a whole frame.
type FrameInfo struct {
	Segment uint64
	LSN     uint64
	Kind    string // "data", "mark" or "clean"
	Durable uint64 // everything before it was synced before this frame was written
	Records int
	Bytes   int // header and body
	Time    time.Time
}

// RecordInfo is one record of a frame.
type RecordInfo struct {
	LSN     uint64
	Type    string // "entries", "hard-state", "compact", "truncate", "snapshot", "destroy" or "trust"
	Flags   string // "stripped", "restated", "repair", joined by commas
	Group   raftpb.GroupID
	Index   raftpb.Index // as docs/spec/wal.md says for the type
	Term    raftpb.Term
	Hard    HardState      // of a hard state
	Keep    bool           // of a snapshot: the entries behind it stay
	Data    []byte         // of a snapshot; valid during the call
	Entries []raftpb.Entry // of entries, from Index on; valid during the call
	BadBody []raftpb.Index // of them, those whose bodies do not match
	Segment uint64
}

// Inspection says what Inspect calls, in the order of the log. Nil functions are
// not called; an error ends the inspection.
type Inspection struct {
	Segment func(SegmentInfo) error
	Frame   func(FrameInfo) error
	Record  func(RecordInfo) error
}

// InspectReport sums up what Inspect has read.
type InspectReport struct {
	Segments, Frames, Records, Entries int64
	Bytes                              int64 // of frames
	End                                uint64
	Clean                              bool // the log was closed in order
	Torn                               bool // it ends in a write that nobody was told of
	// Damage is what is wrong with bytes that somebody may have been told of. An entry
	// with a bad body is named even if it was overwritten or repaired later.
	Damage []*CorruptError
}

// Inspect reads the segments of the log in dir, and changes and locks nothing: it
// can look at a damaged log, and at one that is open, whose end it may see torn. The
// catalog is not consulted, so missing segments at either end go unnoticed.
func Inspect(fs FS, dir string, v Inspection) (InspectReport, error) {
	if fs == nil {
		fs = defaultFS()
	}
	l := newLog(dir, Options{FS: fs, Logger: slog.New(slog.DiscardHandler), Clock: systemClock{}})
	var rep InspectReport
	files, err := l.listSegments()
	if err != nil {
		if e, ok := errors.AsType[*CorruptError](err); ok {
			rep.Damage = append(rep.Damage, e)
			return rep, nil
		}
		return rep, fmt.Errorf("wal: inspect %s: %w", dir, err)
	}
	for i := range files {
		if err := l.inspectSegment(files, i, v, &rep); err != nil {
			return rep, fmt.Errorf("wal: inspect %s: %w", dir, err)
		}
	}
	return rep, nil
}

// endOf says where segment i ends because later ones begin.
func endOf(files []segFile, i int) (end uint64, closed bool) {
	for k := i + 1; k < len(files) && !files[k].prepared(); k++ {
		if !closed || files[k].doubtful() && files[k].base < end {
			end, closed = files[k].base, true
		}
	}
	return end, closed
}

func (l *Log) inspectSegment(files []segFile, i int, v Inspection, rep *InspectReport) error {
	f := &files[i]
	if v.Segment != nil {
		info := SegmentInfo{
			Name: f.name, Seq: f.seq, Base: f.base, Prepared: f.prepared(), NoSync: f.flags&segNoSync != 0,
			Doubtful: f.doubtful(),
			Created:  time.Unix(0, f.created), Identity: f.id,
		}
		if err := v.Segment(info); err != nil {
			return err
		}
	}
	if i > 0 && f.seq != files[i-1].seq+1 {
		rep.Damage = append(rep.Damage, &CorruptError{Segment: files[i-1].seq + 1, Reason: "segment is missing"})
	}
	if f.prepared() {
		return nil
	}
	rep.Segments++
	s, err := l.openScan(f)
	if err != nil {
		return err
	}
	defer s.r.Close() //nolint:errcheck // opened for reading
	if end, closed := endOf(files, i); closed {
		return inspectClosed(s, end, v, rep)
	}
	return inspectTail(s, v, rep)
}

// inspectClosed reads a segment up to its end, past damage.
func inspectClosed(s *scanner, end uint64, v Inspection, rep *InspectReport) error {
	for s.lsn < end {
		at := s.offset()
		fr, verdict, err := s.next()
		if err != nil {
			return err
		}
		if verdict == frameWhole {
			if err := inspectFrame(s, &fr, v, rep); err != nil {
				return err
			}
			continue
		}
		rep.Damage = append(rep.Damage, &CorruptError{Segment: s.seq, Offset: at, Reason: "frame is damaged"})
		if err := s.skip(end); err != nil {
			return err
		}
	}
	rep.End = end
	return nil
}

// inspectTail reads the last segment and judges its end as Open would.
func inspectTail(s *scanner, v Inspection, rep *InspectReport) error {
	promise := s.base
	for {
		fr, verdict, err := s.next()
		if err != nil {
			return err
		}
		if verdict != frameWhole {
			rep.Torn = verdict == frameTorn
			break
		}
		promise = max(promise, fr.durable)
		if err := inspectFrame(s, &fr, v, rep); err != nil {
			return err
		}
	}
	rep.End = s.lsn
	after, err := s.later()
	if err != nil {
		return err
	}
	rep.Torn = rep.Torn || after.frames
	if after.misplaced != 0 {
		rep.Damage = append(rep.Damage, &CorruptError{
			Segment: s.seq, Offset: after.misplaced, Reason: "frame stands at a wrong place",
		})
	}
	if promise = max(promise, after.durable); promise > s.lsn {
		rep.Damage = append(rep.Damage, &CorruptError{
			Segment: s.seq, Offset: s.offset(),
			Reason: fmt.Sprintf("log ends at LSN %d, but was durable up to %d", s.lsn, promise),
		})
	}
	return nil
}

func inspectFrame(s *scanner, fr *scannedFrame, v Inspection, rep *InspectReport) error {
	rep.Frames++
	rep.Bytes += int64(alignUp(len(fr.bytes)))
	rep.Clean = fr.kind == frameClean
	if v.Frame != nil {
		kinds := map[uint8]string{frameData: "data", frameMark: "mark", frameClean: "clean"}
		info := FrameInfo{
			Segment: s.seq, LSN: fr.lsn, Kind: kinds[fr.kind], Durable: fr.durable, Records: int(fr.records),
			Bytes: len(fr.bytes), Time: time.Unix(0, fr.nano),
		}
		if err := v.Frame(info); err != nil {
			return err
		}
	}
	var err error
	fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
		info := recordInfo(&h, rec, lsn)
		info.Segment = s.seq
		rep.Records++
		rep.Entries += int64(len(info.Entries))
		for _, i := range info.BadBody {
			rep.Damage = append(rep.Damage, &CorruptError{
				Segment: s.seq, Offset: segHeaderBytes + int64(lsn-s.base), Group: h.group, Lo: i, Hi: i + 1, Reason: damagedBody,
			})
		}
		if v.Record != nil {
			err = v.Record(info)
		}
		return err == nil
	})
	return err
}
