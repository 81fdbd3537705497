package model_test

import (
	"os"
	"strings"
	"testing"
)

// TestTheRulesFitIntoAHead: a specification is worth having while one can read it.
// The vocabulary of traces and the tree of logs, checked on its own, are not rules.
func TestTheRulesFitIntoAHead(t *testing.T) {
	const limit = 500
	lines := 0
	for _, file := range []string{"model.go", "election.go", "config.go", "replication.go", "crash.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(b), "raftpb\"\n") // the last import
		for line := range strings.Lines(strings.TrimPrefix(code, ")\n")) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	t.Logf("%d lines of code", lines)
	if lines == 0 || lines > limit {
		t.Errorf("%d lines of code, want at most %d", lines, limit)
	}
}
