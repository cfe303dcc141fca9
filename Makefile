# The targets that the README speaks of: run, test, endure, bench, install, package.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build run test lint unit fuzz audit endure bench install uninstall package package-test

prefix  := /usr
etc     := /etc/sipregd
share    = $(DESTDIR)$(prefix)/share
units    = $(DESTDIR)$(prefix)/lib/systemd/system
account  = $(DESTDIR)$(prefix)/lib/sysusers.d/sipregd.conf
man      = $(share)/man
examples = $(share)/doc/sipregd/examples
fail2ban = $(DESTDIR)/etc/fail2ban
# What bash, zsh and fish complete sipregctl by.
bash     = $(share)/bash-completion/completions/sipregctl
zsh      = $(share)/zsh/vendor-completions/_sipregctl
fish     = $(share)/fish/vendor_completions.d/sipregctl.fish
GO       = $(eval GO := $$(shell .ci/go))$(GO)
# The tools of .ci/tools, which have modules of their own.
tool     = $(GO) tool -modfile=.ci/tools/go.mod
# What a package is called and dated: the commit that it is made of. A version of before
# the first release is less than any release.
VERSION ?= $(shell TZ=UTC git log -1 --format=%cd --date=format-local:0~%Y%m%d%H%M%S)
DATE    ?= $(shell git log -1 --format=%ct)
MAINTAINER ?= $(shell git log -1 --format='%an <%ae>')

# Built from git, a binary says which commit it is of. Without cgo it needs no library of
# the system, and one source makes the same bytes wherever it is built. Man pages and
# what shells complete by come from the programs and their samples. The peers.conf to
# install names nobody: its sample peers are comments.
build:
	CGO_ENABLED=0 $(GO) build -buildvcs=auto -trimpath -o bin/ ./cmd/...
	rm -rf bin/man bin/completions
	mkdir -p bin/man bin/completions
	bin/sipregctl man bin/man
	bin/sipregman bin/sipregd bin/man
	awk '/^\[/ { peers = 1 } peers && /^[^;]/ { $$0 = ";" $$0 } 1' configs/peers.conf > bin/peers.conf
	for shell in bash zsh fish; do bin/sipregctl completion $$shell > bin/completions/$$shell; done

# A registrar on 127.0.0.1:5060 with the peers of configs/peers.conf.
run: build
	chmod o-r configs/peers.conf
	bin/sipregd --config configs/local.conf

# Installs what the tests need and runs them all. The fuzzers, a minute each, have what
# the tests leave of the machine: in a process group of their own, and not in a session of
# their own, which Linux would give as much as the tests.
test: lint audit
	mkdir -p bin
	set -m; nice -n 19 $(MAKE) --no-print-directory fuzz >bin/fuzz.log 2>&1 & fuzzers=$$!; set +m; \
	trap 'kill -- -$$fuzzers 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory unit; \
	wait $$fuzzers || status=$$?; \
	cat bin/fuzz.log; \
	exit $${status:-0}

lint:
	test -z "$$($(GO) list -f '{{.Dir}}' ./... | xargs gofmt -l | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Whether vulnerabilities are known of what is built in here.
audit:
	.ci/audit

unit:
	.ci/apt gcc libc6-dev iproute2 nftables sip-tester baresip-core linphone-cli chromium systemd prometheus fail2ban kamailio kamailio-presence-modules kamailio-utils-modules redis-server
	.ci/phones || echo "SKIPPED: JsSIP and SIP.js could not be fetched, and the tests with them are left out" >&2
	{ ip netns add sipregd-test && ip netns delete sipregd-test; } 2>/dev/null || echo "SKIPPED: no network namespaces can be made here, and the tests of phones behind a NAT are left out: run this as root" >&2
	CI=$${CI:-} $(GO) test -race -timeout 30m ./... # a busy machine takes long
	CI=$${CI:-} $(GO) test -run 'TestAnIdleStreamTakesLittle|TestTimeTellsNoNames' ./cmd/sipregd ./internal/registrar # of which the race detector would tell nothing

# Each fuzz target for FUZZTIME seconds, so many of them at once, with a line of what came
# of it in bin/fuzz, where their output is too.
FUZZTIME := 60
FUZZJOBS := 2
fuzz:
	.ci/fuzz "$(GO)" $(FUZZTIME) $(FUZZJOBS) bin/fuzz

# What make test does for seconds, for minutes and an hour: the daemon is killed a thousand
# times, its disk is full for a minute, 10,000 slow streams are held against it, and for an
# hour faults befall it at random. SIPREGD_SEED=n chooses those of another run again.
endure:
	SIPREGD_KILLS=1000 SIPREGD_DISKFULL=60 SIPREGD_SLOW=10000 SIPREGD_IDLE=5000 SIPREGD_SOAK=3600 SIPREGD_NODES=60 $(GO) test -timeout 150m \
		-run 'TestKills|TestFullDisk|TestSlowStreams|TestAnIdleStream|TestSoak|TestManyNodes|TestAFailover' -v ./cmd/sipregd

# Registrations per second and CPU per registration; beside Kamailio's where
# it is installed (apt-get install kamailio), and of nodes that share Redis where that is
# (apt-get install redis-server).
bench: build
	bin/sipregload -bench -sipregd bin/sipregd

# A systemd service under an account of its own. Configuration that is there
# already stays as it is. It builds nothing, so that root need not.
install:
	@test -x bin/sipregd || { echo "nothing is built yet: make && sudo make install" >&2; exit 1; }
	install -D -m 755 -t $(DESTDIR)$(prefix)/bin bin/sipregd bin/sipregctl
	for section in 1 5 8; do install -D -m 644 -t $(man)/man$$section bin/man/*.$$section; done
	install -D -m 644 bin/completions/bash $(bash)
	install -D -m 644 bin/completions/zsh $(zsh)
	install -D -m 644 bin/completions/fish $(fish)
	install -D -m 644 -t $(units) configs/sipregd.service configs/sipregd.socket configs/sipregd-nft.service
	install -D -m 644 -t $(examples) configs/prometheus-rules.yml configs/grafana-dashboard.json
	install -D -m 644 -t $(examples)/kamailio configs/kamailio/redirect.cfg configs/kamailio/lookup.cfg configs/kamailio/reginfo.cfg
	install -D -m 644 configs/package/sysusers.conf $(account)
	test -n "$(DESTDIR)" || systemd-sysusers $(account)
	install -d -m 750 $(DESTDIR)$(etc)
	for file in configs/sipregd.conf bin/peers.conf; do \
		test -e $(DESTDIR)$(etc)/$${file#*/} || install -m 640 $$file $(DESTDIR)$(etc); \
	done
	for file in filter.d/sipregd.conf jail.d/sipregd.conf; do \
		test -e $(fail2ban)/$$file || install -D -m 644 configs/fail2ban/$$file $(fail2ban)/$$file; \
	done
	test -n "$(DESTDIR)" || chgrp -R sipregd $(etc)
	test -n "$(DESTDIR)" || ! test -d /run/systemd/system || systemctl daemon-reload

# Configuration stays, fail2ban's too: a jail that somebody has enabled needs its filter.
uninstall:
	for unit in sipregd-nft.service sipregd.socket sipregd.service; do \
		test -n "$(DESTDIR)" || ! test -d /run/systemd/system || ! test -e $(units)/$$unit || systemctl disable --now $$unit; \
	done
	rm -f $(DESTDIR)$(prefix)/bin/sipregd $(DESTDIR)$(prefix)/bin/sipregctl $(account)
	rm -f $(units)/sipregd.service $(units)/sipregd.socket $(units)/sipregd-nft.service
	rm -f $(examples)/prometheus-rules.yml $(examples)/grafana-dashboard.json
	rm -f $(examples)/kamailio/redirect.cfg $(examples)/kamailio/lookup.cfg $(examples)/kamailio/reginfo.cfg
	rm -f $(man)/man1/sipregctl.1 $(man)/man1/sipregctl-*.1 $(man)/man8/sipregd.8 $(man)/man5/sipregd.conf.5 $(man)/man5/peers.conf.5
	rm -f $(bash) $(zsh) $(fish)

# bin/*.deb and bin/*.rpm. What is in them comes from install; beside it the list of
# all modules (SBOM) and their licences.
package: build
	rm -rf bin/root bin/*.deb bin/*.rpm
	$(MAKE) --no-print-directory install DESTDIR=bin/root
	gzip -9n -r bin/root/usr/share/man
	install -d bin/root/usr/share/doc/sipregd
	for program in sipregd sipregctl; do \
		$(tool) cyclonedx-gomod bin -json -std -noserial -notimestamp -version '$(VERSION)' -output bin/root/usr/share/doc/sipregd/$$program.cdx.json bin/$$program; \
	done
	.ci/licenses bin/sipregd bin/sipregctl | gzip -9n > bin/root/usr/share/doc/sipregd/licenses.gz
	find bin/root/usr -type f -exec chmod u=rwX,go=rX {} +
	find bin/root -exec touch -d @$(DATE) {} +
	for kind in deb rpm; do \
		ARCH=$$($(GO) env GOARCH) VERSION=$(VERSION) MAINTAINER="$(MAINTAINER)" SOURCE_DATE_EPOCH=$(DATE) \
			$(tool) nfpm package --config configs/package/nfpm.yaml --packager $$kind --target bin/; \
	done

# Installs, upgrades and removes the package in a Debian of its own, with systemd, and
# builds it twice. As root; some minutes.
package-test: package
	.ci/apt debootstrap systemd-container rpm
	.ci/package-test
	.ci/reproducible
