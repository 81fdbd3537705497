//go:build mutants

package engine_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// M27: without the session table in it, a snapshot lets a command be applied twice, and
// the test of sessions finds that.
func TestMutantWithoutSessionsDies(t *testing.T) {
	if err := sessionSurvives(t, (*engine.Config).ForgetSessions); err == nil {
		t.Error("nothing noticed it")
	} else {
		t.Log(err)
	}
}

// M49: an engine that proposes a command again after an open outcome has it applied twice,
// and the test of plain proposals finds that.
func TestMutantThatRetriesProposalsDies(t *testing.T) {
	if err := plainProposalsAreSentOnce(t, (*engine.Config).RetryProposals); err == nil {
		t.Error("nothing noticed it")
	} else {
		t.Log(err)
	}
}
