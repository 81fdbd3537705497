package session

import (
	"bytes"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

var roomy = raftpb.SessionLimits{Sessions: 4, Window: 8, Bytes: MinTableBytes, ResultBytes: 1 << 20}

// A client sends serial 1 twice, because the answer was lost: the second is answered with
// the first's place and result, also when another leader appended it much later.
func TestARetryIsAnsweredFromTheTable(t *testing.T) {
	table := New()
	id, window := table.Open(5, roomy)
	if id != 5 || window != 8 {
		t.Fatalf("session %d with a window of %d, want 5 and 8", id, window)
	}
	if v := table.Judge(6, 1, id, 1, 0); v.Outcome != Apply {
		t.Fatalf("the first time: %+v", v)
	}
	if v := table.Judge(7, 1, id, 1, 0); v.Outcome != Pending || v.Index != 6 {
		t.Fatalf("in the same batch: %+v, want pending at 6", v)
	}
	table.Store(id, 1, []byte("done"))
	if v := table.Judge(900, 3, id, 1, 0); v.Outcome != Again || v.Index != 6 || v.Term != 1 || string(v.Result) != "done" {
		t.Fatalf("later: %+v, want the result of 6", v)
	}
}

func TestSerialsComeInAnyOrderWithinTheWindow(t *testing.T) {
	table := New()
	id, _ := table.Open(1, roomy)
	for i, serial := range []int64{8, 1, 3, 2} {
		if v := table.Judge(Index(2+i), 1, id, serial, 0); v.Outcome != Apply {
			t.Fatalf("serial %d: %+v", serial, v)
		}
		table.Store(id, serial, nil)
	}
	refused := func(index Index, serial, acked, first, last int64) {
		t.Helper()
		if v := table.Judge(index, 1, id, serial, acked); v.Outcome != Outside || v.First != first || v.Last != last {
			t.Errorf("serial %d: %+v, want outside of %d..%d", serial, v, first, last)
		}
	}
	refused(10, 0, 0, 1, 8)
	refused(11, 9, 0, 1, 8)
	if v := table.Judge(12, 1, id, 9, 3); v.Outcome != Apply {
		t.Errorf("serial 9 with the answers below 3: %+v", v)
	}
	refused(13, 2, 0, 3, 10)                                   // late: its answer was received
	if v := table.Judge(14, 1, id, 4, 9); v.Outcome != Apply { // says that it is answered itself: not believed
		t.Errorf("serial 4: %+v, want it applied", v)
	}
	refused(15, 11, 0, 3, 10)
}

// The least recently used session goes when there is no room for another, by the index of
// its last use.
func TestTheLeastRecentlyUsedSessionMakesRoom(t *testing.T) {
	table := New()
	var ids []int64
	for i := range 4 {
		id, _ := table.Open(Index(1+i), roomy)
		ids = append(ids, id)
	}
	table.Judge(10, 1, ids[0], 1, 0)
	table.Store(ids[0], 1, nil)
	table.Open(11, roomy)
	if table.Len() != 4 {
		t.Errorf("%d sessions, want 4", table.Len())
	}
	if v := table.Judge(12, 1, ids[1], 1, 0); v.Outcome != Expired {
		t.Errorf("the oldest: %+v, want expired", v)
	}
	if v := table.Judge(13, 1, ids[0], 1, 0); v.Outcome != Again {
		t.Errorf("the one used since: %+v, want its result", v)
	}
}

// Bytes are bounded: sessions that are not used go first, then the oldest results of the
// only one left. What was applied is never applied again.
func TestTheBytesOfATableAreBounded(t *testing.T) {
	table := New()
	quiet, _ := table.Open(1, roomy)
	busy, _ := table.Open(2, roomy)
	for serial := int64(1); serial <= 8; serial++ {
		if v := table.Judge(Index(2+serial), 1, busy, serial, 0); v.Outcome != Apply {
			t.Fatalf("serial %d: %+v", serial, v)
		}
		table.Store(busy, serial, make([]byte, 1<<20))
		if table.Bytes() > MinTableBytes {
			t.Fatalf("%d bytes, at most %d", table.Bytes(), MinTableBytes)
		}
	}
	if v := table.Judge(20, 1, quiet, 1, 0); v.Outcome != Expired {
		t.Errorf("the quiet session: %+v, want expired", v)
	}
	if v := table.Judge(21, 1, busy, 1, 0); v.Outcome != Again || !v.Dropped || v.Index != 3 {
		t.Errorf("serial 1: %+v, want its place without a result", v)
	}
	if v := table.Judge(22, 1, busy, 8, 0); v.Outcome != Again || v.Dropped {
		t.Errorf("serial 8: %+v, want its result", v)
	}
	if table.Judge(23, 1, busy, 9, 9); table.Bytes() > 1024 {
		t.Errorf("%d bytes after all was acknowledged", table.Bytes())
	}
}

func TestAResultOverTheLimitIsNotKept(t *testing.T) {
	limits := roomy
	limits.ResultBytes = 3
	table := New()
	id, _ := table.Open(1, limits)
	for serial, result := range []string{1: "fit", 2: "long"} {
		if serial == 0 {
			continue
		}
		table.Judge(Index(1+serial), 1, id, int64(serial), 0)
		table.Store(id, int64(serial), []byte(result))
	}
	if v := table.Judge(9, 1, id, 1, 0); v.Dropped || string(v.Result) != "fit" {
		t.Errorf("%+v, want the result", v)
	}
	if v := table.Judge(10, 1, id, 2, 0); !v.Dropped || v.Index != 3 {
		t.Errorf("%+v, want only the place", v)
	}
}

// Limits come in entries: whatever one says, the table stays within bounds.
func TestLimitsOfAnEntryAreMovedIntoBounds(t *testing.T) {
	for _, l := range []raftpb.SessionLimits{
		{Sessions: -1, Window: -1, Bytes: -1, ResultBytes: -1},
		{Sessions: 1 << 30, Window: 1 << 30, Bytes: 1 << 60, ResultBytes: 1 << 30},
	} {
		b := bounded(l)
		if b.Sessions < 1 || b.Sessions > MaxSessions || b.Window < 1 || b.Window > MaxWindow ||
			b.Bytes < MinTableBytes || b.Bytes > MaxTableBytes || b.ResultBytes < 0 || b.ResultBytes > MaxResultBytes {
			t.Errorf("%+v became %+v", l, b)
		}
	}
}

// filled is a table with a bit of everything.
func filled() *Table {
	table := New()
	for i := range 3 {
		id, _ := table.Open(Index(10*i+1), roomy)
		for serial := int64(1); serial <= 3; serial++ {
			table.Judge(Index(id+serial), 2, id, serial, serial-1)
			table.Store(id, serial, bytes.Repeat([]byte{'x'}, int(serial)))
		}
	}
	return table
}

func TestDecodeRefusesWhatNoTableWrote(t *testing.T) {
	var good raftpb.SessionTable
	if _, err := good.ParseCompact(filled().Append(nil), nil); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(m *raftpb.SessionTable){
		"a version to come":          func(m *raftpb.SessionTable) { m.Version = 2 },
		"limits out of bounds":       func(m *raftpb.SessionTable) { m.Limits.Window = 0 },
		"more sessions than allowed": func(m *raftpb.SessionTable) { m.Limits.Sessions = 2 },
		"sessions out of order":      func(m *raftpb.SessionTable) { m.Sessions[0], m.Sessions[1] = m.Sessions[1], m.Sessions[0] },
		"a session twice":            func(m *raftpb.SessionTable) { m.Sessions[1].Session = m.Sessions[0].Session },
		"a session used before it":   func(m *raftpb.SessionTable) { m.Sessions[0].Session = int64(m.Sessions[0].Used) + 1 },
		"a window of nothing":        func(m *raftpb.SessionTable) { m.Sessions[0].Window = 0 },
		"serials out of order":       func(m *raftpb.SessionTable) { r := m.Sessions[0].Records; r[0].Serial = r[1].Serial },
		"a serial outside":           func(m *raftpb.SessionTable) { m.Sessions[0].Records[1].Serial = 99 },
		"a serial below zero":        func(m *raftpb.SessionTable) { m.Sessions[0].AckedBelow = -1 << 62 },
		"applied before it began":    func(m *raftpb.SessionTable) { m.Sessions[0].Records[0].Index = 1 },
		"applied after its last use": func(m *raftpb.SessionTable) { m.Sessions[0].Records[0].Index = 9 },
		"dropped, with a result":     func(m *raftpb.SessionTable) { m.Sessions[0].Records[0].Dropped = true },
	} {
		var m raftpb.SessionTable
		if _, err := m.ParseCompact(filled().Append(nil), nil); err != nil {
			t.Fatal(err)
		}
		damage(&m)
		if _, err := Decode(m.AppendCompact(nil)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Decode(append(filled().Append(nil), 0)); err == nil {
		t.Error("a byte too many: accepted")
	}
	if _, err := Decode(New().Append(nil)); err != nil {
		t.Errorf("an empty table: %v", err)
	}
}

func TestTheLoaderRefusesWhatNoTableWrote(t *testing.T) {
	type pair struct{ key, value []byte }
	stored := func() (all []pair) {
		table := New()
		table.Track()
		id, _ := table.Open(1, roomy)
		table.Judge(2, 1, id, 1, 0)
		table.Store(id, 1, []byte("x"))
		table.Changes(func(key, value []byte) { all = append(all, pair{key, value}) })
		return all
	}
	for name, damage := range map[string]func(all []pair) []pair{
		"no limits":                func(all []pair) []pair { return all[1:] },
		"a record without session": func(all []pair) []pair { return []pair{all[0], all[2]} },
		"another session's value":  func(all []pair) []pair { all[1].key[8]++; return all },
		"another serial's value":   func(all []pair) []pair { all[2].key[16]++; return all },
		"a key of another length":  func(all []pair) []pair { all[2].key = all[2].key[:5]; return all },
		"a damaged value":          func(all []pair) []pair { all[2].value = all[2].value[:2]; return all },
		"a session twice":          func(all []pair) []pair { return append(all, all[1]) },
	} {
		l := NewLoader()
		for _, p := range damage(stored()) {
			l.Add(p.key, p.value)
		}
		if _, err := l.Table(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if NewLoader().Add([]byte("other"), nil) || NewLoader().Add(nil, nil) {
		t.Error("keys of others are taken for the table's")
	}
}

// FuzzDecode: whatever is decoded is a table within its limits that encodes to the same
// bytes again, and works.
func FuzzDecode(f *testing.F) {
	f.Add(New().Append(nil))
	f.Add(filled().Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Decode(b)
		if err != nil {
			return
		}
		if table.Bytes() > MaxTableBytes || table.Len() > MaxSessions {
			t.Fatalf("%d bytes, %d sessions", table.Bytes(), table.Len())
		}
		again, err := Decode(table.Append(nil))
		if err != nil || !bytes.Equal(again.Append(nil), table.Append(nil)) {
			t.Fatalf("the encoding of what was decoded: %v", err)
		}
		id, _ := again.Open(1<<62, roomy)
		if v := again.Judge(1<<62+1, 1, id, 1, 0); v.Outcome != Apply {
			t.Fatalf("a new session of it: %+v", v)
		}
	})
}
