package raft

import "fmt"

// StoreError is a failure of the Log: the node is dead, its host must stop the
// group.
type StoreError struct {
	Op    string // what was read: "term", "entries"
	Index Index
	Err   error
}

// Error implements error.
func (e *StoreError) Error() string {
	return fmt.Sprintf("raft: read %s at %d: %v", e.Op, e.Index, e.Err)
}

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// BrokenError is a broken invariant: the driver did not keep its side of the
// contract, or this package has a bug. The node is dead; what it had promised
// stays true.
type BrokenError struct{ What string }

// Error implements error.
func (e *BrokenError) Error() string { return "raft: broken invariant: " + e.What }

func broken(format string, args ...any) error {
	return &BrokenError{What: fmt.Sprintf(format, args...)}
}
