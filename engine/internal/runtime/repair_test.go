package runtime

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// wrongEntries offers a group, whose entry 2 is damaged, everything that is not that entry,
// and tells what it would store.
func wrongEntries(t *testing.T, bug mutant) error {
	t.Helper()
	log, _, err := wal.Open("data", wal.Options{
		Identity: wal.Identity{Cluster: "test", Node: 1}, FS: wal.NewMemFS(), Catalog: wal.FileCatalog, Manual: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := func(term raft.Term, body string) raft.Entry {
		return raft.Entry{
			Term: term, Kind: raftpb.EntryKindCommand, Body: []byte(body),
			Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, []byte(body)),
		}
	}
	var b wal.Batch
	b.HardState(handGroup, wal.HardState{Term: 3})
	b.Append(handGroup, 1, []raft.Entry{command(1, "one"), command(2, "two"), command(2, "three")})
	if err := log.Write(&b); err != nil {
		t.Fatal(err)
	}
	h := New(Config{Node: 1, Workers: 1, MaxInboxBytes: 1 << 20, MaxEventBytes: 1 << 20}, log, 1)
	setMutant(h, bug)
	g, err := h.Start(GroupConfig{ID: handGroup, Observer: nobody{}, Hard: raft.HardState{Term: 3}, Raft: raft.Config{
		ID: 1, ElectionTimeout: 1e9, Heartbeat: 1e8, Changes: []raft.Change{},
		Configuration: raft.Configuration{Incoming: []raft.Member{{ID: 1, Suffrage: raftpb.SuffrageVoter}, {ID: 2, Suffrage: raftpb.SuffrageVoter}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	good := command(2, "two")
	g.repairs.queue = []Damage{{Index: 2, Kind: good.Kind, Crc32c: good.Crc32c}}
	if e := good; !g.fits(2, &e) {
		return errors.New("the entry itself is refused")
	}
	if e := good; g.fits(3, &e) {
		return errors.New("an entry is taken for one that is not damaged")
	}
	torn, stripped, noop := good, good, good
	torn.Body = []byte("twO")
	stripped.Body, stripped.StrippedBytes = nil, codec.Some(int32(3))
	noop.Kind = raftpb.EntryKindNoop
	for name, e := range map[string]raft.Entry{
		"of another term": command(1, "two"), "another command": command(2, "TWO"), "damaged on the way": torn,
		"without its body": stripped, "of another kind": noop,
	} {
		if g.fits(2, &e) {
			return fmt.Errorf("an entry %s is taken", name)
		}
	}
	// Where the log cannot say what the entry was, index, term and its own checksum count.
	g.repairs.queue[0] = Damage{Index: 2}
	if e := good; !g.fits(2, &e) {
		return errors.New("the entry itself is refused, where only its term is known")
	}
	if e := torn; g.fits(2, &e) {
		return errors.New("an entry with a wrong checksum is taken")
	}
	return nil
}

// What a member gives for a damaged entry is stored only if it is that entry.
func TestOnlyTheSameEntryIsTakenForADamagedOne(t *testing.T) {
	if err := wrongEntries(t, 0); err != nil {
		t.Error(err)
	}
}

// What a read says of damage is taken apart entry by entry; another failure is none.
func TestDamageIsTakenApart(t *testing.T) {
	var d *raft.DamagedError
	found := damages(fmt.Errorf("read: %w", &raft.DamagedError{
		Damaged: raft.Span{Lo: 4, Hi: 6}, Err: &wal.CorruptError{Group: 1, Lo: 3, Hi: 6},
	}))
	if len(found) != 2 || found[0] != (Damage{Index: 4}) || found[1] != (Damage{Index: 5}) {
		t.Errorf("%+v", found)
	}
	one := damages(&raft.DamagedError{Damaged: raft.Span{Lo: 4, Hi: 5}, Err: &wal.CorruptError{Lo: 4, Hi: 5, Kind: 2, Crc32c: 9}})
	if len(one) != 1 || one[0] != (Damage{4, 2, 9}) {
		t.Errorf("%+v", one)
	}
	if got := damages(errors.New("a disk that does not answer")); got != nil || errors.As(errors.New(""), &d) {
		t.Errorf("%+v", got)
	}
}
