# The work itself is in .ci/run and in Go; this file gives it short names.
.DEFAULT_GOAL := help
.PHONY: help verify fix test clients race fuzz bench generate ci

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

verify: ## what must hold before a commit, tests aside; reads only
	@.ci/run verify

fix: ## format, modernise, tidy: everything that a tool can put right
	gofmt -w -s $$(git ls-files -co --exclude-standard -- '*.go' ':!*/testdata/*')
	go fix ./...
	go mod tidy
	go generate ./...

test: ## every test; needs nothing but Go
	go test ./...

clients: ## the programs in examples/clients against a running cluster (needs Thrift and five languages)
	@.ci/run clients

race: ## the packages that have goroutines, under the race detector (needs a C compiler)
	@.ci/run race

fuzz: ## a slice of every fuzz target: make fuzz FUZZ_EACH=30s
	@FUZZ_EACH=$(or $(FUZZ_EACH),3s) .ci/run fuzz

bench: ## three durable nodes in one process under load, 10 s
	go run ./cmd/raftbench

generate: ## write gen/ from idl/
	go generate ./...

ci: ## everything, as CI runs it; installs Debian packages when they are missing
	@.ci/run
