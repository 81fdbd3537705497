//go:build mutants

package runtime

import "testing"

// M28: the log goes before the snapshot is durable. The crash test finds it.
func TestMutantDies(t *testing.T) {
	if err := crashes(t, mutCompactEarly, false, 4); err == nil {
		t.Error("nothing noticed it")
	} else {
		t.Log(err)
	}
}

// M56: what a member gives for a damaged entry is stored unchecked. The test of what fits
// finds it.
func TestMutantThatRepairsUncheckedDies(t *testing.T) {
	if err := wrongEntries(t, mutRepairUnchecked); err == nil {
		t.Error("nothing noticed it")
	} else {
		t.Log(err)
	}
}
