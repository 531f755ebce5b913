# make run    build, and show what it does on sample logs; Ctrl-C ends it
# make test   everything: unit tests with the race detector, then real servers

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Tools are run at these versions and are no part of go.mod.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7

FUZZTIME ?= 10s

UNIT := $(shell go list ./... | grep -v '/e2e')

.PHONY: run build release reference test unit e2e e2e-setup bench bench-rivals pgo soak lint fuzz vuln clean

# The containers' logs are shown too, where there is a Docker socket.
SHOWN := $(if $(wildcard /var/run/docker.sock),with-docker.yml,longshore.yml)

run: build
	@bin/quickstart bin/longshore run -c examples/quickstart/$(SHOWN)

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/longshore ./cmd/longshore
	CGO_ENABLED=0 go build -trimpath -o bin/quickstart ./examples/quickstart

# What is released, into dist/: for amd64 and arm64 an archive, a deb, an rpm and a bill of
# materials, and the checksums of all. The same commit makes the same bytes.
release:
	cd e2e/tools/release && go run .

test: unit e2e

unit:
	go test -race $(UNIT)
	cd bench && go test -race ./...

# Starts real servers, bound to this machine alone; builds those that are missing
# first, into the user's cache folder, and removes only what it made. Where one cannot
# be had, its tests are skipped; with CI=true they fail.
e2e:
	-go run ./e2e/setup
	go test -count=1 -timeout 60m ./e2e/...

e2e-setup:
	go run ./e2e/setup

# The whole program on one core, against a receiver that counts.
bench: build
	cd bench && go run . -agent ../bin/longshore

# Beside other log shippers, each on the same core; builds those first that are missing,
# which takes minutes, into the user's cache folder. One that cannot be had is left out.
bench-rivals: build
	cd bench && go run . -agent ../bin/longshore -rivals -lines 500000

# The profile by which the compiler builds the agent: to be made anew when the hot path
# has changed.
pgo: build
	cd bench && go run . -agent ../bin/longshore -lines 6000000 -profile ../cmd/longshore/default.pgo

# Two minutes in which the agent is killed again and again while its destinations
# fail; every line must arrive exactly once. bin/soak -h names the flags; long is
#     make soak SOAK_FLAGS='-duration 4h -kills 1000'
soak: build
	CGO_ENABLED=0 go build -trimpath -o bin/soak ./soak
	bin/soak -agent bin/longshore $(SOAK_FLAGS)

# The pages in docs/reference, from the code.
reference:
	go test ./cmd/longshore -run TestReference -update

lint:
	go vet ./...
	go run $(STATICCHECK) ./...
	cd bench && go vet ./... && go run $(STATICCHECK) ./...
	cd e2e/tools/release && go vet ./... && go run $(STATICCHECK) ./...
	go test -count=1 -run TestLineLengths ./components
	go run $(ACTIONLINT) .github/workflows/*.yml

# Every fuzz target for FUZZTIME, one after the other.
fuzz:
	@set -e; for pkg in $(UNIT); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# Needs the vulnerability database, and so the network.
vuln:
	go run $(GOVULNCHECK) ./...

clean:
	rm -rf bin dist .quickstart
