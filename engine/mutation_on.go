//go:build mutants

package engine

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ noSessions bool }

// forgetsSessions (M27): the session table is not in the snapshot.
func (m mutation) forgetsSessions() bool { return m.noSessions }
