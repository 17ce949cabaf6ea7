# make demo and make test are all that a newcomer needs; each sets up what it needs.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: build demo test lint bench setup
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
	go test -race -timeout 9m ./...

bench:
	go test -run '^$$' -bench . -benchmem ./...
