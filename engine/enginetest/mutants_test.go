//go:build mutants

package enginetest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// TestTableOfMutants: all 52 of the test plan are there, each once or in variants, and
// a part of the table is hunted as a whole would be.
func TestTableOfMutants(t *testing.T) {
	all, err := enginetest.Mutants(enginetest.MutantHunt{Budget: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, v := range all {
		if v.Killed || v.Seeds > 0 || v.Where == "" || v.Name == "" || seen[v.ID] {
			t.Errorf("%+v", v)
		}
		if i > 0 && v.ID < all[i-1].ID {
			t.Errorf("%s after %s", v.ID, all[i-1].ID)
		}
		seen[v.ID] = true
	}
	for k := 1; k <= 52; k++ {
		id := fmt.Sprintf("M%02d", k)
		if seen[id] == seen[id+"a"] || seen[id+"a"] != seen[id+"b"] {
			t.Errorf("%s is missing, or there twice", id)
		}
	}
	h := enginetest.MutantHunt{Seeds: 1, Budget: time.Minute, Part: 1, Parts: 40}
	some, err := enginetest.Mutants(h)
	if err != nil || len(some) != 2 || some[0].ID != all[1].ID || some[1].ID != all[41].ID || !slices.ContainsFunc(some, func(v enginetest.MutantVerdict) bool { return v.Killed }) {
		t.Errorf("%+v, %v", some, err)
	}
}
