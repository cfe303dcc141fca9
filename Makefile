# The targets that the README speaks of: run, test, endure, bench, install.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build run test lint unit fuzz fuzz-long endure bench install uninstall

prefix  := /usr
etc     := /etc/sipregd
state   := /var/lib/sipregd
share    = $(DESTDIR)$(prefix)/share
# Of sipregctl: where man pages go, and what bash, zsh and fish complete by.
man      = $(share)/man/man1
bash     = $(share)/bash-completion/completions/sipregctl
zsh      = $(share)/zsh/vendor-completions/_sipregctl
fish     = $(share)/fish/vendor_completions.d/sipregctl.fish
GO       = $(eval GO := $$(shell .ci/go))$(GO)
# Counted, not timed: a fuzzer whose time runs out amid its work fails.
fuzztime := 50000x

# Built from git, a binary says which commit it is of. The man pages and what
# shells complete by come from sipregctl itself.
build:
	$(GO) build -buildvcs=auto -trimpath -o bin/ ./cmd/...
	rm -rf bin/man bin/completions
	mkdir -p bin/man bin/completions
	bin/sipregctl man bin/man
	for shell in bash zsh fish; do bin/sipregctl completion $$shell > bin/completions/$$shell; done

# A registrar on 127.0.0.1:5060 with the peers of configs/peers.conf.
run: build
	chmod o-r configs/peers.conf
	bin/sipregd --config configs/local.conf

# Installs what the tests need and runs them all.
test: lint unit fuzz

lint:
	test -z "$$($(GO) list -f '{{.Dir}}' ./... | xargs gofmt -l | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

unit:
	.ci/apt gcc libc6-dev iproute2 nftables sip-tester baresip-core linphone-cli chromium systemd prometheus fail2ban
	.ci/phones || echo "SKIPPED: JsSIP and SIP.js could not be fetched, and the tests with them are left out" >&2
	{ ip netns add sipregd-test && ip netns delete sipregd-test; } 2>/dev/null || echo "SKIPPED: no network namespaces can be made here, and the tests of phones behind a NAT are left out: run this as root" >&2
	CI=$${CI:-} $(GO) test -race ./...

# Each fuzz target for a short while.
fuzz:
	for package in $$($(GO) list ./internal/...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(fuzztime) -fuzzminimizetime 1s $$package; \
		done; \
	done

# Each fuzz target for FUZZTIME, so many of them at once, with a line of what came of
# it in bin/fuzz, where their output is too.
FUZZTIME := 30m
FUZZJOBS := 1
fuzz-long:
	.ci/fuzz "$(GO)" $(FUZZTIME) $(FUZZJOBS) bin/fuzz

# What make test does for seconds, for minutes: the daemon is killed a thousand
# times, its disk is full for a minute, and 10,000 slow streams are held against it.
endure:
	SIPREGD_KILLS=1000 SIPREGD_DISKFULL=60 SIPREGD_SLOW=10000 SIPREGD_IDLE=5000 $(GO) test -timeout 60m \
		-run 'TestKills|TestFullDisk|TestSlowStreams|TestAnIdleStream' -v ./cmd/sipregd

# Registrations per second and CPU per registration; beside Kamailio's where
# it is installed (apt-get install kamailio).
bench: build
	bin/sipregload -bench -sipregd bin/sipregd

# A systemd service under an account of its own. Configuration that is there
# already stays as it is. It builds nothing, so that root need not.
install:
	@test -x bin/sipregd || { echo "nothing is built yet: make && sudo make install" >&2; exit 1; }
	install -D -m 755 -t $(DESTDIR)$(prefix)/bin bin/sipregd bin/sipregctl
	install -D -m 644 -t $(man) bin/man/*
	install -D -m 644 bin/completions/bash $(bash)
	install -D -m 644 bin/completions/zsh $(zsh)
	install -D -m 644 bin/completions/fish $(fish)
	install -D -m 644 configs/sipregd.service $(DESTDIR)/lib/systemd/system/sipregd.service
	test -n "$(DESTDIR)" || getent passwd sipregd >/dev/null || \
		useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin sipregd
	install -d -m 750 $(DESTDIR)$(etc) $(DESTDIR)$(state)
	for file in sipregd.conf peers.conf; do \
		test -e $(DESTDIR)$(etc)/$$file || install -m 640 configs/$$file $(DESTDIR)$(etc)/$$file; \
	done
	test -n "$(DESTDIR)" || chgrp -R sipregd $(etc)
	test -n "$(DESTDIR)" || chown sipregd:sipregd $(state)
	test -n "$(DESTDIR)" || ! test -d /run/systemd/system || systemctl daemon-reload

uninstall:
	test -n "$(DESTDIR)" || ! test -d /run/systemd/system || systemctl disable --now sipregd.service
	rm -f $(DESTDIR)$(prefix)/bin/sipregd $(DESTDIR)$(prefix)/bin/sipregctl $(DESTDIR)/lib/systemd/system/sipregd.service
	rm -f $(man)/sipregctl.1 $(man)/sipregctl-*.1 $(bash) $(zsh) $(fish)
