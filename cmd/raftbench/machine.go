package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"strconv"

	"github.com/seed-814fcd60/raftwire/engine"
)

// A command of the benchmark:
//
//	+------------+--------------+---------------------------+
//	| client u32 | sequence u64 | padding: random, any size |   big-endian
//	+------------+--------------+---------------------------+
const (
	commandHeaderBytes = 12

	// maxClients bounds client ids, and so what a machine keeps for them.
	maxClients = 1 << 16
	// maxSpans bounds the gaps that all clients of a machine may leave together.
	maxSpans = 1 << 20
	// maxAnswerBytes ends a page of the query "clients".
	maxAnswerBytes = 256 << 10
)

// The answers to commands. An empty one says: applied.
var (
	answerDuplicate = []byte("duplicate")
	answerRefused   = []byte("refused")
)

// machine is the state machine under load. It knows of every client which sequence
// numbers it has applied, and hashes all command bytes in order: members that have
// applied the same log have the same hash.
//
// Queries are text, for every client that speaks RaftClient.Read:
//
//	hash            the hash, 16 hexadecimal digits
//	count           commands applied
//	state           index=I commands=N duplicates=N refused=N hash=H, as of one moment
//	applied ID      how many commands of the client were applied
//	counters        what the node has counted and used, as JSON
//	client ID       the sequence numbers applied: half-open ranges, "1..5 7..9"
//	clients FROM    one line "ID ranges" per client from FROM on; where the answer
//	                would grow too long, "next ID" follows instead of the rest
//
// The engine calls it from one goroutine at a time, so it needs no lock.
type machine struct {
	state   machineState
	clients []spans // by client id
	spans   int     // in all clients
	drop    bool    // forget the next command: the fault that --test-drop-apply makes
	// batches and counters are the node's, not state: the sizes of batches applied, and the
	// answer to the query "counters". Either may be nil.
	batches  *batchRecorder
	counters func() ([]byte, error)
}

// machineState is what two members at the same index must agree on.
type machineState struct {
	Index      engine.Index // of the last command applied
	Commands   uint64       // applied, duplicates and refused ones included
	Duplicates uint64       // of a client and sequence that was there before
	Refused    uint64       // too short, client id too high, too many gaps
	Hash       uint64
}

// Apply implements engine.StateMachine.
func (m *machine) Apply(b engine.Batch, results []engine.Result) error {
	m.batches.record(len(b.Commands))
	for i := range b.Commands {
		results[i].Data = m.apply(&b.Commands[i])
	}
	return nil
}

func (m *machine) apply(c *engine.Command) []byte {
	if m.drop && len(c.Data) >= commandHeaderBytes {
		m.drop = false
		return nil
	}
	s := &m.state
	s.Index = c.Index
	s.Commands++
	s.Hash = chainHash(s.Hash, c.Data)
	if len(c.Data) < commandHeaderBytes {
		s.Refused++
		return answerRefused
	}
	client, sequence := binary.BigEndian.Uint32(c.Data), binary.BigEndian.Uint64(c.Data[4:])
	if client >= maxClients || sequence == math.MaxUint64 || m.spans >= maxSpans { // the last one has no half-open range
		s.Refused++
		return answerRefused
	}
	for int(client) >= len(m.clients) {
		m.clients = append(m.clients, nil)
	}
	set := &m.clients[client]
	before := len(*set)
	if !set.add(sequence) {
		s.Duplicates++
		return answerDuplicate
	}
	m.spans += len(*set) - before
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chainHash extends the hash of all commands so far by one more. The checksum sees
// every byte at the speed of the processor's own instruction for it; the rest makes
// order and length count.
func chainHash(hash uint64, command []byte) uint64 {
	sum := uint64(crc32.Checksum(command, castagnoli))
	hash = bits.RotateLeft64(hash, 23) ^ sum<<32 ^ uint64(len(command))
	return hash * 0x9e3779b97f4a7c15
}

// Query implements engine.StateMachine.
func (m *machine) Query(q []byte) ([]byte, error) {
	word, rest, _ := bytes.Cut(q, []byte(" "))
	switch string(word) {
	case "hash":
		return fmt.Appendf(nil, "%016x", m.state.Hash), nil
	case "count":
		return strconv.AppendUint(nil, m.state.Commands, 10), nil
	case "state":
		return m.state.append(nil), nil
	case "counters":
		if m.counters == nil {
			return nil, errors.New("raftbench: query: this node shares its process")
		}
		return m.counters()
	case "client", "clients", "applied":
		id, err := strconv.ParseUint(string(rest), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("raftbench: query: client id %q is not a number", rest)
		}
		return m.ofClient(string(word), id), nil
	}
	return nil, fmt.Errorf("raftbench: query: %q is not known: hash, count, state, counters, applied ID, client ID, clients FROM", word)
}

// ofClient answers the queries that name a client.
func (m *machine) ofClient(word string, id uint64) []byte {
	if word == "clients" {
		return m.page(id)
	}
	var set spans
	if id < uint64(len(m.clients)) {
		set = m.clients[id]
	}
	if word == "applied" {
		return strconv.AppendUint(nil, set.count(), 10)
	}
	return set.appendText(nil)
}

// page answers "clients FROM".
func (m *machine) page(from uint64) (b []byte) {
	for id := from; id < uint64(len(m.clients)); id++ {
		if len(b) > maxAnswerBytes {
			return fmt.Appendf(b, "next %d\n", id)
		}
		if len(m.clients[id]) == 0 {
			continue
		}
		b = strconv.AppendUint(b, id, 10)
		b = append(b, ' ')
		b = m.clients[id].appendText(b)
		b = append(b, '\n')
	}
	return b
}

const stateFormat = "index=%d commands=%d duplicates=%d refused=%d hash=%016x"

func (s *machineState) append(b []byte) []byte {
	return fmt.Appendf(b, stateFormat, s.Index, s.Commands, s.Duplicates, s.Refused, s.Hash)
}

// parseState reads the answer to "state".
func parseState(answer []byte) (s machineState, err error) {
	_, err = fmt.Sscanf(string(answer), stateFormat, &s.Index, &s.Commands, &s.Duplicates, &s.Refused, &s.Hash)
	if err != nil {
		return s, fmt.Errorf("raftbench: parse state %q: %w", answer, err)
	}
	return s, nil
}
