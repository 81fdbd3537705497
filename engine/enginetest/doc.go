// Package enginetest runs clusters in virtual time, with everything going wrong that
// can: for the project's own tests and command raftsim, and for your state machine.
//
// Network and Cluster are for tests with real hosts, goroutines and clocks.
//
// A run of Simulate, Machine and Run follows from its seed, bit for bit. It has a phase of faults (lost, late and
// repeated messages, partitions, crashes that keep an arbitrary part of what was not
// synced, full and failing disks, clocks that drift, pauses) in which no invariant may
// break, and a phase in which the cluster must recover.
package enginetest

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
)

// What runs are asked for and tell.
type (
	// Options of one run: a seed, and what to leave out of it.
	Options = sim.Options
	// Range is a half-open range of single troubles.
	Range = sim.Range
	// Line is one thing that happened in a run.
	Line = sim.Line
	// Report is what a run tells.
	Report = sim.Report
	// Failure is why a run is red.
	Failure = sim.Failure
	// Counts are how often what happened, by name.
	Counts = sim.Counts
)
