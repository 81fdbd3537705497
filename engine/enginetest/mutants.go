package enginetest

import "time"

// MutantVerdict says what became of a seeded bug: a rule of the algorithm, of the
// driver or of the store that was left out on purpose, to see who notices.
type MutantVerdict struct {
	ID      string  `json:"id"`      // of the test plan's table: "M07", or "M20b" if there are several
	Name    string  `json:"name"`    // of the switch
	Where   string  `json:"where"`   // what it is a bug of: core, driver, log, session, ...
	Killed  bool    `json:"killed"`  // a world noticed
	By      string  `json:"by"`      // the invariant, or what else objected
	Seeds   uint64  `json:"seeds"`   // worlds until then
	Seconds float64 `json:"seconds"` // on one processor
}

// MutantHunt says how hard to look for seeded bugs, and for which.
type MutantHunt struct {
	Seeds  uint64        // worlds for each, at most
	Budget time.Duration // no new world for a bug after that
	// Only, if not empty, is the id of the bugs to look for: "M36" means all its variants.
	Only string
	// Part and Parts choose every Parts-th bug of the table, beginning with number Part
	// (from 0): another share each day finds all of them in Parts days. Parts <= 1: all.
	Part, Parts int
}
