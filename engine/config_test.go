package engine_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

func TestConfigNamesAllItsFaultsAtOnce(t *testing.T) {
	_, err := engine.Open(t.Context(), engine.Config{
		Codec: "morse", ElectionTimeout: time.Millisecond, HeartbeatInterval: time.Hour, MaxCommandBytes: -1, Workers: 1000,
		Snapshots:  engine.SnapshotConfig{Entries: 1, ChunkBytes: 1, MaxImages: -1},
		ClockBound: time.Hour, MaxSessions: -1, SessionWindow: 1 << 20, MaxSessionTableBytes: 1, MaxSessionResultBytes: -1,
		Scrub: engine.ScrubConfig{MaxBytesPerSecond: 1}, Epoch: -1,
		MaxElectionTimeout: 1, MaxInflightBytes: 1, MaxInflightAppends: -1, MinInflightBytes: 2, MinInflightAppends: 1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"Cluster", "Node", "Dir", "Listen", "Codec", "ElectionTimeout", "HeartbeatInterval", "MaxCommandBytes", "Workers",
		"Snapshots.Entries", "Snapshots.ChunkBytes", "Snapshots.MaxImages",
		"ClockBound", "MaxSessions", "SessionWindow", "MaxSessionTableBytes", "MaxSessionResultBytes",
		"Scrub.MaxBytesPerSecond", "Epoch",
		"MaxElectionTimeout", "MaxInflightBytes", "MaxInflightAppends", "MinInflightBytes", "MinInflightAppends",
	} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func TestGroupConfigNamesAllItsFaultsAtOnce(t *testing.T) {
	c := newCluster(t, 1, nil)
	_, err := c.hosts[1].Start(t.Context(), engine.GroupConfig{Members: []engine.Member{{ID: 2}, {ID: 2, Address: "x"}}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"ID: 0", "Machine: nil", "has no address", "there twice", "(this one) is missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestAGroupStartsOnceAndAgainAfterStop(t *testing.T) {
	c := newCluster(t, 1, nil)
	again := engine.GroupConfig{ID: groupID, Members: c.members(), Machine: &ledger{}}
	if _, err := c.hosts[1].Start(t.Context(), again); !errors.Is(err, engine.ErrExists) {
		t.Fatalf("second start: %v, want ErrExists", err)
	}
	c.propose("kept")
	if err := c.group(1).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := &ledger{}
	again.Machine = l
	g, err := c.hosts[1].Start(t.Context(), again)
	if err != nil {
		t.Fatalf("start after stop: %v", err)
	}
	c.eventually("the log to be applied again", func() bool {
		n := 0
		err := g.Read(t.Context(), engine.Linearizable, func() error { n = len(l.lines); return nil })
		return err == nil && n == 1
	})
}

func TestADirectoryBelongsToOneClusterAndNode(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.propose("mine")
	c.stop(1)
	cfg := c.config(1)
	cfg.Cluster = "other"
	if h, err := engine.Open(t.Context(), cfg); err == nil {
		h.Close()
		t.Error("another cluster opened the directory")
	}
	cfg = c.config(1)
	cfg.Node = 2
	if h, err := engine.Open(t.Context(), cfg); err == nil {
		h.Close()
		t.Error("another node opened the directory")
	}
	c.start(1)
	c.eventually("the owner to find its line", func() bool { return len(c.lines(1)) == 1 })
}

func TestTwoHostsCannotShareADirectoryOrAPort(t *testing.T) {
	c := newCluster(t, 1, nil)
	cfg := c.config(1)
	cfg.Listen = freeAddress(t)
	if h, err := engine.Open(t.Context(), cfg); err == nil {
		h.Close()
		t.Error("two hosts opened one directory")
	}
	cfg = c.config(1)
	cfg.Dir = filepath.Join(t.TempDir(), "other")
	if h, err := engine.Open(t.Context(), cfg); err == nil {
		h.Close()
		t.Error("two hosts listen on one port")
	}
}
