package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// A machine that was restored answers as the one whose snapshot it got, and goes on
// from there; half a snapshot is refused.
func TestMachineIsRestored(t *testing.T) {
	var m machine
	command := func(client uint32, sequence uint64) engine.Command {
		return engine.Command{Data: binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, client), sequence)}
	}
	for _, c := range []engine.Command{command(3, 1), command(3, 2), command(3, 9), command(7, 1), command(7, 1), {Data: []byte("short")}} {
		m.apply(&c)
	}
	s, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var other machine
	if err := other.Restore(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"state", "clients 0"} {
		want, _ := m.Query([]byte(q))
		if got, err := other.Query([]byte(q)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v, want %q", q, got, err, want)
		}
	}
	if again := command(3, 9); string(other.apply(&again)) != string(answerDuplicate) {
		t.Error("what was applied before the snapshot is not known to be")
	}
	if err := new(machine).Restore(bytes.NewReader(b.Bytes()[:b.Len()-1])); err == nil {
		t.Error("half a snapshot was taken")
	}
}
