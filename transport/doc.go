// Package transport carries calls between Raftwire nodes, and between nodes and
// clients of any language, over one port.
//
// Every frame is a length and then bytes whose first ones say what they are:
//
//	+----------+------------------------------------------------------------+
//	| len u32  | C1 ...     native frame: 20 bytes of header, then a struct |
//	|          | 82 ...     Thrift message, Compact protocol                |
//	|          | 80 01 ...  Thrift message, strict Binary protocol          |
//	|          | other      refused: the reason is counted, the connection closed
//	+----------+------------------------------------------------------------+
//
// docs/spec/wire.md has the whole format.
//
// # Connections
//
// Calls flow from the dialer to the acceptor, so two nodes that call each other
// hold connections in both directions. To a native peer a node holds two: one for
// the control and append lanes, dialed at once and again whenever it breaks, and one
// for the snapshot and bulk lanes, dialed when first used. Within a connection frames
// leave by strict priority of their lanes; the second connection is what keeps bytes
// of a snapshot that the kernel has already taken from standing before a heartbeat.
//
// Each connection has one goroutine that reads and one that writes. Frames that
// queue up while a write is under way leave together in the next one.
//
// # Ownership
//
// A request is encoded before Call returns and an answer before Reply returns: nothing
// that a caller passes in is kept. What the transport passes out aliases the frame it
// came in. Frames are never recycled, so byte slices of a message may be kept for ever
// (at the price of the frame they share); the message itself and its lists are reused,
// see [Network] and [Call].
package transport
