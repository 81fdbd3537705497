package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

func command(client uint32, sequence uint64, padding string) []byte {
	b := binary.BigEndian.AppendUint32(nil, client)
	b = binary.BigEndian.AppendUint64(b, sequence)
	return append(b, padding...)
}

// applyAll applies commands, one batch each, and returns the answers.
func applyAll(t *testing.T, m *machine, commands ...[]byte) (answers []string) {
	t.Helper()
	for _, c := range commands {
		results := make([]engine.Result, 1)
		b := engine.Batch{Commands: []engine.Command{{Index: m.state.Index + 1, Term: 1, Data: c}}}
		if err := m.Apply(b, results); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(results[0].Data))
	}
	return answers
}

func ask(t *testing.T, m *machine, q string) string {
	t.Helper()
	answer, err := m.Query([]byte(q))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestMachineKeepsWhatEachClientDid(t *testing.T) {
	m := new(machine)
	answers := applyAll(t, m,
		command(7, 1, "x"), command(7, 2, ""), command(2, 1, "y"), command(7, 4, ""), // 3 never comes
		command(7, 2, "again"), []byte("short"), command(maxClients, 1, ""), command(1, math.MaxUint64, ""))
	want := []string{"", "", "", "", "duplicate", "refused", "refused", "refused"}
	if fmt.Sprint(answers) != fmt.Sprint(want) {
		t.Errorf("answers %q, want %q", answers, want)
	}
	for q, want := range map[string]string{
		"client 7": "1..3 4..5", "client 2": "1..2", "client 3": "", "client 9999": "", "count": "8",
		"clients 0": "2 1..2\n7 1..3 4..5\n", "clients 3": "7 1..3 4..5\n", "clients 8": "",
	} {
		if got := ask(t, m, q); got != want {
			t.Errorf("%s: %q, want %q", q, got, want)
		}
	}
	s, err := parseState([]byte(ask(t, m, "state")))
	if err != nil || s != m.state || s.Commands != 8 || s.Duplicates != 1 || s.Refused != 3 || s.Index != 8 {
		t.Errorf("state %+v, %v", s, err)
	}
	if want := fmt.Sprintf("%016x", s.Hash); ask(t, m, "hash") != want {
		t.Errorf("hash %s, want %s", ask(t, m, "hash"), want)
	}
	for _, q := range []string{"", "client", "client x", "client -1", "clients 99999999999", "nonsense"} {
		if answer, err := m.Query([]byte(q)); err == nil {
			t.Errorf("query %q was answered %q", q, answer)
		}
	}
}

// Every way in which two members may differ gives them different hashes.
func TestMachineHashTellsHistoriesApart(t *testing.T) {
	base := [][]byte{command(1, 1, "aa"), command(2, 1, "bb"), command(1, 2, "cc")}
	histories := map[string][][]byte{
		"base":    base,
		"order":   {base[1], base[0], base[2]},
		"dropped": {base[0], base[2]},
		"twice":   {base[0], base[1], base[1], base[2]},
		"a byte":  {base[0], command(2, 1, "bc"), base[2]},
		"shorter": {base[0], command(2, 1, "b"), base[2]},
		"cut":     base[:2],
		"empty":   nil,
		"nul":     {base[0], base[1], base[2], nil},
	}
	seen := map[uint64]string{}
	for name, commands := range histories {
		m := new(machine)
		applyAll(t, m, commands...)
		if other, ok := seen[m.state.Hash]; ok {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[m.state.Hash] = name
		again := new(machine)
		applyAll(t, again, commands...)
		if again.state != m.state {
			t.Errorf("%q: two machines differ: %+v, %+v", name, m.state, again.state)
		}
	}
}

func TestMachineDropsOneCommandWhenTold(t *testing.T) {
	m := &machine{drop: true}
	applyAll(t, m, []byte("short"), command(1, 1, ""), command(1, 2, ""), command(1, 3, ""))
	if got := ask(t, m, "client 1"); got != "2..4" {
		t.Errorf("applied %q, want 2..4", got)
	}
}

// All pages together hold every client once.
func TestMachinePages(t *testing.T) {
	m := new(machine)
	const clients = 20000
	for id := range uint32(clients) {
		for _, n := range []uint64{math.MaxUint32 + 1, math.MaxUint32 + 3} {
			applyAll(t, m, command(id, n, ""))
		}
	}
	lines, pages := 0, 0
	for q := "clients 0"; q != ""; pages++ {
		answer := ask(t, m, q)
		if len(answer) > 2*maxAnswerBytes {
			t.Fatalf("%s: %d bytes", q, len(answer))
		}
		q = ""
		for line := range strings.Lines(answer) {
			if next, ok := strings.CutPrefix(line, "next "); ok {
				q = "clients " + strings.TrimSpace(next)
				continue
			}
			if want := fmt.Sprintf("%d 4294967296..4294967297 4294967298..4294967299\n", lines); line != want {
				t.Fatalf("line %q, want %q", line, want)
			}
			lines++
		}
	}
	if lines != clients || pages < 2 {
		t.Errorf("%d clients on %d pages, want %d on several", lines, pages, clients)
	}
}
