package world

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// Times of every world, in nanoseconds. All others are chosen in relation to them.
const (
	millisecond int64 = 1_000_000
	election          = 300 * millisecond // E, the election time-out
)

// trouble is a kind of fault. Each is absent in half of the worlds.
type trouble uint8

const (
	loss trouble = iota
	duplicate
	late // by up to 10 E
	corrupt
	reset // all that is under way on a link is lost, and its senders are told
	clog
	partition
	crash
	crashInside // of an effect list: the rest of it does not happen
	crashDisk   // at an operation of the disk
	crashBoot   // while the log is recovered
	crashLoop
	pause
	slow
	skew
	diskSlow
	diskHang
	diskError
	diskFull
	toldLate // a write is durable long before the node hears of it
	campaign
	newLeader // falls soon
	burst     // of proposals
	change    // of the members
	transfer  // of leadership
	upgrade   // to another version of the program
	future    // something that only the newer version understands
	stall     // a leader's disk hangs for as long as an election takes, or longer
	hush      // clients ask for nothing, so that groups fall asleep
	flip      // of a bit in the log, below a promise
	wipe      // of a store
	rollBack  // of a store, to what it was
	retune    // somebody measures something else than there is
	troubles
)

//nolint:gochecknoglobals // a table that is only read
var troubleNames = [troubles]string{
	"loss", "duplicate", "late", "corrupt", "reset", "clog", "partition", "crash", "crash-inside", "crash-disk",
	"crash-boot", "crash-loop", "pause", "slow", "skew", "disk-slow", "disk-hang", "disk-error", "disk-full", "told-late",
	"campaign", "new-leader", "burst",
	"change", "transfer", "upgrade", "future", "stall", "hush", "flip", "wipe", "roll-back", "retune",
}

// fatal reports whether the process ends.
func (t trouble) fatal() bool {
	switch t {
	case crash, crashInside, crashDisk, crashBoot, crashLoop, diskError, upgrade, flip, wipe, rollBack:
		return true
	default:
		return false
	}
}

// knobs are drawn once per seed.
type knobs struct {
	nodes  int
	groups int // of Raft, over one log and one set of links
	events uint64
	rate   [troubles]float64

	minDelay, moreDelay int64
	fifo                bool // a link delivers in order
	coded               bool // messages pass through a codec
	codec               int

	diskDelay  int64
	toldDelay  int64
	survival   float64 // of unsynced sectors
	pages      bool
	segment    int64 // bytes
	spares     int
	frame      int // bytes of a frame of the log at most
	serviceFor int64

	faultEvery int64
	downFor    int64
	skewPPM    int64

	heartbeat     int64
	disablePre    bool
	disableQuorum bool
	small         bool // limits of the core are so small that they are met
	tail          int

	clients   int
	thinkFor  int64
	timeout   int64
	keys      int
	bodyBytes int
	reads     float64 // share of client operations
	follower  float64 // share of reads that followers serve
	applyFor  int64
	outsiders int   // nodes that are no members at first
	snapEvery int64 // entries between snapshots; 0: none are taken
	snapKeep  int64 // entries of the log behind the newest
	chunk     int
	leases    float64 // share of reads that are tried by lease; 0: there are none
	lasting   bool    // state machines keep their state on disk
	session   sessionKnobs
	hardships
}

// draw makes the knobs of a seed. Every trouble has its own numbers, so that leaving
// one out changes no other.
func draw(seed uint64, without []string) knobs {
	s := schedule.NewStream(seed, 100)
	k := knobs{
		nodes: 3, events: uint64(s.LogUniform(12_000, 120_000)),
		minDelay: int64(s.LogUniform(1e4, 2e6)), moreDelay: int64(s.LogUniform(1e4, 2e7)),
		fifo: s.Chance(0.5), coded: s.Chance(0.25), codec: s.Intn(3),
		diskDelay: int64(s.LogUniform(2e4, 1e7)), toldDelay: int64(s.LogUniform(1e3, 1e6)),
		survival: []float64{0, 0.1, 0.5, 0.9, 1}[s.Intn(5)], pages: s.Chance(0.3),
		segment: []int64{16 << 10, 32 << 10, 128 << 10, 512 << 10}[s.Intn(4)], spares: s.Intn(3) - 1,
		frame: []int{4 << 10, 64 << 10, 4 << 20}[s.Intn(3)], serviceFor: int64(s.LogUniform(1e3, 2e5)),
		faultEvery: int64(s.LogUniform(1e8, 3e9)), downFor: int64(s.LogUniform(1e6, 3e9)),
		heartbeat: election / s.Between(3, 12), disablePre: s.Chance(0.15), disableQuorum: s.Chance(0.1),
		small: s.Chance(0.4), tail: 1 + s.Intn(1<<14),
		clients: 1 + s.Intn(12), thinkFor: int64(s.LogUniform(2e5, 3e7)), timeout: election * s.Between(1, 8),
		keys: 1 + s.Intn(12), bodyBytes: s.Intn(200), applyFor: int64(s.LogUniform(1e3, 1e6)),
		lasting: s.Chance(0.6),
	}
	if s.Chance(0.7) {
		k.reads = s.Float()
	}
	if s.Chance(0.6) {
		k.follower = s.Float()
	}
	if n := s.Intn(12); n < 7 {
		k.nodes = []int{1, 2, 4, 5, 5, 5, 7}[n]
	}
	if s.Chance(0.75) {
		k.snapEvery, k.snapKeep = int64(s.LogUniform(8, 800)), s.N(100)
	}
	k.chunk = 1024 << s.Intn(10)
	if s.Chance(0.6) {
		k.outsiders = 1 + s.Intn(2)
	}
	most := [troubles]float64{
		loss: 0.3, duplicate: 0.5, late: 0.02, corrupt: 0.02, crashInside: 0.0005, crashDisk: 0.002, crashBoot: 0.3,
		diskSlow: 0.1, diskHang: 0.002, diskError: 0.001, toldLate: 0.02, newLeader: 0.9,
	}
	for t := range troubles {
		own := schedule.NewStream(seed, 200+uint64(t))
		on, lo, hi := own.Chance(0.5), most[t]/300, most[t]
		if hi == 0 {
			lo, hi = 0.03, 1 // a weight among those that strike now and then
		}
		rate := own.LogUniform(lo, hi)
		if on && !slices.Contains(without, troubleNames[t]) {
			k.rate[t] = rate
		}
		if t == skew && k.rate[t] > 0 {
			k.skewPPM = own.Between(100, 100_000)
		}
	}
	if own := schedule.NewStream(seed, 300); own.Chance(0.3) && !k.disableQuorum {
		k.leases = own.Float()
	}
	k.groups = 1
	if own := schedule.NewStream(seed, 301); own.Chance(0.4) {
		k.groups = 2 + own.Intn(3)
	}
	k.drawSessions(seed)
	if own := schedule.NewStream(seed, 303); k.rate[upgrade] == 0 || own.Chance(0.4) {
		k.rate[upgrade], k.rate[future] = 0, 0
	} else {
		k.coded = true
	}
	k.drawHardships(seed, without)
	return k
}

// clockBound is the most that two clocks drift apart within half an election time-out.
func (k *knobs) clockBound() int64 {
	if k.leases == 0 {
		return 0
	}
	return millisecond + election/2*(2*k.skewPPM)/(1_000_000-k.skewPPM)
}
