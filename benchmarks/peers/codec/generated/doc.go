// Package generated holds code that other projects' compilers wrote from the same
// messages. It is never edited: go generate ./codec/generated writes it again, with
// Debian's thrift-compiler 0.17.
package generated

//go:generate thrift --gen go:skip_remote -out . append.thrift
//go:generate go run github.com/tinylib/msgp@v1.6.5 -file tinylib/messages.go -o tinylib/messages_gen.go -tests=false
//go:generate gofmt -w .
