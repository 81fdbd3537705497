package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/seed-814fcd60/raftwire/engine"
)

// A snapshot of the machine: the state as the query gives it on a line, then for each
// client that has applied anything its id, the number of its ranges and their ends, all
// as uvarints.

// Snapshot implements engine.StateMachine. The copy costs what the clients' ranges take,
// which is little: clients number their commands without gaps.
func (m *machine) Snapshot() (engine.Snapshot, error) {
	b := append(m.state.append(nil), '\n')
	for id, set := range m.clients {
		if len(set) == 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(id))
		b = binary.AppendUvarint(b, uint64(len(set)))
		for _, r := range set {
			b = binary.AppendUvarint(b, r.Lo)
			b = binary.AppendUvarint(b, r.Hi)
		}
	}
	return engine.BytesSnapshot(b), nil
}

// Restore implements engine.StateMachine.
func (m *machine) Restore(r io.Reader) error {
	in := bufio.NewReader(r)
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("raftbench: restore: %w", err)
	}
	restored := machine{}
	if restored.state, err = parseState([]byte(line)); err != nil {
		return err
	}
	for {
		id, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			restored.drop, restored.batches, restored.counters = m.drop, m.batches, m.counters
			*m = restored
			return nil
		}
		if err == nil {
			err = restored.restoreClient(in, id)
		}
		if err != nil {
			return fmt.Errorf("raftbench: restore: %w", err)
		}
	}
}

func (m *machine) restoreClient(in *bufio.Reader, id uint64) error {
	n, err := binary.ReadUvarint(in)
	if err != nil || id >= maxClients || n > maxSpans || id < uint64(len(m.clients)) {
		return errors.Join(err, fmt.Errorf("client %d with %d ranges", id, n))
	}
	for uint64(len(m.clients)) <= id {
		m.clients = append(m.clients, nil)
	}
	set := make(spans, 0, min(n, 1024))
	for range n {
		lo, err := binary.ReadUvarint(in)
		if err != nil {
			return err
		}
		hi, err := binary.ReadUvarint(in)
		if err != nil {
			return err
		}
		set = append(set, span{lo, hi})
	}
	m.clients[id] = set
	m.spans += len(set)
	return nil
}
