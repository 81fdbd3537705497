# The work itself is in .ci/run and in Go; this file gives it short names.
.DEFAULT_GOAL := help
.PHONY: chaos help verify fix test cover-core mutants check-requirements clients race fuzz wal-torture sim sim-determinism bench bench-guard bench-codec bench-wal-peers bench-peers bench-snapshot bench-slow-follower bench-fleet fleet sessions-proof reads-proof generate ci

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

verify: ## what must hold before a commit, tests aside; reads only
	@.ci/run verify

fix: ## format, modernise, tidy: everything that a tool can put right
	gofmt -w -s $$(git ls-files -co --exclude-standard -- '*.go' ':!*/testdata/*')
	go fix ./...
	go mod tidy
	go generate ./...

test: ## every test; needs nothing but Go
	go test ./...

check-requirements: ## run the tests behind docs/requirements.md; none may be missing or skipped
	@.ci/run requirements

clients: ## the programs in examples/clients and examples/peers with running clusters (needs Thrift and five languages)
	@.ci/run clients

mutants: ## hide every seeded bug in worlds until one of them notices it; fails if one survives
	go run -tags mutants ./cmd/raftsim mutants

cover-core: ## what of the Raft core simulation alone reaches; fails below 100 %
	@.ci/run cover

race: ## the packages that have goroutines, under the race detector (needs a C compiler)
	@.ci/run race

fuzz: ## a slice of every fuzz target: make fuzz FUZZ_EACH=30s
	@FUZZ_EACH=$(or $(FUZZ_EACH),3s) .ci/run fuzz

sim: ## clusters in virtual time, everything going wrong: make sim SEEDS=5000 PROFILE=core
	go run ./cmd/raftsim run --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),1) --profile $(or $(PROFILE),world) --shrink 60s

chaos: ## real processes killed, paused, cut off and replaced under load: make chaos FOR=30m
	@RAFTKV_CHAOS=$(or $(FOR),30m) .ci/run chaos

sim-determinism: ## 1,000 seeds give the same traces in any process, with and without -race, on one processor and two
	@.ci/run determinism

wal-torture: ## the log at full size: every byte, every operation, some 400,000 crash images; half an hour
	go test ./wal -run 'Crash|Fault|FullDisk|Flips|Short|Sectors|EveryFile' -v -torture 8 -timeout 90m

bench-guard: ## fsyncs, system calls, bytes and allocations per operation beside their baseline; make bench-guard UPDATE=1 writes a new one
	go run ./cmd/raftbench guard $(if $(UPDATE),--update) benchmarks/guard.json

bench: ## three durable nodes in one process under load, 10 s
	go run ./cmd/raftbench

bench-codec: ## our codecs beside others, as ratios, and their goals
	go -C benchmarks/peers run ./codec/goals

bench-wal-peers: ## our log beside others, on the disk of DIR
	go -C benchmarks/peers run ./wal $(if $(DIR),-dir $(abspath $(DIR)))

bench-snapshot: ## a snapshot of 512 MiB to a new member, the connection cut every second, under load; PACE=bytes per second, -1: no bound
	go test -run '^$$' -bench SnapshotTransfer -benchtime 1x ./engine -haul.mib 512 -haul.pace $(or $(PACE),0)

fleet: ## many groups on three hosts: elect, write, sleep, outlive a host; make fleet GROUPS=1000
	go test -run ManyGroupsOutlive -v ./engine -fleet.groups $(or $(GROUPS),1000)

bench-fleet: ## what they cost asleep and awake, and how long they are without leaders; make bench-fleet GROUPS=1000
	go test -run '^$$' -bench Fleet -benchtime 1x ./engine -fleet.groups $(or $(GROUPS),1000)

sessions-proof: ## 100,000 commands sent twice or more, through 100 changes of leader, snapshots installed and power losses: each applied once
	go test -run '^TestEveryRetryGetsTheFirstAnswer$$' -count 1 -v -timeout 60m ./engine -proof.commands 100000 -proof.faults 100

reads-proof: ## 1,000,000 reads in every mode beside writes, through changes of leader and stopped processes, judged by porcupine
	go test -run '^TestReadsAreLinearizable' -count 1 -v -timeout 60m ./engine -proof.reads 1000000

bench-slow-follower: ## what a follower whose disk (a directory of DIR) sleeps 50 ms per sync costs, and what 256 appends in flight do to the number of syncs
	TMPDIR=$(or $(DIR),/tmp) go test -run '^TestASlowFollowerCostsLittle$$|^TestAppendsInFlightAddNoSyncs$$' -count 1 -v -timeout 30m ./engine -slow.rounds 9 -slow.slice 3s -slow.disk

SYS  ?= floor,raftwire,etcdraft,hraft-wal,dragonboat-tan
RUNS ?= /tmp/raftwire-runs.jsonl

bench-peers: ## our engine beside others; minutes, on an idle machine
	go -C benchmarks/peers run . matrix -sys $(SYS) -conc 1,64,256,1024 -out $(RUNS)
	go -C benchmarks/peers run . report $(RUNS)

generate: ## write gen/ from idl/
	go generate ./...

ci: ## everything, as CI runs it; installs Debian packages when they are missing
	@.ci/run
