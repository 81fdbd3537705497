//go:build mutants

package engine

import "testing"

// M45: a member that expires sessions by its own clock, here one that is slower than the
// others', applies other commands than they do, and the comparison of members finds that.
func TestMutantThatExpiresByClockDies(t *testing.T) {
	slow := func(member int, m *machine) {
		ticks, used := 0, map[int64]int{}
		m.clock = func(session int64) bool {
			ticks += 1 + member
			idle := ticks - used[session]
			used[session] = ticks
			return idle > 400
		}
	}
	if err := membersApplyAlike(1, slow); err == nil {
		t.Error("nothing noticed it")
	} else {
		t.Log(err)
	}
}
