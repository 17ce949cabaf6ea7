# make demo and make test are all that a newcomer needs; each sets up what it needs.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: build demo test lint fuzz bench setup
build:
	go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/keyrounds ./cmd/keyrounds

demo: build
	./bin/keyrounds demo $(ARGS)

setup:
	@test/setup.sh

lint:
	@out=$$(go tool gofumpt -l .); test -z "$$out" || { echo "not gofumpt'd:"; echo "$$out"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

test: setup lint build
	go test -race -timeout 14m -parallel 4 ./...
	$(MAKE) fuzz FUZZTIME=2s

# Each fuzz target for a while, from its seeds and what it found before.
FUZZTIME ?= 1m
fuzz:
	@for target in checker:FuzzClassify checker:FuzzScopes checker:FuzzPresets checker:FuzzGuardAddress config:FuzzParse secret:FuzzScrub usage:FuzzRecords; do \
		go test -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$${target%:*} || exit 1; done

bench:
	go test -run '^$$' -bench . -benchmem ./...
