module example.com/guestbook

go 1.26

tool github.com/seed-814fcd60/raftwire/tools/raftgen

require (
	github.com/apache/thrift v0.25.0
	github.com/seed-814fcd60/raftwire v0.0.0
)

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace github.com/seed-814fcd60/raftwire => ../../..
