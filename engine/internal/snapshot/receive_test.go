package snapshot

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// transfer sends the image to the partial in pieces, up to limit bytes of it.
func transfer(img *Image, p *Partial, piece int, limit int64) error {
	buf := make([]byte, piece)
	for limit = min(limit, img.Meta().SizeBytes); p.Offset() < limit; {
		n, err := img.ReadAt(buf[:min(int64(piece), limit-p.Offset())], p.Offset())
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := p.Write(p.Offset(), buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// source is an image on another host.
func source(t testing.TB, s state) *Image {
	t.Helper()
	g := openGroup(t, wal.NewMemFS(), Options{})
	mustSave(t, g, s)
	img, err := g.Newest()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// A transfer is cut anywhere, the receiver starts again, and what had arrived is not
// sent again, but for the block that was cut.
func TestTransferGoesOnWhereItWasCut(t *testing.T) {
	s := stateAt(10, 3*blockBytes)
	img := source(t, s)
	size := img.Meta().SizeBytes
	for cut := int64(0); cut <= size; cut += 7777 {
		fs := wal.NewMemFS()
		p, err := openGroup(t, fs, Options{}).Receive(img.Meta())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(transfer(img, p, 1000, cut), p.Close()); err != nil {
			t.Fatal(err)
		}
		g := openGroup(t, fs, Options{})
		if p, err = g.Receive(img.Meta()); err != nil {
			t.Fatal(err)
		}
		if p.Offset() > cut || cut-p.Offset() > blockHeader+blockBytes {
			t.Fatalf("cut at %d of %d, goes on at %d", cut, size, p.Offset())
		}
		if err := transfer(img, p, 4096, size); err != nil || !p.Complete() {
			t.Fatalf("%v, complete %t", err, p.Complete())
		}
		if m, err := p.Commit(); err != nil || !bytes.Equal(m.SnapshotID, img.Meta().SnapshotID) {
			t.Fatalf("commit: %+v, %v", m, err)
		}
		got, err := g.Newest()
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, got, s)
		if _, err := g.Receive(img.Meta()); !errors.Is(err, ErrExists) {
			t.Fatalf("what is there is received again: %v", err)
		}
	}
}

// Every byte of a transfer is flipped in turn: the image is refused, nothing is left
// of it, and the next transfer begins anew.
func TestTransferWithDamageIsRefused(t *testing.T) {
	img := source(t, stateAt(10, 300))
	whole := make([]byte, img.Meta().SizeBytes)
	if _, err := img.ReadAt(whole, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	for at := range whole {
		p, err := g.Receive(img.Meta())
		if err != nil || p.Offset() != 0 {
			t.Fatalf("byte %d: %v", at, err)
		}
		whole[at] ^= 0x20
		if err := p.Write(0, whole); err != nil {
			t.Fatal(err)
		}
		whole[at] ^= 0x20
		if _, err := p.Commit(); !isDamage(err) {
			t.Fatalf("byte %d of %d: %v", at, len(whole), err)
		}
	}
	if names, _ := fs.List(g.dir); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
}

// Pieces that do not fit, and descriptions that cannot be.
func TestTransferRefusals(t *testing.T) {
	img := source(t, stateAt(10, 300))
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{MaxPartials: 2})
	p, err := g.Receive(img.Meta())
	if err != nil {
		t.Fatal(err)
	}
	var offset *OffsetError
	if err := p.Write(5, []byte("x")); !errors.As(err, &offset) || offset.Have != 0 {
		t.Errorf("gap: %v", err)
	}
	if err := p.Write(0, make([]byte, img.Meta().SizeBytes+1)); !errors.Is(err, ErrMeta) {
		t.Errorf("longer than announced: %v", err)
	}
	p.Discard()
	for name, spoil := range map[string]func(*Meta){
		"index":    func(m *Meta) { m.Index = 0 },
		"term":     func(m *Meta) { m.Term = -1 },
		"identity": func(m *Meta) { m.SnapshotID = nil },
		"path":     func(m *Meta) { m.SnapshotID = []byte("../../../../../x") },
		"hash":     func(m *Meta) { m.Sha256 = nil },
		"no match": func(m *Meta) { m.Sha256 = make([]byte, 32) },
		"size":     func(m *Meta) { m.SizeBytes = 1 },
	} {
		m := img.Meta()
		spoil(&m)
		if _, err := g.Receive(m); !errors.Is(err, ErrMeta) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The identity is that of another image: found out at the end.
	m := img.Meta()
	m.Sha256 = slices.Clone(m.Sha256)
	m.Sha256[0] ^= 1
	m.SnapshotID = m.Sha256[:idBytes]
	p, err = g.Receive(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer(img, p, 4096, m.SizeBytes); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(); !isDamage(err) {
		t.Errorf("another image than announced: %v", err)
	}
	// Of many transfers that were begun, the last ones can be resumed.
	for i := range byte(5) {
		m := img.Meta()
		m.Sha256 = slices.Clone(m.Sha256)
		m.Sha256[0] = i
		m.SnapshotID = m.Sha256[:idBytes]
		p, err := g.Receive(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if names, _ := fs.List(g.dir); len(names) != 2 {
		t.Errorf("%q, want the last 2 partials", names)
	}
}

// A full disk ends a transfer; what had arrived stays, and when there is room again the
// transfer goes on behind it.
func TestFullDiskKeepsWhatHasArrived(t *testing.T) {
	img := source(t, stateAt(10, 3*blockBytes))
	fs := disk(t)
	g := openGroup(t, fs, Options{})
	p, err := g.Receive(img.Meta())
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer(img, p, 1000, 2*blockBytes); err != nil {
		t.Fatal(err)
	}
	fs.OnOp = func(op crashfs.Op) error {
		if op.Kind == crashfs.Write {
			return syscall.ENOSPC
		}
		return nil
	}
	var full *WriteError
	if err := transfer(img, p, 1000, 3*blockBytes); !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	fs.OnOp = nil
	if p, err = g.Receive(img.Meta()); err != nil || p.Offset() < blockBytes {
		t.Fatalf("goes on at %d, %v", p.Offset(), err)
	}
	if err := transfer(img, p, 1000, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Long work ends when the host is closed, and leaves nothing behind.
func TestLongWorkIsInterrupted(t *testing.T) {
	var stop error
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{Interrupt: func() error { return stop }})
	s := stateAt(10, 300)
	mustSave(t, g, s)
	img, err := g.Newest()
	if err != nil {
		t.Fatal(err)
	}
	stop = errors.New("closing")
	if _, err := stateAt(20, 300).save(g); !errors.Is(err, stop) {
		t.Errorf("save: %v", err)
	}
	if err := img.Verify(); !errors.Is(err, stop) {
		t.Errorf("verify: %v", err)
	}
	other := source(t, stateAt(30, 300))
	p, err := g.Receive(other.Meta())
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer(other, p, 1000, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(); !errors.Is(err, stop) {
		t.Errorf("commit: %v", err)
	}
	if names, _ := fs.List(g.dir); len(names) != 1 {
		t.Errorf("left: %q", names)
	}
}

// What has arrived of an image is of no use once a newer one is there.
func TestOutdatedTransfersAreRemoved(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	for _, index := range []raftpb.Index{10, 30} {
		p, err := g.Receive(source(t, stateAt(index, 300)).Meta())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustSave(t, g, stateAt(20, 300))
	names, _ := fs.List(g.dir)
	slices.Sort(names)
	if len(names) != 2 || !strings.HasPrefix(names[1], "000000000000001e") {
		t.Errorf("%q, want the image at 20 and the partial at 30", names)
	}
}

// A witness gets the description of a snapshot and nothing of the state. It is an image
// like any other: checked, stored, found again.
func TestAHollowImageHoldsNoState(t *testing.T) {
	full := source(t, stateAt(10, 3*blockBytes))
	img := full.Hollow()
	m, was := img.Meta(), full.Meta()
	if m.SizeBytes > 1000 || m.Index != was.Index || m.Term != was.Term || !Hollow(&m) || Hollow(&was) {
		t.Fatalf("%+v of %+v", m, was)
	}
	fs := wal.NewMemFS()
	p, err := openGroup(t, fs, Options{}).Receive(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer(img, p, 100, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(img.Close(), full.Close()); err != nil {
		t.Fatal(err)
	}
	got, _, err := openGroup(t, fs, Options{}).Recover(10)
	if err != nil {
		t.Fatal(err)
	}
	s, err := load(got)
	if err != nil || s.machine != nil || len(s.facts) != 0 || len(s.meta.Config.Incoming) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
