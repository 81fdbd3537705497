package oracle

import "fmt"

// Effect is one command of a session as the state machine executed it, in the order
// in which it did.
type Effect struct {
	Session, Serial int64
	Result          string // what the client is to be told
}

// Sessions checks that each command of a session takes effect exactly once, whatever
// its client repeated. It finds:
//
//	form        attempts of one command that ask for different things
//	retry       two answers to one command that differ
//	result      an answer that is not what the effect gave
//	phantom     an effect of a command that nobody sent, or that failed
//	duplicate   a second effect of a command
//	lost        an acknowledged command without an effect
//	order       an effect behind one of a higher serial of its session
//
// Effects are those of one state machine from the beginning to the end; nil: only
// what the history alone shows is checked. Get operations need no effect.
func Sessions(history []Op, effects []Effect) []Violation {
	s := sessions{history: history, commands: make(map[command]*attempts), highest: make(map[int64]int64)}
	for i := range history {
		if history[i].Session != 0 {
			s.attempt(i)
		}
	}
	if effects == nil {
		return s.found
	}
	for _, e := range effects {
		s.effect(e)
	}
	for _, c := range s.order {
		a := s.commands[c]
		if a.answered >= 0 && a.effects == 0 && history[a.first].Kind != Get {
			s.report("lost", a.answered, "%v was acknowledged and had no effect", &history[a.answered])
		}
	}
	return s.found
}

type sessions struct {
	history  []Op
	commands map[command]*attempts
	order    []command       // as they were first sent
	highest  map[int64]int64 // per session, the highest serial that took effect
	found    []Violation
}

// attempts at one command: the first one, one that was answered (-1: none), one that
// is not known to have failed.
type attempts struct {
	first, answered, open int
	effects               int
}

func (s *sessions) report(check string, at int, format string, args ...any) {
	v := Violation{Check: check, Sentence: fmt.Sprintf(format, args...), Op: at, Other: -1}
	if at >= 0 {
		v.Key, v.Process = s.history[at].Key, s.history[at].Process
	}
	s.found = append(s.found, v)
}

// attempt takes in an operation and compares it with the others of its command.
func (s *sessions) attempt(i int) {
	o := &s.history[i]
	c := command{o.Session, o.Serial}
	a := s.commands[c]
	if a == nil {
		a = &attempts{first: i, answered: -1, open: -1}
		s.commands[c] = a
		s.order = append(s.order, c)
	}
	first := &s.history[a.first]
	if o.Kind != first.Kind || o.Key != first.Key || o.Value != first.Value || o.Expect != first.Expect || o.ExpectAbsent != first.ExpectAbsent {
		s.report("form", i, "%v and %v are one command and ask for different things", o, first)
	}
	if o.Status != Fail {
		a.open = i
	}
	if o.Status != OK {
		return
	}
	if a.answered < 0 {
		a.answered = i
		return
	}
	if was := &s.history[a.answered]; o.Result != was.Result || o.Found != was.Found || o.Swapped != was.Swapped {
		s.report("retry", i, "%v was answered differently before: %v", o, was)
		s.found[len(s.found)-1].Other = a.answered
	}
}

// effect takes in what the state machine did next.
func (s *sessions) effect(e Effect) {
	a := s.commands[command{e.Session, e.Serial}]
	if a == nil {
		s.report("phantom", -1, "serial %d of session %d took effect and nobody sent it", e.Serial, e.Session)
		return
	}
	a.effects++
	switch {
	case a.effects > 1:
		s.report("duplicate", a.first, "%v took effect %d times", &s.history[a.first], a.effects)
	case a.open < 0:
		s.report("phantom", a.first, "%v failed and took effect", &s.history[a.first])
	case a.answered >= 0 && s.history[a.answered].Result != e.Result:
		s.report("result", a.answered, "%v was answered with %q; its effect gave %q", &s.history[a.answered], s.history[a.answered].Result, e.Result)
	}
	if e.Serial < s.highest[e.Session] {
		s.report("order", a.first, "%v took effect behind serial %d", &s.history[a.first], s.highest[e.Session])
	}
	s.highest[e.Session] = max(s.highest[e.Session], e.Serial)
}
