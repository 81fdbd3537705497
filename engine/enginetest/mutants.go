package enginetest

// MutantVerdict says what became of a seeded bug: a rule of the algorithm, of the
// driver or of the store that was left out on purpose, to see who notices.
type MutantVerdict struct {
	ID      string  `json:"id"`      // of the test plan's table: "M07"
	Name    string  `json:"name"`    // of the switch
	Killed  bool    `json:"killed"`  // a world noticed
	By      string  `json:"by"`      // the invariant, or what else objected
	Seeds   uint64  `json:"seeds"`   // worlds until then
	Seconds float64 `json:"seconds"` // on one processor
}
