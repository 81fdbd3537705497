package raft

// What a judge asks of a node after a step, besides Glance and Follower.

// Members is how many members the configuration in force has.
func (n *Node) Members() int { return len(n.members) }

// Member returns what a leader knows of member i, 0 <= i < Members, by rising id.
func (n *Node) Member(i int) MemberStatus { return n.member(i) }

// Backlog is the bytes that count towards Config.MaxUncommittedBytes.
func (n *Node) Backlog() int { return n.log.backlog() }
