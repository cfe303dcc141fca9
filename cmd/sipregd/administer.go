package main

import (
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sipregd/internal/admin"
	"sipregd/internal/admin/api"
	"sipregd/internal/config"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/location/durable"
	"sipregd/internal/location/shared"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
	"sipregd/internal/transport"
)

// What follows is what the administrator sees and does: admin.Daemon.

// administer listens to the administrator. That there is no control socket is no
// reason not to serve phones.
func (d *sipregd) administer() error {
	d.readMetrics()
	options := admin.Options{
		Daemon: d, Store: d.store, Recorder: d.recorder, Qualifier: d.qualifier, Forgets: d.config.Admin.RecentMemory == 0,
		Guard: d.guard, Bans: d, Metrics: d.metrics.Handler(),
		Token: d.config.Admin.Token, Clock: time.Now, Trouble: d.trouble,
	}
	if d.config.Listen.SharePorts {
		options.Replaces, options.Control = true, transport.SharePort
	}
	d.admin = admin.New(options)
	if address := d.config.Admin.HTTP; address != "" {
		if err := d.admin.ListenHTTP(address); err != nil {
			return err
		}
	}
	if path := d.config.Admin.Socket; path != "" {
		if err := d.admin.ListenUnix(path); err != nil {
			d.log.Warn().Err(err).Msg("sipregctl cannot reach this daemon")
		}
	}
	return nil
}

// Directory returns the peers of today.
func (d *sipregd) Directory() *peers.Directory { return d.registrar.Directory() }

// Locate returns what a URI leads to.
func (d *sipregd) Locate(uri sipuri.URI) (aor sipuri.AOR, bindings []location.Binding, stale bool) {
	return d.registrar.Locate(uri, time.Now())
}

// FlowGone tells whether the connection has ended that a phone is reached by.
func (d *sipregd) FlowGone(b *location.Binding) bool { return d.registrar.FlowGone(b) }

// Remove removes bindings and makes that last.
func (d *sipregd) Remove(aor sipuri.AOR, ids []uint64) (removed int, err error) {
	mark := d.store.Begin()
	if removed, err = d.registrar.Remove(aor, ids, time.Now()); err != nil || removed == 0 {
		return 0, err
	}
	if err = d.store.Commit(mark); err != nil {
		d.journal.Record(journal.Event{Kind: journal.Refused, Reason: journal.StoreFailed, AOR: aor,
			Detail: "the removal by the administrator is undone: " + err.Error()})
	}
	return removed, err
}

// Banned takes down that the administrator has a network kept out.
func (d *sipregd) Banned(ban guard.Ban) { d.tellBan(d.log.Info(), ban, ban.Network.Addr()) }

// bannedByItself takes down that the guard keeps a network out, and who was the last to
// fail there.
func (d *sipregd) bannedByItself(ban guard.Ban, source netip.Addr) {
	d.tellBan(d.log.Warn(), ban, source)
}

func (d *sipregd) tellBan(line *zerolog.Event, ban guard.Ban, source netip.Addr) {
	line = line.Str("event", "ban_added").Stringer("src_ip", source).Str("network", guard.Text(ban.Network)).Str("by", ban.By())
	if !ban.Until.IsZero() {
		line.Time("until", ban.Until)
	}
	if ban.Why != "" {
		line.Str("detail", ban.Why)
	}
	line.Msg("network banned")
}

// Lifted takes down that the administrator lets a network in again.
func (d *sipregd) Lifted(network netip.Prefix) {
	d.log.Info().Str("event", "ban_lifted").Stringer("src_ip", network.Addr()).Str("network", guard.Text(network)).Msg("ban lifted")
}

// Reload reads the peers and the certificate anew, as SIGHUP does.
func (d *sipregd) Reload() api.Reload {
	return d.reload()
}

// Check tells what Reload would do.
func (d *sipregd) Check() api.Reload {
	d.reloading.Lock() // one at a time
	defer d.reloading.Unlock()
	next, result := d.readAnew()
	if result.OK {
		result.compare(d.shown, next.pair)
		result.take(peers.Compare(d.registrar.Directory(), next.peers))
	}
	return result.Reload
}

// Ready returns why phones cannot register.
func (d *sipregd) Ready() error {
	switch store := d.store.(type) {
	case *durable.Store:
		if d.config.Location.RequireDurable {
			return store.Status().Failure
		}
	case *shared.Store:
		if store.Away() { // of a Cluster all, or no balancer would send anything to any node
			return store.Status().Failure
		}
	}
	return nil
}

// Stats tells how the daemon does.
func (d *sipregd) Stats() api.Stats {
	aors, bindings := d.store.Count()
	events := d.recorder.Counts()
	stats := api.Stats{
		Version: strings.TrimSpace(buildVersion()), Started: d.started, Uptime: int64(time.Since(d.started).Seconds()),
		Listen: append(d.server.Addresses(), d.admin.Addresses()...),
		Peers:  d.registrar.Directory().Len(), AORs: aors, Bindings: bindings,
		Streams: d.server.Counts().Streams, Transactions: d.layer.Counts(time.Now()).Transactions, Bans: len(d.guard.List(time.Now())),
		Events: events.ByKind(), Refusals: events.ByReason(),
		Store: d.storeStats(), Reload: d.lastReload.Load().Reload,
	}
	if d.webhook != nil {
		webhook := d.webhook.Status()
		stats.Webhook = &webhook
	}
	return stats
}

// readMetrics has all that is counted read at each scrape.
func (d *sipregd) readMetrics() {
	sources := admin.Sources{
		Watches: d.recorder.Watches, Requests: d.layer.Counts, Sockets: d.server.Counts, STUN: d.stun.Answered,
		Bindings: d.store.Count, Qualify: d.qualifier.Counts, Nonces: d.authenticator.UsedPages,
		Peers: func() int { return d.registrar.Directory().Len() }, Guard: d.guard,
	}
	if d.config.Admin.RecentMemory > 0 {
		sources.Events = d.recorder.Counts
	}
	if d.notifier != nil {
		sources.Subscriptions = d.notifier.Counts
	}
	switch store := d.store.(type) {
	case *durable.Store:
		sources.Saving = func() (durable bool, unsaved int) {
			status := store.Status()
			return status.Failure == nil, status.Unsaved
		}
	case *shared.Store:
		sources.Saving = func() (durable bool, unsaved int) { return store.Status().Failure == nil, 0 }
		sources.Shared = func() admin.SharedCounts { return sharedCounts(store) }
	}
	if d.webhook != nil {
		sources.Webhook = d.webhook.Status
	}
	d.metrics.Read(sources)
}

func (d *sipregd) storeStats() api.Store {
	stats := api.Store{Kind: d.config.Location.Store, Node: d.node}
	var failure error
	var since time.Time
	switch store := d.store.(type) {
	case *durable.Store:
		status := store.Status()
		stats.Unsaved, failure, since = status.Unsaved, status.Failure, status.Since
	case *shared.Store:
		status := store.Status()
		failure, since = status.Failure, status.Since
	default:
		return stats
	}
	if stats.Durable = failure == nil; failure != nil {
		stats.Failure, stats.Since = failure.Error(), &since
	}
	return stats
}

// readerWarnings warns where everybody on the machine can read the administrator's
// secrets.
func readerWarnings(path string, c *config.Config) (warnings []string) {
	if othersRead(path) && (c.Admin.Token != "" || c.Admin.WebhookSecret != "") {
		warnings = append(warnings, path+": every account on this machine can read the secrets in [admin]; take that away with chmod o-r")
	}
	if othersRead(path) && (c.Security.NonceSecret != "" || c.Location.Store == "redis" && strings.Contains(c.Location.Redis, "@")) {
		warnings = append(warnings, path+": every account on this machine can read nonce_secret or the password of Redis; take that away with chmod o-r")
	}
	if key := c.Listen.PrivateKey; key != "" && othersRead(key) {
		warnings = append(warnings, key+": every account on this machine can read the private key; take that away with chmod o-r")
	}
	return warnings
}

// othersRead tells whether every account on the machine can read a file.
func othersRead(path string) bool {
	const othersRead = 0o004
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&othersRead != 0
}
