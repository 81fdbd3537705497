package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// When more than half of a group's voters are gone for good, nothing in the group can tell what
// was committed, and it does nothing any more. An operator can decide to go on with those that
// are left:
//
//	all hosts stopped
//	Inspect         each directory that is left: what it certainly and possibly committed
//	PlanRecovery    of a group: who leads, who is in it from now on, what may be lost
//	Plan.Apply      to each of these directories: it raises the epoch of the cluster, so that
//	                nobody who is not among them can come back with what it knows
//	start           the group goes on
//
// What only nodes that are gone had acknowledged is lost, and readers may have seen it: this
// gives up the promises of the group once, knowingly. There is no other use for it.

// Inspection is what a data directory holds, read while its host does not run.
type Inspection struct {
	Dir         string
	Cluster     string
	Node        NodeID
	Incarnation int64
	Epoch       int64
	Groups      []GroupInspection // by rising id
}

// GroupInspection is what a data directory holds of a group.
type GroupInspection struct {
	Group GroupID
	Term  Term
	Vote  NodeID
	First Index // of the log
	Last  Index
	// LastTerm is the term of Last: of two logs the one with the higher one has more, of two with
	// the same the longer.
	LastTerm Term
	// Committed is certainly committed: so much this member was told of. What is behind it up to
	// Last is possibly committed, and some of it may have been acknowledged.
	Committed Index
	// Snapshot is the newest that may be intact, 0 if there is none.
	Snapshot Index
	// Configuration is in force as of Last.
	Configuration Configuration
	// Damaged are the entries that cannot be read, at most some thousand.
	Damaged []Index
	// Uncertain says that the log was damaged: what it shows may be an older state of itself.
	Uncertain bool
}

// Inspect reads the data directory of a host that does not run. It changes nothing in what the
// log says; like every start it finishes what a crash has left undone.
func Inspect(dir string) (Inspection, error) { return inspect(dir, wal.DefaultFS()) }

func inspect(dir string, fs wal.FS) (Inspection, error) {
	out := Inspection{Dir: dir}
	log, err := openOffline(dir, fs)
	if err != nil {
		return out, fmt.Errorf("engine: inspect: %w", err)
	}
	id := log.Identity()
	out.Cluster, out.Node, out.Incarnation = id.Cluster, id.Node, id.Incarnation
	peers, err := readPeers(fs, fs.PathJoin(dir, peersName))
	out.Epoch = peers.epoch
	images := snapshot.New(fs, fs.PathJoin(dir, "snapshot"), snapshot.Options{Keep: 2})
	for _, g := range log.Groups() {
		if err != nil {
			break
		}
		var one GroupInspection
		if one, err = inspectGroup(log.Group(g), images); err == nil {
			out.Groups = append(out.Groups, one)
		}
	}
	if err = errors.Join(err, log.Close()); err != nil {
		return out, fmt.Errorf("engine: inspect %s: %w", dir, err)
	}
	return out, nil
}

// openOffline opens the log of a host that does not run: its lock says so.
func openOffline(dir string, fs wal.FS) (*wal.Log, error) {
	if _, err := fs.Stat(fs.PathJoin(dir, "seg")); err != nil {
		return nil, err // a directory without a log: none is made
	}
	log, _, err := wal.Open(dir, wal.Options{FS: fs, Salvage: true, Spares: -1})
	return log, err
}

func inspectGroup(log *wal.Group, images *snapshot.Store) (GroupInspection, error) {
	hard := log.HardState()
	out := GroupInspection{
		Group: log.ID(), Term: hard.Term, Vote: hard.Vote, First: log.FirstIndex(), Last: log.LastIndex(),
		Committed: max(hard.Commit, log.FirstIndex()-1), Uncertain: log.Uncertain(),
	}
	var err error
	if out.LastTerm, err = log.Term(out.Last); err != nil && out.Last > 0 {
		return out, err
	}
	var conf raftpb.Configuration
	if s := log.Snapshot(); len(s.Data) > 0 {
		if _, err := conf.ParseCompact(s.Data, nil); err != nil {
			return out, err
		}
	}
	at := Index(0)
	store, err := images.Group(log.ID())
	if err != nil {
		return out, err
	}
	for _, m := range store.Images() {
		out.Snapshot = m.Index
		if len(m.Config.Incoming) > 0 {
			conf, at = m.Config, m.ConfigIndex
		}
	}
	changes, damaged, err := runtime.Scan(log, out.First, out.Last+1)
	if err != nil {
		return out, err
	}
	for _, c := range changes {
		if c.Index > at {
			conf, at = c.Configuration, c.Index
		}
	}
	for _, d := range damaged {
		out.Damaged = append(out.Damaged, d.Index)
	}
	out.Configuration = configurationOf(&conf, at)
	return out, nil
}

// Plan is how a group goes on after the loss of its quorum.
type Plan struct {
	Group   GroupID
	Cluster string
	Epoch   int64    // of the cluster, from now on
	Lead    NodeID   // has the most of the log, and leads first
	Term    Term     // in which it is made to
	Members []Member // from now on
	// Committed is certainly committed and stays. Kept is the last entry that stays: those
	// behind Committed were possibly committed, and are from now on.
	Committed, Kept Index
	// Gone are the members that are left out. What only they had acknowledged is lost.
	Gone []Member
	// Ends is where the logs of those that stay ended when they were inspected.
	Ends map[NodeID]LogEnd
}

// LogEnd is where a log ended.
type LogEnd struct {
	Term Term // of its member, not of the entry
	Last Index
}

// ErrQuorumLeft says that more than half of the voters are there: the group needs no recovery,
// and one would do harm.
var ErrQuorumLeft = errors.New("engine: the voters that are left are a quorum")

// PlanRecovery says how a group can go on with those of its members whose directories were
// inspected. It refuses when these are a quorum, and when what leads would have to be guessed:
// the best log is uncertain, or has damaged entries.
func PlanRecovery(group GroupID, left []Inspection) (Plan, error) {
	p := Plan{Group: group, Ends: map[NodeID]LogEnd{}}
	fail := func(err error) (Plan, error) {
		return Plan{}, fmt.Errorf("engine: plan recovery of group %d: %w", group, err)
	}
	type survivor struct {
		of *Inspection
		g  *GroupInspection
	}
	var have []survivor
	for i := range left {
		for k := range left[i].Groups {
			if left[i].Groups[k].Group == group {
				have = append(have, survivor{&left[i], &left[i].Groups[k]})
			}
		}
	}
	if len(have) == 0 {
		return fail(errors.New("no directory holds anything of it"))
	}
	best := slices.MaxFunc(have, func(a, b survivor) int {
		return cmp.Or(cmp.Compare(a.g.LastTerm, b.g.LastTerm), cmp.Compare(a.g.Last, b.g.Last), -cmp.Compare(a.of.Node, b.of.Node))
	})
	p.Cluster, p.Lead, p.Kept = best.of.Cluster, best.of.Node, best.g.Last
	for _, s := range have {
		if s.of.Cluster != p.Cluster {
			return fail(fmt.Errorf("directories of clusters %q and %q", p.Cluster, s.of.Cluster))
		}
		p.Epoch, p.Term = max(p.Epoch, s.of.Epoch+1), max(p.Term, s.g.Term+1)
		p.Committed = max(p.Committed, s.g.Committed)
		p.Ends[s.of.Node] = LogEnd{s.g.Term, s.g.Last}
	}
	switch {
	case best.g.Uncertain:
		return fail(fmt.Errorf("the best log, of node %d, was damaged and may be an older state of itself", p.Lead))
	case len(best.g.Damaged) > 0:
		return fail(fmt.Errorf("entry %d of the best log, of node %d, is damaged", best.g.Damaged[0], p.Lead))
	case p.Kept < p.Committed:
		return fail(fmt.Errorf("the best log ends at %d, but %d is committed", p.Kept, p.Committed))
	}
	quorum := true
	for _, half := range [][]Member{best.g.Configuration.Members, best.g.Configuration.Leaving} {
		voters, there := 0, 0
		for _, m := range half {
			is := slices.ContainsFunc(have, func(s survivor) bool { return s.of.Node == m.ID })
			if m.Suffrage != Learner {
				voters++
				if is {
					there++
				}
			}
			p.list(m, is)
		}
		quorum = quorum && (voters == 0 || there > voters/2)
	}
	if quorum {
		return fail(ErrQuorumLeft)
	}
	if !slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == p.Lead && m.Suffrage == Voter }) {
		return fail(fmt.Errorf("the best log is of node %d, which is no voter that holds state", p.Lead))
	}
	return p, nil
}

// list puts a member among those that stay or those that are gone.
func (p *Plan) list(m Member, stays bool) {
	to := &p.Gone
	if stays {
		to = &p.Members
	}
	if !slices.ContainsFunc(*to, func(o Member) bool { return o.ID == m.ID }) {
		*to = append(*to, m)
	}
}

// Apply carries a plan out in the directory of one of the members that stay, whose host does not
// run. It has to be applied to all of them before any is started. It can be repeated.
func (p *Plan) Apply(dir string) error { return p.apply(dir, wal.DefaultFS()) }

func (p *Plan) apply(dir string, fs wal.FS) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("engine: recover: %w", err)
	}
	log, err := openOffline(dir, fs)
	if err != nil {
		return fmt.Errorf("engine: recover: %w", err)
	}
	if err := errors.Join(p.carryOut(log, dir, fs), log.Close()); err != nil {
		return fmt.Errorf("engine: recover %s: %w", dir, err)
	}
	return nil
}

func (p *Plan) check() error {
	if p.Epoch < 1 || p.Term < 1 || p.Lead < 1 || len(p.Members) == 0 {
		return fmt.Errorf("not a plan: epoch %d, term %d, leader %d, %d members", p.Epoch, p.Term, p.Lead, len(p.Members))
	}
	return nil
}

func (p *Plan) carryOut(log *wal.Log, dir string, fs wal.FS) error {
	id := log.Identity()
	if id.Cluster != p.Cluster || !slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == id.Node }) {
		return fmt.Errorf("this is the directory of %v, the plan is for others", id)
	}
	g := log.Group(p.Group)
	done := id.Node == p.Lead && p.leads(g)
	if is := (LogEnd{g.HardState().Term, g.LastIndex()}); is != p.Ends[id.Node] && !done {
		return fmt.Errorf("the log has moved since it was inspected: %+v, not %+v", is, p.Ends[id.Node])
	}
	// First the epoch: from here on nobody of the old one is let in. Who the others are is
	// learned anew.
	path := fs.PathJoin(dir, peersName)
	peers, err := readPeers(fs, path)
	if err != nil {
		return err
	}
	if peers.epoch > p.Epoch {
		return fmt.Errorf("it is of epoch %d already, the plan of %d", peers.epoch, p.Epoch)
	}
	if err := writePeers(fs, path, admissionState{epoch: p.Epoch}); err != nil {
		return err
	}
	if id.Node != p.Lead || done {
		return nil
	}
	return p.lead(log)
}

// leads reports whether the plan was carried out in this log before.
func (p *Plan) leads(g *wal.Group) bool {
	if g.LastIndex() != p.Kept+1 {
		return false
	}
	es, err := g.Entries(nil, p.Kept+1, p.Kept+2, 1)
	if err != nil || es[0].Term != p.Term || es[0].Kind != raftpb.EntryKindConfig {
		return false
	}
	var c raftpb.Configuration
	_, err = c.ParseCompact(es[0].Body, nil)
	return err == nil && c.Epoch == p.Epoch
}

// lead appends the new configuration to the log, in a term of its own, as a leader of that term
// would have: with it the log is ahead of all others, and those that are left are its quorum.
func (p *Plan) lead(log *wal.Log) error {
	g := log.Group(p.Group)
	conf := raftpb.Configuration{Epoch: p.Epoch}
	for _, m := range p.Members {
		conf.Incoming = append(conf.Incoming, m.message())
	}
	body := conf.AppendCompact(nil)
	e := raft.Entry{
		Term: p.Term, Kind: raftpb.EntryKindConfig, Body: body, Crc32c: wal.EntryChecksum(raftpb.EntryKindConfig, body),
	}
	var b wal.Batch
	b.HardState(p.Group, wal.HardState{Term: p.Term, Vote: p.Lead, Commit: g.HardState().Commit})
	b.Append(p.Group, p.Kept+1, []raft.Entry{e})
	return log.Write(&b)
}
