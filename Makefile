# vipd. "make help" lists what there is.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
DESTDIR  ?=
PREFIX   ?= /usr/local
FUZZTIME ?= 10s
SEEDS    ?= 100000
FIRST    ?= 1
# Virtual hours of each simulated cluster; none: some minutes.
HOURS    ?=
# Flags of test/mutation, such as MUTATIONFLAGS='-files machine.go -v'.
MUTATIONFLAGS ?=
# More flags for "go test", such as TESTFLAGS='-run TestC34 -v'.
TESTFLAGS ?=
# Flags of test/faults, such as FAULTFLAGS='-only "node death" -variants all'.
FAULTFLAGS ?=
# How long faults are played on one cluster, without the race detector and with it.
SOAK ?= 30m
# More flags of test/faults for that, such as SOAKFLAGS='-seed 4711'.
SOAKFLAGS ?=
# Flags of test/bench, such as BENCHFLAGS='-record -only "node death,cost"'.
BENCHFLAGS ?=
# How often each benchmark of a hot path runs, and the release that it is held against.
COUNT ?= 6
SINCE ?= $(shell git describe --tags --abbrev=0 2>/dev/null)
# Flags of packaging/build, such as PACKAGEFLAGS='-arch amd64 -format deb'.
PACKAGEFLAGS ?=

APART   = -exec '$(CURDIR)/test/apart'
BUILD   = CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)'
CONTAIN = test/contain
MICRO = sh -c 'go test -run "^$$$$" -bench . -benchmem -count $(COUNT) $(TESTFLAGS) $$(grep -rl --include=*_test.go "^func Benchmark" --exclude-dir=bin . | xargs -n1 dirname | sort -u)'
BENCHSTAT = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
# What "make test" runs: in namespaces where the tests use test/lab, else as it is.
# Interop, sim, the packages and the machines have targets of their own. SERVED are the
# packages that watch clients, who would notice the load of others.
LISTED  = go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | grep -v -e /test/interop -e /test/bgp -e /test/sim -e '/packaging ' -e /test/machine -e /test/e2e
KERNEL  = $(shell $(LISTED) | awk '/test\/lab/ && !/test\/client\/probe/ { print $$1 }')
SERVED  = $(shell $(LISTED) | awk '/test\/lab/ && /test\/client\/probe/ { print $$1 }')
UNIT    = $(shell $(LISTED) | awk '!/test\/lab/ { print $$1 }')

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/vipd, a static binary
	$(BUILD) -o bin/vipd ./cmd/vipd

.PHONY: demo
demo: ## watch a cluster of three lose API servers and nodes, in under a minute
	@.ci/deps check demo
	$(BUILD) -o bin/ ./cmd/vipd ./test/standin ./test/client ./test/demo
	$(CONTAIN) bin/demo

.PHONY: test
test: unit kernel ## run the unit tests, and those that need network namespaces

# The simulation has no use for the race detector: each cluster is one goroutine.
.PHONY: unit
unit: modules
	@.ci/deps check test
	nice go test -race $(TESTFLAGS) $(UNIT)
	nice go test $(TESTFLAGS) ./test/sim

# Never from the cache: the programs that they build and run are not part of its key. The
# files that a package mounts over those of the machine are not there for another.
.PHONY: kernel
kernel: modules
	@if [ -n "$$CI" ] || $(CONTAIN) true; then set -x; \
		$(CONTAIN) go test -race -p 3 -count=1 $(APART) $(TESTFLAGS) $(KERNEL); others=$$?; \
		$(CONTAIN) go test -race -p 1 -count=1 $(APART) $(TESTFLAGS) $(SERVED) && exit $$others; \
	else echo "SKIP: what needs network namespaces, for the reason above"; set -x; go test -race $(TESTFLAGS) $(KERNEL) $(SERVED); fi

.PHONY: lint
lint: ## check the format, and run go vet and staticcheck
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -s -l) && [ -z "$$unformatted" ] || { echo "gofmt -s -w these:" $$unformatted; exit 1; }
	go vet ./...
	go tool staticcheck ./...

.PHONY: bgp
bgp: modules ## run behind BIRD and FRR, as BGP routers (make deps installs them)
	@.ci/deps check bgp
	$(CONTAIN) go test -race -count=1 $(TESTFLAGS) ./test/bgp/...

.PHONY: interop
interop: modules ## run against keepalived and FRR (make deps installs them)
	@.ci/deps check interop
	$(CONTAIN) go test -race -count=1 $(TESTFLAGS) ./test/interop/...

# Machines need root, and a root file system that is made outside, once.
.PHONY: e2e
e2e: machines ## install the package on three booted machines, and break them (as root)
	@$(MAKE) booted

.PHONY: machines
machines: modules package
	@.ci/deps check e2e
	test/machine/mkroot bin/e2e/root.tar
	go run ./packaging/build -arch amd64 -format deb -version 99.0.0 -out bin/e2e/later

.PHONY: booted
booted:
	$(CONTAIN) go test -count=1 $(TESTFLAGS) ./test/machine
	$(CONTAIN) go test -count=1 -timeout=30m $(TESTFLAGS) ./test/e2e $(if $(RECORD),-args -record)

.PHONY: transcript
transcript: ## go through docs/operations.md on booted machines, and write docs/transcript.md (as root)
	$(MAKE) e2e RECORD=1 TESTFLAGS='-v -run ^TestTranscript$$'

.PHONY: sim
sim: ## simulate SEEDS=100000 random clusters, from seed FIRST=1 on, minutes or HOURS=24 each
	GOGC=400 nice -n 19 go test ./test/sim -run '^TestSeeds$$' -count=1 -timeout=0 -v -seeds=$(SEEDS) -first=$(FIRST) $(if $(HOURS),-hours=$(HOURS))

.PHONY: mutation
mutation: modules ## change the core in small ways, and want a test to notice each
	nice -n 19 go run ./test/mutation $(MUTATIONFLAGS)

.PHONY: soak
soak: SEEDS = 10000
soak: HOURS = 24
soak: modules ## play faults for SOAK=30m on a cluster, and days of 10,000 simulated ones (takes hours)
	$(CONTAIN) env VIPD_SOAK=10m go test -count=1 -timeout=20m -run '^TestC38Renewals$$' -v ./test/conformance
	$(BUILD) -o bin/play-faults ./test/faults
	$(CONTAIN) bin/play-faults -soak $(SOAK) $(SOAKFLAGS)
	$(CONTAIN) bin/play-faults -soak $(SOAK) -race $(SOAKFLAGS)
	$(MAKE) sim SEEDS=$(SEEDS) HOURS=$(HOURS)

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZTIME=10s
	@grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r pkg; do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$pkg/*_test.go | cut -c6-); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

.PHONY: bench
bench: modules ## measure vipd beside keepalived: outages and costs (40 minutes; BENCHFLAGS=-quick)
	@.ci/deps check bench
	$(BUILD) -o bin/bench ./test/bench
	$(CONTAIN) bin/bench $(BENCHFLAGS)

.PHONY: bench-micro
bench-micro: modules ## measure the hot paths, COUNT=6 times each, for benchstat
	@mkdir -p bin
	$(CONTAIN) $(MICRO) > bin/bench-micro.txt || { cat bin/bench-micro.txt; exit 1; }
	@cat bin/bench-micro.txt

# The release is built from what git has of it, beside the tree.
.PHONY: bench-compare
bench-compare: bench-micro ## compare the hot paths with those of the last release, or of SINCE=v1.2.3
	@[ -n "$(SINCE)" ] || { echo "there is no release yet: name a commit, such as SINCE=HEAD~1" >&2; exit 2; }
	rm -rf bin/since
	mkdir -p bin/since
	git archive $(SINCE) | tar -x -C bin/since
	cd bin/since && go mod download && $(abspath $(CONTAIN)) $(MICRO) > ../bench-since.txt
	rm -rf bin/since
	go run $(BENCHSTAT) since=bin/bench-since.txt now=bin/bench-micro.txt

.PHONY: faults
faults: modules ## play every fault on a cluster, and hold what is seen against its bound (takes long)
	$(BUILD) -o bin/play-faults ./test/faults
	$(CONTAIN) bin/play-faults $(FAULTFLAGS)

.PHONY: reference
reference: ## write docs/configuration.md and docs/commands.md, of the manual pages
	go test -count=1 -run '^TestMarkdown$$' ./packaging/man -rewrite

.PHONY: panels
panels: modules ## record a story, and draw the dashboard's key panels of it
	$(CONTAIN) go run ./test/panels -record

.PHONY: cover
cover: ROOMS = ./agent/...,./cmd/...,./config,./health,./k3s,./systemd,./vip,./vrrp/...
cover: OF = $(filter-out github.com/vipd/vipd/test github.com/vipd/vipd/test/%,$(1))
cover: modules ## measure what the tests beside the code cover; cover.out has it by line
	@mkdir -p bin
	go test -coverpkg=$(ROOMS) -coverprofile=bin/unit.cover $(TESTFLAGS) $(call OF,$(UNIT))
	$(CONTAIN) go test -coverpkg=$(ROOMS) -coverprofile=bin/kernel.cover $(TESTFLAGS) $(call OF,$(KERNEL) $(SERVED))
	{ cat bin/unit.cover; tail -n +2 bin/kernel.cover; } > cover.out
	go tool cover -func=cover.out | tail -n 1

.PHONY: install
install: build ## install to DESTDIR, below PREFIX=/usr/local; nothing is started
	packaging/install "$(DESTDIR)" "$(PREFIX)"

.PHONY: package
package: ## build the packages in dist, deb and rpm, with SBOMs and checksums
	rm -rf dist
	go run ./packaging/build $(PACKAGEFLAGS)

.PHONY: package-check
package-check: ## prove that another build, elsewhere, has the same packages as its result
	packaging/reproduce

.PHONY: package-test
package-test: package ## test the packages, and what they do when installed
	@.ci/deps check package
	$(CONTAIN) go test -count=1 $(TESTFLAGS) ./packaging

.PHONY: deps
deps: ## install what the tests need (Debian, Ubuntu; as root), or say what is missing
	@.ci/deps install test demo interop bgp package e2e bench

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist cover.out

# Inside test/contain there is no network to load modules from.
.PHONY: modules
modules:
	@go mod download
