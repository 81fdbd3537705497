package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// Time is true time in nanoseconds, of which each node's clock is a distortion.
type Time = raft.Time

// Election is the election time-out of every world; all other times are chosen in
// relation to it.
const Election Time = 1_000_000_000

const millisecond Time = 1_000_000

// Knobs are drawn once per seed. Each kind of trouble is absent in half of the
// worlds (a swarm): what only shows when something else is quiet shows then.
type Knobs struct {
	Nodes  int         // that there are at first, all voters
	Core   raft.Config // limits and switches of every node
	Events int         // of the safety phase
	Span   Time        // at most so long

	// Network, the same on every link.
	Loss, Dup, Heavy    float64 // per message; Heavy: late by up to 10 time-outs
	MinDelay, MoreDelay Time    // uniform in [MinDelay, MinDelay+MoreDelay]
	Reorder             bool
	Unreachable         float64 // a lost message is reported to its sender
	Mangle              float64 // a message arrives as nonsense, and must be refused

	// Disk.
	DiskDelay Time
	DiskSlow  float64 // a write takes 20 times as long
	DiskHang  float64 // or one to three time-outs
	DropLazy  float64 // a write that owes no sync is left out

	// Process.
	Crash       float64 // per fault event
	CrashInside float64 // per carrying out: some of the effects are not
	Pause       float64
	Down        Time    // how long at most
	Mute        float64 // what a crashed process had sent is lost
	Doom        float64 // a new leader crashes, or is cut off, soon
	DoomWithin  Time
	Halfway     float64 // a leader falls when a follower has its predecessors' entries only
	Lazy        float64 // effects of several steps are carried out together
	LazyFor     Time
	Damage      float64 // a crash loses what was on the disk, in worlds without changes
	Wake        float64
	SkewPPM     int64 // clocks are up to so much too fast or too slow
	Volatile    bool  // state machines begin anew at each start

	// Faults and partitions.
	FaultEvery Time
	Cuts       float64
	Campaign   float64 // somebody is told to campaign
	Changes    float64 // of the members
	Transfers  float64
	Priorities bool

	// Snapshots.
	SnapshotEach raft.Index // entries between two; 0: none
	KeepEntries  raft.Index // that stay behind a snapshot, at most
	StreamBreak  float64

	// Clients.
	Clients    int
	ClientEach Time // time between two events of clients, at most
	Batch      int  // proposals of one event, at most
	BodyBytes  int
	Reads      float64
	Retry      float64 // a command whose outcome is open is proposed again
	ApplyDelay Time
	ApplyBytes int

	Tune float64 // per fault event: a driver tells what it has measured

	Odd Odd
}

// draw makes the world of a seed.
func draw(seed uint64) Knobs {
	main, odd, tuning := schedule.NewStream(seed, 0), schedule.NewStream(seed, 5), schedule.NewStream(seed, 7)
	k := drawKnobs(&main)
	k.drawOdd(&odd)
	k.drawTuning(&tuning)
	return k
}

// drawKnobs draws all but what drawOdd does.
func drawKnobs(r *schedule.Stream) Knobs {
	maybe := func(least, most float64) float64 {
		if r.Intn(2) == 0 {
			return 0
		}
		return r.LogUniform(least, most)
	}
	k := Knobs{
		Nodes: 3, Events: int(r.LogUniform(4_000, 80_000)), Span: 600 * Election,
		Loss: maybe(0.001, 0.3), Dup: maybe(0.001, 0.5), Heavy: maybe(0.0005, 0.02),
		MinDelay: Time(r.LogUniform(1e4, 5e6)), MoreDelay: Time(r.LogUniform(1e4, 5e7)), Reorder: r.Intn(2) == 0,
		Unreachable: maybe(0.05, 1), Mangle: maybe(0.0001, 0.01),
		DiskDelay: Time(r.LogUniform(1e4, 5e7)), DiskSlow: maybe(0.001, 0.1), DiskHang: maybe(0.0001, 0.003), DropLazy: maybe(0.05, 1),
		Crash: maybe(0.02, 0.5), CrashInside: maybe(0.00003, 0.001), Pause: maybe(0.02, 0.3), Down: Time(r.LogUniform(1e7, 1e10)),
		Mute: maybe(0.1, 1), Doom: maybe(0.1, 1), DoomWithin: Time(r.LogUniform(1e6, 2e8)),
		Lazy: maybe(0.05, 0.7), LazyFor: Time(r.LogUniform(1e5, 5e8)), Volatile: r.Intn(2) == 0,
		FaultEvery: Time(r.LogUniform(5e7, 2e9)), Cuts: maybe(0.1, 0.9), Campaign: maybe(0.01, 0.1),
		Clients: 1 + r.Intn(16), ClientEach: Time(r.LogUniform(1e6, 2e8)), Batch: 1 + r.Intn(4), BodyBytes: r.Intn(80),
		Reads: maybe(0.05, 0.7), Retry: maybe(0.1, 0.9), ApplyDelay: Time(r.LogUniform(1e4, 5e7)), ApplyBytes: 1 + r.Intn(4000),
	}
	k.Changes, k.Transfers, k.Priorities = maybe(0.05, 0.8), maybe(0.05, 0.5), r.Intn(4) == 0
	if r.Intn(3) > 0 {
		k.SnapshotEach, k.KeepEntries, k.StreamBreak = raft.Index(r.LogUniform(3, 300)), raft.Index(r.Intn(40)), maybe(0.05, 0.5)
	}
	if r.Intn(2) == 0 {
		k.SkewPPM = r.Between(100, 100_000)
	}
	switch r.Intn(12) {
	case 0:
		k.Nodes = 1
	case 1:
		k.Nodes = 2
	case 2, 3:
		k.Nodes = 4
	case 4, 5, 6:
		k.Nodes = 5
	case 7:
		k.Nodes = 7
	}
	k.drawCore(r)
	k.drawLate(r)
	if r.Intn(10) == 0 {
		k.figure8(r)
	}
	return k
}

// drawCore chooses limits and switches: the defaults, or so small that all of them
// are met.
func (k *Knobs) drawCore(r *schedule.Stream) {
	c := &k.Core
	c.ElectionTimeout = Election
	c.Heartbeat = Election / Time(r.Between(3, 20))
	c.ApplyDurable = !k.Volatile
	if r.Intn(2) == 0 {
		c.MaxAppendBytes = 1 + r.Intn(600)
		c.MaxInflightAppends = 1 + r.Intn(6)
		c.MaxInflightBytes = 200 + r.Intn(2000)
		c.MaxUncommittedBytes = 500 + r.Intn(8000)
		c.MaxPendingReads = 1 + r.Intn(8)
		c.MaxPinnedEntries = 1 + r.Intn(60)
	}
	c.TailBytes = 1 + r.Intn(16_000)
	c.DisablePreVote = r.Intn(5) == 0
	c.DisableCheckQuorum = r.Intn(8) == 0
}

// drawLate chooses what only makes sense with the rest known.
func (k *Knobs) drawLate(r *schedule.Stream) {
	c := &k.Core
	if r.Intn(3) == 0 && !c.DisableCheckQuorum {
		c.ClockBound = Election * Time(r.Between(5, 400)) / 1000
		k.SkewPPM = min(k.SkewPPM, int64(c.ClockBound*9/10*million/Election))
	}
	if r.Intn(4) == 0 {
		c.QuiesceAfter = Election * Time(r.Between(1, 12)) / 4
		k.ClientEach = max(k.ClientEach, Time(r.LogUniform(5e7, 5e9)))
		k.Events, k.Wake = min(k.Events, 20_000), 0.05
	}
	if k.Nodes >= 3 && r.Intn(4) == 0 {
		k.Damage, k.Changes, k.Crash = r.LogUniform(0.05, 1), 0, max(k.Crash, 0.1)
	}
}

// figure8 makes a world in which leaders fall again and again while entries of
// older terms are still on their way, one at a time.
func (k *Knobs) figure8(r *schedule.Stream) {
	k.Nodes, k.Loss, k.Dup, k.Heavy, k.Lazy, k.Reorder, k.DiskSlow, k.DiskHang = 3+2*r.Intn(2), 0, 0, 0, 0, false, 0, 0
	k.MinDelay, k.MoreDelay, k.DiskDelay = millisecond, 5*millisecond, 5*millisecond
	k.Doom, k.DoomWithin, k.Halfway = 1, Time(r.Between(5, 60))*millisecond, 0.5
	k.Cuts, k.FaultEvery, k.Down = 1, Election/6, 2*Election
	k.Core.MaxAppendBytes = 1
}
