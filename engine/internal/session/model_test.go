package session

import (
	"bytes"
	"fmt"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// entry is one entry of a log, as the table sees it.
type entry struct {
	open, close       bool
	limits            raftpb.SessionLimits
	id, serial, acked int64
	result            int // bytes that the command returns
}

// model is the obvious version: one entry at a time, lists looked through from the front.
type model struct {
	limits   raftpb.SessionLimits
	sessions []*modelSession // least recently used first
	applied  map[string]int
}

type modelSession struct {
	id, window, acked int64
	records           map[int64]*modelRecord
}

type modelRecord struct {
	index   Index
	bytes   int64
	dropped bool
}

func (m *model) bytes() (sum int64) {
	for _, s := range m.sessions {
		sum += sessionBytes
		for _, r := range s.records {
			sum += recordBytes + r.bytes
		}
	}
	return sum
}

func (m *model) take(id int64) *modelSession {
	for i, s := range m.sessions {
		if s.id == id {
			m.sessions = append(m.sessions[:i:i], m.sessions[i+1:]...)
			return s
		}
	}
	return nil
}

// step applies one entry and says what became of it.
func (m *model) step(index Index, e entry) string {
	switch {
	case e.open:
		m.limits = e.limits
		for len(m.sessions) >= int(m.limits.Sessions) || (len(m.sessions) > 0 && m.bytes() > m.limits.Bytes-sessionBytes) {
			m.sessions = m.sessions[1:]
		}
		s := &modelSession{id: int64(index), window: int64(m.limits.Window), acked: 1, records: map[int64]*modelRecord{}}
		m.sessions = append(m.sessions, s)
		return fmt.Sprint("opened ", s.id, s.window)
	case e.close:
		return fmt.Sprint("closed ", m.take(e.id) != nil)
	}
	s := m.take(e.id)
	if s == nil {
		return "expired"
	}
	m.sessions = append(m.sessions, s)
	if e.acked <= e.serial {
		s.acked = max(s.acked, e.acked)
	}
	for serial := range s.records {
		if serial < s.acked {
			delete(s.records, serial)
		}
	}
	switch r := s.records[e.serial]; {
	case e.serial < s.acked || e.serial >= s.acked+s.window:
		return fmt.Sprint("outside ", s.acked, s.acked+s.window-1)
	case r != nil:
		return fmt.Sprint("again ", r.index, r.dropped)
	}
	m.applied[fmt.Sprint(e.id, "/", e.serial)]++
	r := &modelRecord{index: index, bytes: int64(e.result), dropped: e.result > int(m.limits.ResultBytes)}
	if r.dropped {
		r.bytes = 0
	}
	s.records[e.serial] = r
	m.makeRoom(s)
	return "apply"
}

func (m *model) makeRoom(s *modelSession) {
	if m.bytes() <= m.limits.Bytes {
		return
	}
	for len(m.sessions) > 1 && m.bytes() > m.limits.Bytes-m.limits.Bytes/8 {
		m.sessions = m.sessions[1:]
	}
	for serial := s.acked; m.bytes() > m.limits.Bytes; serial++ {
		if r := s.records[serial]; r != nil {
			r.bytes, r.dropped = 0, true
		}
	}
}

// feed gives entries to a table in runs of the lengths given, as a state machine's
// driver does: a run ends before a session is opened or closed, and where there is no
// more Room.
func feed(t *Table, first Index, entries []entry, cut func() int) (said []string) {
	type waiting struct {
		index Index
		entry entry
		also  []int // places in said that get the same answer
	}
	var batch []waiting
	flush := func() {
		for _, w := range batch {
			t.Store(w.entry.id, w.entry.serial, make([]byte, w.entry.result))
		}
		for _, w := range batch {
			dropped := w.entry.result > int(t.limits.ResultBytes)
			for _, at := range w.also {
				said[at] = fmt.Sprint("again ", w.index, dropped)
			}
		}
		batch = batch[:0]
	}
	left, room := cut(), t.Room()
	for i, e := range entries {
		index := first + Index(i)
		if e.open || e.close || left == 0 || len(batch) >= room {
			flush()
			left, room = cut(), t.Room()
		}
		left--
		if e.open {
			id, window := t.Open(index, e.limits)
			said = append(said, fmt.Sprint("opened ", id, window))
			left, room = cut(), t.Room()
			continue
		}
		if e.close {
			said = append(said, fmt.Sprint("closed ", t.Close(e.id)))
			continue
		}
		v := t.Judge(index, 1, e.id, e.serial, e.acked)
		switch v.Outcome {
		case Apply:
			batch = append(batch, waiting{index: index, entry: e})
			said = append(said, "apply")
		case Again:
			said = append(said, fmt.Sprint("again ", v.Index, v.Dropped))
		case Pending:
			said = append(said, "")
			for k := range batch {
				if batch[k].index == v.Index {
					batch[k].also = append(batch[k].also, len(said)-1)
				}
			}
		case Expired:
			said = append(said, "expired")
		case Outside:
			said = append(said, fmt.Sprint("outside ", v.First, v.Last))
		}
	}
	flush()
	return said
}

func anyLimits(t *rapid.T) raftpb.SessionLimits {
	return raftpb.SessionLimits{
		Sessions: rapid.Int32Range(1, 6).Draw(t, "sessions"), Window: rapid.Int32Range(1, 8).Draw(t, "window"),
		Bytes: MinTableBytes, ResultBytes: rapid.SampledFrom([]int32{0, 10, 1 << 20, 3 << 20}).Draw(t, "result bytes"),
	}
}

func anyEntries(t *rapid.T) []entry {
	n := rapid.IntRange(1, 120).Draw(t, "entries")
	var entries []entry
	var ids []int64
	for i := range n {
		e := entry{}
		switch kind := rapid.IntRange(0, 19).Draw(t, "kind"); {
		case kind < 3 || len(ids) == 0:
			e.open, e.limits = true, anyLimits(t)
			ids = append(ids, int64(i+1))
		case kind == 3:
			e.close, e.id = true, rapid.SampledFrom(ids).Draw(t, "id")
		default:
			e.id = rapid.SampledFrom(ids[max(0, len(ids)-8):]).Draw(t, "id")
			e.serial = rapid.Int64Range(-1, 14).Draw(t, "serial")
			e.acked = rapid.Int64Range(-1, 10).Draw(t, "acked")
			e.result = rapid.SampledFrom([]int{0, 1, 10, 11, 1 << 20, 1<<20 + 1, 3 << 19}).Draw(t, "result")
		}
		entries = append(entries, e)
	}
	return entries
}

// TestTheTableIsTheModelHoweverTheLogIsCut is the argument of the package: whatever the
// log, and wherever its batches end, every entry gets the verdict that it gets from the
// obvious version applied one entry at a time; no command is applied twice; and the bytes
// of the table are the same.
func TestTheTableIsTheModelHoweverTheLogIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := anyEntries(t)
		m := &model{applied: map[string]int{}}
		var want []string
		for i, e := range entries {
			want = append(want, m.step(Index(i+1), e))
		}
		for command, n := range m.applied {
			if n > 1 {
				t.Fatalf("the model applied %s %d times", command, n)
			}
		}
		single, cut := New(), New()
		one := feed(single, 1, entries, func() int { return 1 })
		many := feed(cut, 1, entries, func() int { return rapid.IntRange(1, 50).Draw(t, "run") })
		for i := range want {
			if one[i] != want[i] || many[i] != want[i] {
				t.Fatalf("entry %d %+v: model %q, alone %q, in a batch %q", i+1, entries[i], want[i], one[i], many[i])
			}
		}
		if single.Bytes() != m.bytes() || single.Bytes() > single.limits.Bytes {
			t.Fatalf("%d bytes, the model has %d, the limit is %d", single.Bytes(), m.bytes(), single.limits.Bytes)
		}
		if !bytes.Equal(single.Append(nil), cut.Append(nil)) {
			t.Fatal("the same log gave tables of different bytes")
		}
	})
}

// TestATableThatWasStoredGoesOnAsIfNothingHadHappened cuts a log anywhere, stores the table
// there as a snapshot and as keys and values, and goes on with what was read back.
func TestATableThatWasStoredGoesOnAsIfNothingHadHappened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := anyEntries(t)
		at := rapid.IntRange(0, len(entries)).Draw(t, "stored at")
		run := func() int { return rapid.IntRange(1, 9).Draw(t, "run") }
		whole := New()
		want := feed(whole, 1, entries, run)

		first := New()
		first.Track()
		disk := map[string][]byte{}
		store := func() {
			first.Changes(func(key, value []byte) {
				if value == nil {
					delete(disk, string(key))
					return
				}
				disk[string(key)] = value
			})
		}
		half := rapid.IntRange(0, at).Draw(t, "and before at")
		feed(first, 1, entries[:half], run)
		store()
		feed(first, 1+Index(half), entries[half:at], run)
		store()
		l := NewLoader()
		for key, value := range disk {
			if !l.Add([]byte(key), value) {
				t.Fatalf("key %x is not taken", key)
			}
		}
		loaded, err := l.Table()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(first.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		for name, table := range map[string]*Table{"keys": loaded, "snapshot": decoded} {
			if table.Bytes() != first.Bytes() || !bytes.Equal(table.Append(nil), first.Append(nil)) {
				t.Fatalf("%s: another table was read back", name)
			}
			got := feed(table, 1+Index(at), entries[at:], run)
			for i := range got {
				if got[i] != want[at+i] {
					t.Fatalf("%s: entry %d: %q after the restart, %q without", name, at+i+1, got[i], want[at+i])
				}
			}
			if !bytes.Equal(table.Append(nil), whole.Append(nil)) {
				t.Fatalf("%s: the tables differ at the end", name)
			}
		}
	})
}
