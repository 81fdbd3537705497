//go:build mutants

package raft

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// storyKill returns the first story in testdata that goes another way with the
// mutant, and where. The stories are about one rule each, so they notice what the
// random worlds meet too seldom.
func storyKill(t *testing.T, m mutant) string {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if why := tellStory(t, string(text), m); why != "" {
			return filepath.Base(path) + ": " + why
		}
	}
	return ""
}

// tellStory runs the commands of a script; a panic of a stage that has lost its way
// is a difference as well.
func tellStory(t *testing.T, text string, m mutant) (why string) {
	s := &stage{mutant: m}
	var at string
	defer func() {
		if r := recover(); r != nil {
			why = fmt.Sprintf("%s: %v", at, r)
		}
	}()
	for block := range strings.SplitSeq("\n"+text, "\n\n") {
		head, want, found := strings.Cut(block, "\n----\n")
		if !found {
			continue
		}
		lines := strings.Split(strings.TrimSpace(head), "\n")
		for len(lines) > 0 && strings.HasPrefix(lines[0], "#") {
			lines = lines[1:]
		}
		at = lines[0]
		cmd, args, err := datadriven.ParseLine(at)
		if err != nil {
			t.Fatal(err)
		}
		s.out.Reset()
		s.t, s.d = t, &datadriven.TestData{Cmd: cmd, CmdArgs: args, Input: strings.Join(lines[1:], "\n")}
		s.command()
		got := s.out.String()
		if got == "" {
			got = "ok\n"
		}
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			return at
		}
	}
	return ""
}

// TestStoriesWithoutMutant: the stories are what they are because of the rules.
func TestStoriesWithoutMutant(t *testing.T) {
	if why := storyKill(t, 0); why != "" {
		t.Fatal(why)
	}
}
