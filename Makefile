# make demo and make test are all that a newcomer needs; each sets up what it needs.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: build demo test quick long format lint others modules fuzz bench parts setup assets
build:
	go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/keyrounds ./cmd/keyrounds

demo: build
	@test/setup.sh postgresql
	./bin/keyrounds demo $(ARGS)

setup:
	@test/setup.sh

# What the pages load beside their own files, from npm into web/pages/static, with its licences. It is kept in the repository, so only
# whoever changes a version in web/pages/assets/package.json needs it.
assets:
	@mkdir -p bin/assets && cp web/pages/assets/package*.json bin/assets/
	cd bin/assets && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	web/pages/assets/copy.sh "$(CURDIR)/bin/assets/node_modules" "$(CURDIR)/web/pages/static"

# golangci-lint and govulncheck are tools of tools/go.mod, built from the module proxy; its modules are not the project's.
GOLANGCI := bin/golangci-lint
$(GOLANGCI): tools/go.mod tools/go.sum
	go build -C tools -o ../$(GOLANGCI) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

format:
	@out=$$(go tool gofumpt -l .); test -z "$$out" || { echo "not gofumpt'd:"; echo "$$out"; exit 1; }
	go vet ./...

# The commands are for people's own machines as well; what is only on Linux says so there.
OTHERS := darwin windows
others:
	@for os in $(OTHERS); do GOOS=$$os CGO_ENABLED=0 go build -o /dev/null ./cmd/keyrounds || exit 1; done

lint: format others $(GOLANGCI)
	go tool staticcheck ./...
	$(GOLANGCI) run ./... $(foreach dir,$(MODULES),&& (cd $(dir) && $(CURDIR)/$(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...))
	go mod tidy -diff
	go mod verify
	@test/vulncheck.sh

# The loop of a working day: no race detector, and nothing that lasts. Its Postgres is kept in bin/ between runs.
quick: format
	go build -o bin/pgkeep ./test/pgkeep
	bin/pgkeep bin/pgtest go test -short -vet=off -p 3 -parallel 8 ./...

# Each process with the race detector sleeps a second at its end unless told otherwise; the tests start hundreds.
RACE := GORACE=atexit_sleep_ms=50

# The longest begin first, so that none of them is left alone at the end.
LONGEST := ./cmd/keyrounds ./rounds ./app ./deploy ./notify

# Modules of their own, whose dependencies are not the daemon's: the dashboards, and for tests authorization servers and a sender of logs.
MODULES := deploy/grafana sim/authserver/fosite sim/authserver/gooauth2 sim/authserver/zitadel test/senders/otelcol test/mailbox/mailpit
modules:
	@for dir in $(MODULES); do echo "$$dir"; \
		(cd $$dir && go vet ./... && go mod tidy -diff && go mod verify && go test ./...) || exit 1; done

test: setup lint modules
	$(RACE) go test -race -timeout 14m -parallel 4 $(LONGEST) ./...
	$(MAKE) fuzz FUZZTIME=300x

# All of it, whole campaigns too, before a release: an hour.
long: setup lint modules
	KEYROUNDS_LONG=1 $(RACE) go test -race -timeout 60m -parallel 8 -count 3 $(LONGEST) ./...
	$(MAKE) fuzz FUZZTIME=2m

# By number, not by time, in make test: Go calls a target failed ("context deadline exceeded") whose last input is slow.
# Each fuzz target for a while, from its seeds and what it found before. A package's are built once for all of them.
FUZZTIME ?= 1m
FUZZ := checker:FuzzClassify checker:FuzzScopes checker:FuzzPresets outbound:FuzzGuardAddress config:FuzzParse cmd/keyrounds:FuzzRawAnswers secret:FuzzScrub secret:FuzzKeys usage/feed:FuzzRecords usage/feed:FuzzNative usage/feed:FuzzTexts usage/feed:FuzzEnvelopes usage:FuzzUserAgents \
	leak/scan:FuzzArchives leak/intake:FuzzReports leak/intake:FuzzSignals
FUZZED := $(sort $(foreach target,$(FUZZ),$(firstword $(subst :, ,$(target)))))
fuzz:
	@for package in $(FUZZED); do go test -c -fuzz=. -o bin/fuzz/$$package.test ./$$package || exit 1; done
	@printf '%s\n' $(FUZZ) | xargs -P 2 -I@ sh -c 'target=@; package=$${target%:*}; echo "fuzz $$target"; \
		cd $$package && $(CURDIR)/bin/fuzz/$$package.test -test.run "^$$" -test.fuzz "^$${target#*:}$$" -test.fuzztime $(FUZZTIME) \
		-test.fuzzminimizetime 10x -test.fuzzcachedir "$$(go env GOCACHE)/fuzz/keyrounds/$$package"'

# One table of ratios to the least that must be done; parts of it by Go's benchmarks: make parts.
bench:
	go run ./bench $(ARGS)

parts:
	go test -run '^$$' -bench . -benchmem ./...
