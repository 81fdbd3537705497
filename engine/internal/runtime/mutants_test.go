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
