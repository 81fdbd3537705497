package engine

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Of all that is wrong with a member, its health says the worst.
func TestHealthIsTheWorst(t *testing.T) {
	var s Status
	steps := []struct {
		goes func()
		want raftpb.Health
	}{
		{func() {}, raftpb.HealthOk},
		{func() { s.Repair.Entries = 1 }, raftpb.HealthRepairing},
		{func() { s.DiskStalled = true }, raftpb.HealthDiskStalled},
		{func() { s.Uncertain = true }, raftpb.HealthUncertain},
		{func() { s.Err = errors.New("ended") }, raftpb.HealthStopped},
	}
	for _, step := range steps {
		step.goes()
		if got := statusResponse(&s).Health; got != step.want {
			t.Errorf("health %v, want %v", got, step.want)
		}
	}
}
