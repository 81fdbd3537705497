package model_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model/toy"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// FuzzCheck: whatever the steps are, the model answers. The input is a trace of a
// good world, in which the bytes falsify steps: position, field, value.
func FuzzCheck(f *testing.F) {
	f.Add(uint64(7), []byte{40, 0, 1, 90, 1, 2, 200, 5, 3})
	f.Add(uint64(23), []byte{1, 7, 255, 2, 8, 0, 30, 9, 1})
	f.Fuzz(func(t *testing.T, seed uint64, lies []byte) {
		var trace []model.Step
		w := toy.New(options(seed % 1000))
		w.Watch.Step = func(s model.Step) { trace = append(trace, s) }
		for range 800 {
			w.Next()
		}
		at := 0
		for ; len(lies) >= 3; lies = lies[3:] {
			if at += int(lies[0]); at < len(trace) {
				falsify(&trace[at], lies[1], int64(int8(lies[2])))
			}
		}
		m := model.New(w.Initial)
		for _, s := range trace {
			_ = m.Check(s) // no panic
		}
	})
}

func falsify(s *model.Step, field byte, v int64) {
	switch field % 11 {
	case 0:
		s.Kind = model.Kind(v)
	case 1:
		s.Node = raftpb.NodeID(v)
	case 2:
		s.Peer = raftpb.NodeID(v)
	case 3:
		s.Term += raftpb.Term(v)
	case 4:
		s.Vote = raftpb.NodeID(v)
	case 5:
		s.Index += raftpb.Index(v)
	case 6:
		s.LastTerm += raftpb.Term(v)
	case 7:
		s.Last += raftpb.Index(v)
	case 8:
		s.Commit = raftpb.Index(v)
	case 9:
		s.Uncertain = !s.Uncertain
	case 10:
		s.Votes = nil
		s.Entries = append([]model.Entry{{Term: raftpb.Term(v), Hash: uint64(v)}}, s.Entries...)
	}
}

// BenchmarkCheck replays the trace of a cluster of five that is busy and in trouble.
func BenchmarkCheck(b *testing.B) {
	var trace []model.Step
	w := toy.New(toy.Options{Seed: 1, Nodes: 5, Spare: 2})
	w.Watch.Step = func(s model.Step) { trace = append(trace, s) }
	for len(trace) < 100_000 {
		w.Next()
	}
	b.ReportAllocs()
	for b.Loop() {
		m := model.New(w.Initial)
		for _, s := range trace {
			if err := m.Check(s); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(trace))/b.Elapsed().Seconds(), "steps/s")
}
