package prometheus

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// kind is what Prometheus calls the type of a metric.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	durations kind = "histogram"
)

// row is one metric: a line of docs/metrics.md.
type row struct {
	name   string
	kind   kind
	unit   string
	labels []string // beside node
	help   string

	// One of them reads the values: of the host, or of each of its groups, where the
	// label "group" comes first and is not given to the sink.
	host  func(*engine.Metrics, sink)
	group func(*engine.Status, sink)
}

func rows() []row {
	return slices.Concat(electionRows(), requestRows(), snapshotRows(), logRows(), networkRows(), groupRows(), peerRows())
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// of is a metric of the host without labels of its own.
func of[N number](name string, k kind, unit, help string, read func(*engine.Metrics) N) row {
	return row{name: name, kind: k, unit: unit, help: help, host: func(m *engine.Metrics, out sink) { out.number(float64(read(m))) }}
}

// ofGroup is a metric of a group without labels of its own.
func ofGroup[N number](name, unit, help string, read func(*engine.Status) N) row {
	return row{
		name: name, kind: gauge, unit: unit, help: help, labels: []string{"group"},
		group: func(s *engine.Status, out sink) { out.number(float64(read(s))) },
	}
}

func electionRows() []row {
	type m = engine.Metrics
	return []row{
		of("raftwire_prevotes_total", counter, "rounds", "Times that this node asked the others whether it would get their votes.", func(m *m) uint64 { return m.PreVotes }),
		of("raftwire_elections_total", counter, "elections", "Campaigns that this node began, pre-votes not counted.", func(m *m) uint64 { return m.Elections }),
		of("raftwire_leaderships_total", counter, "terms", "Terms in which this node became the leader of a group.", func(m *m) uint64 { return m.Leaderships }),
		byReason("raftwire_election_reasons_total", "elections", "Campaigns by why they began: leader-silent, no-leader, undecided, transfer.", func(m *m) map[engine.ElectionReason]uint64 { return m.ElectionReasons }),
		byReason("raftwire_leaderships_lost_total", "terms", "Leaderships that ended, by why: quorum-lost, higher-term, transfer, stood-down.", func(m *m) map[engine.ElectionReason]uint64 { return m.Lost }),
		{
			name: "raftwire_votes_refused_total", kind: counter, unit: "votes", labels: []string{"reason"}, help: "Votes and pre-votes refused to others; the reasons are those of RejectReason in the IDL.",
			host: func(m *m, out sink) {
				for reason, n := range m.VotesRefused {
					out.number(float64(n), reason.String())
				}
			},
		},
		of("raftwire_transfers_total", counter, "hand-overs", "Hand-overs of this node that ended with the other one leading.", func(m *m) uint64 { return m.Transfers }),
		of("raftwire_membership_changes_total", counter, "changes", "Changes of membership that this node carried through as leader.", func(m *m) uint64 { return m.Changes }),
		of("raftwire_divergences_total", counter, "finds", "Differences between members that this node found as leader.", func(m *m) uint64 { return m.Divergences }),
	}
}

func byReason(name, unit, help string, read func(*engine.Metrics) map[engine.ElectionReason]uint64) row {
	return row{
		name: name, kind: counter, unit: unit, labels: []string{"reason"}, help: help,
		host: func(m *engine.Metrics, out sink) {
			for reason, n := range read(m) {
				out.number(float64(n), string(reason))
			}
		},
	}
}

func requestRows() []row {
	type m = engine.Metrics
	return []row{
		{
			name: "raftwire_proposal_duration_seconds", kind: durations, unit: "seconds",
			help: "Times from a proposal to its result on this node as leader, of one in 16.",
			host: func(m *m, out sink) { out.durations(&m.Proposals) },
		},
		of("raftwire_inbox_bytes", gauge, "bytes", "Bytes of proposals, reads and messages that wait for the workers.", func(m *m) int { return m.InboxBytes }),
		{
			name: "raftwire_reads_total", kind: counter, unit: "reads", labels: []string{"mode"},
			help: "Reads by how they were served: with a read index from the leader (round), by lease, or from what is applied here (local).",
			host: func(m *m, out sink) {
				out.number(float64(m.Reads.ByRound), "round")
				out.number(float64(m.Reads.ByLease), "lease")
				out.number(float64(m.Reads.Local), "local")
			},
		},
		of("raftwire_read_rounds_total", counter, "rounds", "Rounds to a majority that confirmed reads of this node as leader.", func(m *m) uint64 { return m.Reads.Rounds }),
		of("raftwire_events_dropped_total", counter, "events", "Events that Config.Observer was too slow to be told of.", func(m *m) uint64 { return m.EventsDropped }),
		of("raftwire_sessions_opened_total", counter, "sessions", "Sessions opened.", func(m *m) uint64 { return m.Sessions.Opened }),
		of("raftwire_session_answers_total", counter, "commands", "Retries that got what the first attempt returned.", func(m *m) uint64 { return m.Sessions.Answered }),
		of("raftwire_session_refusals_total", counter, "commands", "Commands of sessions that are gone, or with a serial outside of the window.", func(m *m) uint64 { return m.Sessions.Refused }),
		of("raftwire_apply_faults_total", counter, "errors", "Errors that state machines returned.", func(m *m) uint64 { return m.ApplyFaults }),
	}
}

func snapshotRows() []row {
	type m = engine.Metrics
	return []row{
		of("raftwire_snapshots_taken_total", counter, "snapshots", "Snapshots of this node's own machines, durable.", func(m *m) uint64 { return m.Snapshots.Taken }),
		of("raftwire_snapshots_failed_total", counter, "attempts", "Attempts at a snapshot that failed.", func(m *m) uint64 { return m.Snapshots.Failed }),
		of("raftwire_snapshots_sent_total", counter, "snapshots", "Snapshots sent to members that have installed them.", func(m *m) uint64 { return m.Snapshots.Sent }),
		of("raftwire_snapshots_installed_total", counter, "snapshots", "Snapshots received and installed.", func(m *m) uint64 { return m.Snapshots.Installed }),
		of("raftwire_snapshots_resumed_total", counter, "transfers", "Times that a transfer went on in the middle of a snapshot.", func(m *m) uint64 { return m.Snapshots.Resumed }),
		of("raftwire_snapshot_lent_bytes_total", counter, "bytes", "Bytes of snapshots sent in place of a leader.", func(m *m) uint64 { return m.Snapshots.BytesLent }),
		of("raftwire_snapshots_pulled_total", counter, "snapshots", "Snapshots received from other members than the leader.", func(m *m) uint64 { return m.Snapshots.Pulled }),
		of("raftwire_snapshots_abandoned_total", counter, "transfers", "Transfers of snapshots given up.", func(m *m) uint64 { return m.Snapshots.Abandoned }),
		of("raftwire_snapshot_sent_bytes_total", counter, "bytes", "Bytes of snapshots sent to other members.", func(m *m) uint64 { return m.Snapshots.BytesOut }),
		of("raftwire_snapshot_received_bytes_total", counter, "bytes", "Bytes of snapshots received.", func(m *m) uint64 { return m.Snapshots.BytesIn }),
		of("raftwire_repair_damaged_total", counter, "entries", "Entries found damaged on this node.", func(m *m) uint64 { return m.Repairs.Damaged }),
		of("raftwire_repair_repaired_total", counter, "entries", "Damaged entries that other members gave back.", func(m *m) uint64 { return m.Repairs.Repaired }),
		of("raftwire_repair_served_total", counter, "entries", "Entries given to other members for their repair.", func(m *m) uint64 { return m.Repairs.Served }),
		of("raftwire_scrubs_total", counter, "scrubs", "Times that the whole log was read in search of damage.", func(m *m) uint64 { return m.Repairs.Scrubs }),
	}
}

func logRows() []row {
	type m = engine.Metrics
	return []row{
		{
			name: "raftwire_log_sync_duration_seconds", kind: durations, unit: "seconds", help: "Durations of the syncs that made frames of the log durable.",
			host: func(m *m, out sink) { out.durations(&m.Log.SyncDurations) },
		},
		of("raftwire_log_syncs_total", counter, "syncs", "Calls of fsync and fdatasync, of the catalog and of directories too.", func(m *m) int64 { return m.Log.Syncs }),
		of("raftwire_log_sync_errors_total", counter, "syncs", "Syncs that failed: after one of a frame, the process must be restarted.", func(m *m) int64 { return m.Log.SyncErrors }),
		of("raftwire_log_sync_stalls_total", counter, "reports", "Reports of a write or sync that takes too long.", func(m *m) int64 { return m.Log.SyncStalls }),
		of("raftwire_log_entries_total", counter, "entries", "Entries handed to the log.", func(m *m) int64 { return m.Log.Entries }),
		of("raftwire_log_batches_total", counter, "batches", "Batches handed to the log; divided by frames: what group commit saves.", func(m *m) int64 { return m.Log.Batches }),
		of("raftwire_log_frames_total", counter, "frames", "Frames written to the log.", func(m *m) int64 { return m.Log.Frames }),
		of("raftwire_log_written_bytes_total", counter, "bytes", "Bytes written to the log in frames, padding included.", func(m *m) int64 { return m.Log.Bytes }),
		of("raftwire_log_waits_total", counter, "waits", "Times that a writer waited for room in the log's queue.", func(m *m) int64 { return m.Log.Stalls }),
		of("raftwire_log_recycled_total", counter, "segments", "Segments of the log of which nothing counted any more.", func(m *m) int64 { return m.Log.Recycled }),
		of("raftwire_log_damages_total", counter, "finds", "Finds of damaged bytes in the log.", func(m *m) int64 { return m.Log.Damages }),
		of("raftwire_log_segments", gauge, "segments", "Files that hold frames of the log.", func(m *m) int { return m.Log.Segments }),
		of("raftwire_log_queue_bytes", gauge, "bytes", "Bytes handed to the log and not yet written.", func(m *m) int { return m.Log.QueuedBytes }),
		of("raftwire_log_cache_bytes", gauge, "bytes", "Bytes of written frames that are kept for readers.", func(m *m) int { return m.Log.CacheBytes }),
	}
}

func networkRows() []row {
	type m = engine.Metrics
	return []row{
		{
			name: "raftwire_call_duration_seconds", kind: durations, unit: "seconds", labels: []string{"method"},
			help: "Durations of the calls that this node made to others, from the call to the answer decoded.",
			host: func(m *m, out sink) {
				for method, calls := range m.Network.Methods {
					out.durations(&calls.Durations, method)
				}
			},
		},
		{
			name: "raftwire_calls_failed_total", kind: counter, unit: "calls", labels: []string{"method"},
			help: "Calls that this node made and that ended without a proper answer.",
			host: func(m *m, out sink) {
				for method, calls := range m.Network.Methods {
					out.number(float64(calls.Failed), method)
				}
			},
		},
		{
			name: "raftwire_network_refused_total", kind: counter, unit: "refusals", labels: []string{"reason"},
			help: "Frames and connections that this node refused.",
			host: func(m *m, out sink) {
				for reason, n := range m.Network.Refused {
					out.number(float64(n), string(reason))
				}
			},
		},
		{
			name: "raftwire_network_queue_bytes", kind: gauge, unit: "bytes", labels: []string{"peer"},
			help: "Bytes encoded for another node and not written yet.",
			host: func(m *m, out sink) {
				for peer, n := range m.Network.QueueBytes {
					out.number(float64(n), id(peer))
				}
			},
		},
		{
			name: "raftwire_network_peer_lost_seconds", kind: gauge, unit: "seconds", labels: []string{"peer"},
			help: "Time since another node could last be reached from this one, 0 while it can.",
			host: func(m *m, out sink) {
				for peer, p := range m.Network.Peers {
					lost := 0.0
					if !p.Reachable {
						lost = time.Since(p.Since).Seconds()
					}
					out.number(lost, id(peer))
				}
			},
		},
		of("raftwire_network_received_bytes_total", counter, "bytes", "Bytes received on sockets.", func(m *m) uint64 { return m.Network.BytesIn }),
		of("raftwire_network_sent_bytes_total", counter, "bytes", "Bytes sent on sockets.", func(m *m) uint64 { return m.Network.BytesOut }),
		of("raftwire_network_received_frames_total", counter, "frames", "Frames received.", func(m *m) uint64 { return m.Network.FramesIn }),
		of("raftwire_network_sent_frames_total", counter, "frames", "Frames sent.", func(m *m) uint64 { return m.Network.FramesOut }),
		of("raftwire_network_writes_total", counter, "calls", "System calls that wrote to sockets.", func(m *m) uint64 { return m.Network.Writes }),
		of("raftwire_network_calls_received_total", counter, "calls", "Calls of other nodes and of clients.", func(m *m) uint64 { return m.Network.CallsIn }),
		of("raftwire_network_calls_open", gauge, "calls", "Calls of others that are not answered yet.", func(m *m) int { return m.Network.CallsNow }),
		of("raftwire_network_dials_total", counter, "attempts", "Attempts to connect to another node.", func(m *m) uint64 { return m.Network.Dials }),
		of("raftwire_network_dials_failed_total", counter, "attempts", "Attempts to connect to another node that failed.", func(m *m) uint64 { return m.Network.DialsFailed }),
		of("raftwire_network_accepted_total", counter, "connections", "Connections accepted.", func(m *m) uint64 { return m.Network.Accepted }),
		of("raftwire_network_peers_connected", gauge, "nodes", "Other nodes with a usable connection.", func(m *m) int { return m.Network.PeersConnected }),
		of("raftwire_network_connections", gauge, "connections", "Connections accepted and open.", func(m *m) int { return m.Network.ConnsIn }),
		of("raftwire_network_client_connections", gauge, "connections", "Of these, those of clients.", func(m *m) int { return m.Network.ClientConns }),
	}
}

func groupRows() []row {
	type s = engine.Status
	return []row{
		ofGroup("raftwire_group_leader", "node", "The node that leads the group as far as this one knows, 0 when unknown.", func(s *s) int64 { return int64(s.Leader) }),
		ofGroup("raftwire_group_leads", "0 or 1", "This node leads the group.", func(s *s) int { return truth(s.Role == raftpb.RoleLeader) }),
		ofGroup("raftwire_group_term", "term", "The term that this node is in.", func(s *s) uint64 { return uint64(s.Term) }),
		ofGroup("raftwire_group_first_index", "index", "The first entry of the log on this node.", func(s *s) uint64 { return uint64(s.First) }),
		ofGroup("raftwire_group_last_index", "index", "The last entry of the log on this node.", func(s *s) uint64 { return uint64(s.Last) }),
		ofGroup("raftwire_group_durable_index", "index", "The last entry that this node's own disk has.", func(s *s) uint64 { return uint64(s.Durable) }),
		ofGroup("raftwire_group_commit_index", "index", "The last entry known to be committed.", func(s *s) uint64 { return uint64(s.Commit) }),
		ofGroup("raftwire_group_applied_index", "index", "The last entry applied to the state machine.", func(s *s) uint64 { return uint64(s.Applied) }),
		ofGroup("raftwire_group_snapshot_index", "index", "The newest snapshot on this node, 0 if there is none.", func(s *s) uint64 { return uint64(s.Snapshot) }),
		ofGroup("raftwire_group_proposal_bytes", "bytes", "Bytes of proposals that this node accepted as leader and has not applied.", func(s *s) int { return s.ProposalBytes }),
		ofGroup("raftwire_group_apply_bytes", "bytes", "Bytes of committed entries that wait for the state machine.", func(s *s) int { return s.ApplyBytes }),
		ofGroup("raftwire_group_members", "members", "Members of the group.", func(s *s) int { return len(s.Members) }),
		ofGroup("raftwire_group_uncertain", "0 or 1", "Damage may have cost this node's log what it had promised: it does not vote until it is repaired.", func(s *s) int { return truth(s.Uncertain) }),
		ofGroup("raftwire_group_damaged_entries", "entries", "Entries known to be damaged on this node and being fetched.", func(s *s) int { return s.Repair.Entries }),
		ofGroup("raftwire_group_election_timeout_seconds", "seconds", "How long this node waits for a leader at most, at present.", func(s *s) float64 { return s.ElectionTimeout.Seconds() }),
		ofGroup("raftwire_group_disk_stalled", "0 or 1", "The disk of this node hangs.", func(s *s) int { return truth(s.DiskStalled) }),
		ofGroup("raftwire_group_asleep", "0 or 1", "The group has nothing to do and sends nothing.", func(s *s) int { return truth(s.Asleep) }),
		ofGroup("raftwire_group_failed", "0 or 1", "The group has ended on this node, of an error.", func(s *s) int { return truth(s.Err != nil) }),
		ofGroup("raftwire_group_diverged", "0 or 1", "This node found another member in another state at the same index.", func(s *s) int { return truth(s.Diverged != nil) }),
	}
}

func peerRows() []row {
	ofPeer := func(name, unit, help string, read func(*engine.PeerStatus) float64) row {
		return row{
			name: name, kind: gauge, unit: unit, help: help, labels: []string{"group", "peer"},
			group: func(s *engine.Status, out sink) {
				for i := range s.Peers {
					out.number(read(&s.Peers[i]), id(s.Peers[i].ID))
				}
			},
		}
	}
	type p = engine.PeerStatus
	return []row{
		ofPeer("raftwire_peer_match_index", "index", "The last entry known to be durable on the other member. On the leader only.", func(p *p) float64 { return float64(p.Match) }),
		ofPeer("raftwire_peer_lag_entries", "entries", "Entries by which the other member's log is behind the leader's. On the leader only.", func(p *p) float64 { return float64(p.Lag) }),
		ofPeer("raftwire_peer_last_contact_seconds", "seconds", "Time since the other member's last answer. On the leader only.", func(p *p) float64 { return p.LastContact.Seconds() }),
		ofPeer("raftwire_peer_inflight_bytes", "bytes", "Bytes sent to the other member and not answered. On the leader only.", func(p *p) float64 { return float64(p.InflightBytes) }),
		ofPeer("raftwire_peer_window_bytes", "bytes", "Bytes that may be under way to the other member at present. On the leader only.", func(p *p) float64 { return float64(p.WindowBytes) }),
		ofPeer("raftwire_peer_window_appends", "appends", "Appends that may be under way to the other member at present. On the leader only.", func(p *p) float64 { return float64(p.WindowAppends) }),
	}
}

func id(n engine.NodeID) string { return strconv.FormatInt(int64(n), 10) }

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
