package bare

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// trouble is a kind of fault that a world can do without.
type trouble uint8

const (
	loss trouble = iota
	duplicate
	late
	mangle
	forge
	streamBreak
	streamHang
	diskSlow
	diskHang
	dropLazy
	toldLate
	toldTwice
	crash
	crashInside
	newLeader
	halfway
	mute
	pause
	cut
	campaign
	wake
	change
	transfer
	treachery
	spurious
	storeFail
	scratch
	damage
	scheme
	tuned
	troubles
)

//nolint:gochecknoglobals // a table that is only read
var troubleNames = [troubles]string{
	"loss", "duplicate", "late", "mangle", "forge", "stream-break", "stream-hang", "disk-slow", "disk-hang", "drop-lazy",
	"told-late", "told-twice", "crash", "crash-inside", "new-leader", "halfway", "mute", "pause", "partition", "campaign",
	"wake", "change", "transfer", "treachery", "spurious", "store-fail", "scratch", "damage", "plot", "tune",
}

// rates are how often each kind of trouble comes about.
func (k *Knobs) rates() [troubles]*float64 {
	o := &k.Odd
	return [troubles]*float64{
		loss: &k.Loss, duplicate: &k.Dup, late: &k.Heavy, mangle: &k.Mangle, forge: &o.Forge,
		streamBreak: &k.StreamBreak, streamHang: &o.Hang, diskSlow: &k.DiskSlow, diskHang: &k.DiskHang, dropLazy: &k.DropLazy,
		toldLate: &o.TellLate, toldTwice: &o.TellTwice, crash: &k.Crash, crashInside: &k.CrashInside, newLeader: &k.Doom,
		halfway: &k.Halfway, mute: &k.Mute, pause: &k.Pause, cut: &k.Cuts, campaign: &k.Campaign, wake: &k.Wake,
		change: &k.Changes, transfer: &k.Transfers, treachery: &o.Treachery, spurious: &o.Spurious, storeFail: &o.StoreFail,
		scratch: &o.Scratch, damage: &k.Damage, scheme: &o.Plots, tuned: &k.Tune,
	}
}

// leaveOut takes kinds of trouble away, by their names.
func (k *Knobs) leaveOut(names []string) {
	for t, rate := range k.rates() {
		if slices.Contains(names, troubleNames[t]) {
			*rate = 0
		}
	}
}

// faults counts single troubles, and leaves some of them out.
type faults struct {
	skip   []sim.Range
	count  uint64 // that struck or would have
	struck [troubles]uint64
}

// strikes draws from s whether a trouble comes about, which does at this rate. One that
// is skipped has drawn the same.
func (w *World) strikes(t trouble, rate float64, s *schedule.Stream) bool {
	return s.Chance(rate) && w.faults.counts(t)
}

// counts notes a trouble that is to come about; false: it is one that is left out.
func (f *faults) counts(t trouble) bool {
	at := f.count
	f.count++
	for len(f.skip) > 0 && at >= f.skip[0].To {
		f.skip = f.skip[1:]
	}
	if len(f.skip) > 0 && at >= f.skip[0].From {
		return false
	}
	f.struck[t]++
	return true
}

// Troubles is how many single troubles there were that Options.Skip can leave out, and
// how many of each kind came about.
func (w *World) Troubles() (all uint64, kinds sim.Counts) {
	kinds = sim.Counts{}
	for t, n := range w.faults.struck {
		kinds.Add(troubleNames[t], n)
	}
	return w.faults.count, kinds
}
