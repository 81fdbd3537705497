// Package raftwire holds the module's go:generate line; what the module offers is in its packages,
// engine first.
package raftwire

//go:generate go tool raftgen -out gen -I idl idl/kv.thrift idl/raft.thrift
//go:generate go tool raftgen -out codec/codectest -I codec/codectest/idl codec/codectest/idl/basis.thrift codec/codectest/idl/everything.thrift codec/codectest/idl/modern.thrift
