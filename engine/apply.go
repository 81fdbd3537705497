package engine

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// machine feeds a StateMachine from the runtime: entries in, batches of commands out.
// Commands of a session pass the session table first.
//
//	entries   c  c  s1 noop s1 open c  c
//	              |  |       |   |
//	batches   [c c s1]       |   |  [c c]      a batch ends before a session opens or closes,
//	table          apply  again  opened         and where results might fill the table
type machine struct {
	sm     StateMachine
	disk   DiskStateMachine // sm, if it keeps its own state
	policy ApplyPolicy
	mutation
	sessions *session.Table

	next     int // entries before it have been taken
	commands []Command
	results  []Result // of commands[:fed]
	fed      int      // commands before it were given to sm
	stores   []stored // of commands from fed on
	room     int      // how many more of them
	outcomes []outcome
	meta     []KeyValue // of the batch under way, once it was asked for
	metaDone bool

	before    uint64 // the hash of the log before the entries at hand; 0: not known
	hashEvery Index  // 0: never
	hashes    hashes
	hashed    func(StateHash)   // told of each; nil: nobody is
	faulted   func(*ApplyFault) // likewise

	count   *counters
	pause   time.Duration // before the next attempt at a batch
	fault   atomic.Pointer[ApplyFault]
	payload raftpb.Payload
	limits  codec.Limits
}

// stored is a command whose result goes into the session table.
type stored struct {
	command    int
	id, serial int64
}

// outcome is what one who waits will be told, in order of the log.
type outcome struct {
	done    runtime.Completion
	command int // whose result it is; -1: result and err below
	result  Result
	err     error
}

// ApplyFault is the last error of a state machine's Apply.
type ApplyFault struct {
	Count uint64 // of errors so far
	Index Index  // first command of the batch that failed
	Err   error
}

// Apply implements runtime.Machine. Called again with the same entries after it
// returned a RetryError, it goes on where it was.
func (m *machine) Apply(entries []raft.Entry, first raft.Index, done []runtime.Completion) error {
	again := m.pause > 0
	if !again {
		m.reset()
	} else if err := m.flush(first + raft.Index(m.next) - 1); err != nil {
		return err
	}
	for ; m.next < len(entries); m.next++ {
		if m.room <= 0 { // the entry is not taken: nothing behind it was judged
			if err := m.flush(first + raft.Index(m.next) - 1); err != nil {
				return err
			}
		}
		index := first + raft.Index(m.next)
		if regular := m.hashEvery > 0 && (index-1)%m.hashEvery == 0 && index > 1; regular || m.hashes.wants(index-1) {
			if err := m.takeHash(regular, index-1, runtime.Chain(m.before, first, entries[:m.next])); err != nil {
				return err
			}
		}
		if err := m.take(&entries[m.next], index, done[m.next]); err != nil {
			return err
		}
	}
	return m.flush(first + raft.Index(len(entries)) - 1)
}

// Before implements runtime.ChainMachine.
func (m *machine) Before(chain uint64) { m.before = chain }

func (m *machine) reset() {
	clear(m.outcomes)
	m.outcomes = m.outcomes[:0]
	m.commands, m.stores, m.fed, m.next = m.commands[:0], m.stores[:0], 0, 0
	m.room = m.sessions.Room()
}

// takeHash hashes the state at index, which the entry before the next one has. A regular
// one is kept and compared.
func (m *machine) takeHash(regular bool, index Index, log uint64) error {
	if _, known := m.hashes.at(index); known {
		return nil
	}
	if err := m.flush(index); err != nil {
		return err
	}
	s, err := m.hash(index, log)
	if err != nil {
		return err
	}
	m.hashes.give(s)
	if !regular {
		return nil
	}
	m.hashes.add(s)
	if m.hashed != nil {
		m.hashed(s)
	}
	return nil
}

// take takes one entry in.
func (m *machine) take(e *raft.Entry, index Index, done runtime.Completion) error {
	switch e.Kind {
	case raftpb.EntryKindCommand:
		if _, err := m.payload.ParseCompact(e.Body, &m.limits); err != nil {
			return fmt.Errorf("entry %d: payload: %w", index, err)
		}
		if m.payload.Session.Set {
			m.judge(index, e.Term, done)
		} else {
			m.add(index, e.Term, done)
		}
	case raftpb.EntryKindSession:
		if err := m.flush(index - 1); err != nil {
			return err
		}
		return m.change(e, index, done)
	case raftpb.EntryKindNoop, raftpb.EntryKindConfig:
	default:
		// A newer version wrote it. Skipping would make this member differ.
		return fmt.Errorf("entry %d: unknown kind %d: this version cannot apply it", index, e.Kind)
	}
	return nil
}

// add puts the command of the payload into the batch.
func (m *machine) add(index Index, term Term, done runtime.Completion) {
	if done != nil {
		m.outcomes = append(m.outcomes, outcome{done: done, command: len(m.commands)})
	}
	m.commands = append(m.commands, Command{index, term, m.payload.Command})
}

// judge lets the session table decide what becomes of the command of the payload.
func (m *machine) judge(index Index, term Term, done runtime.Completion) {
	p := &m.payload
	id, serial := p.Session.Value, p.Serial.Value
	if m.expiresByClock(m, id) {
		m.sessions.Close(id)
	}
	v := m.sessions.Judge(index, term, id, serial, p.AckedBelow.Value)
	o := outcome{done: done, command: -1, result: Result{Index: v.Index, Term: v.Term}}
	switch v.Outcome {
	case session.Apply:
		m.stores = append(m.stores, stored{len(m.commands), id, serial})
		m.room--
		m.add(index, term, done)
		return
	case session.Pending:
		o.command = sort.Search(len(m.commands), func(i int) bool { return m.commands[i].Index >= v.Index })
	case session.Again:
		o.result.Data = bytes.Clone(v.Result) // the caller's; the table keeps its own
		if v.Dropped {
			o.err = &AppliedError{Index: v.Index, Term: v.Term, Cause: errResultNotKept}
		}
	case session.Expired:
		o.err = ErrSessionExpired
	case session.Outside:
		o.err = &SerialError{Session: id, Serial: serial, First: v.First, Last: v.Last}
	}
	if done != nil {
		if v.Outcome == session.Expired || v.Outcome == session.Outside {
			m.count.sessionRefusals.Add(1)
		} else {
			m.count.sessionAnswers.Add(1)
		}
		m.outcomes = append(m.outcomes, o)
	}
}

// change opens or closes a session.
func (m *machine) change(e *raft.Entry, index Index, done runtime.Completion) error {
	var c raftpb.SessionChange
	if _, err := c.ParseCompact(e.Body, &m.limits); err != nil {
		return fmt.Errorf("entry %d: session change: %w", index, err)
	}
	o := outcome{done: done, command: -1, result: Result{Index: index, Term: e.Term}}
	switch c.Kind {
	case raftpb.SessionChangeKindOpen:
		var limits raftpb.SessionLimits
		if c.Limits != nil {
			limits = *c.Limits
		}
		m.sessions.Open(index, limits)
		if done != nil {
			m.count.sessionsOpened.Add(1)
		}
	case raftpb.SessionChangeKindClose:
		if !m.sessions.Close(c.Session.Value) {
			o.err = ErrSessionExpired
		}
	default:
		return fmt.Errorf("entry %d: unknown session change %d: this version cannot apply it", index, c.Kind)
	}
	m.room = m.sessions.Room()
	if done != nil {
		m.outcomes = append(m.outcomes, o)
	}
	return nil
}

// flush gives the commands taken since the last one to the machine, whose state then
// covers the log up to last.
func (m *machine) flush(last Index) error {
	batch := Batch{Commands: m.commands[m.fed:], Last: last, machine: m}
	if len(batch.Commands) == 0 && (m.disk == nil || !m.sessions.Changed()) {
		m.pause = 0
		return nil
	}
	for len(m.results) < len(m.commands) {
		m.results = append(m.results, Result{})
	}
	results := m.results[m.fed:len(m.commands)]
	clear(results)
	if err := m.sm.Apply(batch, results); err != nil {
		if err = m.failed(batch, results, err); err != nil {
			return err
		}
	}
	if m.disk != nil && !m.metaDone {
		return errors.New("state machine: apply: a machine on disk did not call Batch.Meta")
	}
	m.store(results)
	m.fed, m.pause, m.meta, m.metaDone = len(m.commands), 0, nil, false
	m.room = m.sessions.Room()
	return nil
}

// store puts the results of the batch under way into the session table.
func (m *machine) store(results []Result) {
	for _, s := range m.stores {
		m.sessions.Store(s.id, s.serial, results[s.command-m.fed].Data)
	}
	m.stores = m.stores[:0]
}

// storeMeta is Batch.Meta.
func (m *machine) storeMeta(results []Result) []KeyValue {
	if m.disk == nil || m.metaDone {
		return m.meta
	}
	m.metaDone = true
	m.store(results)
	m.sessions.Changes(func(key, value []byte) {
		m.meta = append(m.meta, KeyValue{append([]byte{metaPrefix}, key...), value})
	})
	return m.meta
}

// The pauses between attempts at a batch.
const (
	minApplyPause = 10 * time.Millisecond
	maxApplyPause = time.Second
)

// failed does what the policy says about a batch that failed of cause.
func (m *machine) failed(b Batch, results []Result, cause error) error {
	m.report(b, cause)
	switch m.policy {
	case Retry:
		m.pause = min(max(2*m.pause, minApplyPause), maxApplyPause)
		return &runtime.RetryError{After: m.pause, Err: cause}
	case Skip:
		m.applySingly(b, results)
		return nil
	}
	return fmt.Errorf("state machine: apply up to %d: %w", b.Last, cause)
}

func (m *machine) report(b Batch, cause error) {
	m.count.applyFaults.Add(1)
	f := &ApplyFault{Count: 1, Err: cause, Index: b.Last}
	if len(b.Commands) > 0 {
		f.Index = b.Commands[0].Index
	}
	if was := m.fault.Load(); was != nil {
		f.Count += was.Count
	}
	m.fault.Store(f)
	if m.faulted != nil {
		m.faulted(f)
	}
}

// applySingly leaves out the commands of b that fail alone. In their sessions they
// count as applied without a result: a retry is told the same.
func (m *machine) applySingly(b Batch, results []Result) {
	for i := range b.Commands {
		one := Batch{Commands: b.Commands[i : i+1], Last: b.Commands[i].Index, machine: m}
		clear(results[i : i+1])
		err := m.sm.Apply(one, results[i:i+1])
		if err == nil {
			continue
		}
		m.report(one, err)
		m.skip(m.fed+i, &ApplyError{Index: one.Last, Term: one.Commands[0].Term, Cause: err})
	}
}

// skip tells those who wait for a command that it was left out.
func (m *machine) skip(command int, err error) {
	for k := range m.outcomes {
		if m.outcomes[k].command == command {
			m.outcomes[k].command, m.outcomes[k].err = -1, err
		}
	}
	for k, s := range m.stores {
		if s.command == command {
			m.sessions.Drop(s.id, s.serial)
			m.stores = append(m.stores[:k], m.stores[k+1:]...)
			return
		}
	}
}

// Complete implements runtime.Machine.
func (m *machine) Complete() {
	for i := range m.outcomes {
		o := &m.outcomes[i]
		if o.command >= 0 {
			c := &m.commands[o.command]
			o.result = Result{c.Index, c.Term, m.results[o.command].Data}
		}
		if o.err != nil {
			o.result = Result{}
		}
		o.done.(*proposal).complete(o.result, o.err)
	}
	clear(m.outcomes)
	m.outcomes = m.outcomes[:0]
}
