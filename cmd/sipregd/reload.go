package main

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"sipregd/internal/admin/api"
	"sipregd/internal/config"
	"sipregd/internal/peers"
	"sipregd/internal/transport"
)

// reloaded is what came of reading the peers anew.
type reloaded struct{ api.Reload }

func (r *reloaded) take(difference peers.Difference) {
	r.Added, r.Removed, r.Changed = difference.Added, difference.Removed, difference.Changed
}

// compare tells what becomes of the certificates.
func (r *reloaded) compare(shown *transport.Certificate, next *transport.Pair) {
	if next == nil {
		return
	}
	certificate, authorities := shown.Compare(next)
	if certificate {
		r.Certificate = new(next.Expires().UTC())
	}
	r.ClientCA = authorities
}

// errNoPeersLeft is what a file amounts to that was read half written.
var errNoPeersLeft = errors.New("no peers are left: if that is meant, stop the daemon, or keep one with enabled = no")

// reload reads the peers and the certificates anew. Where one of them does not load
// nothing changes.
func (d *sipregd) reload() api.Reload {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.notify(systemd.SdNotifyReloading)
	defer d.notify(systemd.SdNotifyReady)
	d.checkOwnConfiguration()
	next, result := d.readAnew()
	d.warn(result.Warnings)
	if !result.OK {
		d.reloadFailed(result.Errors)
	} else {
		result.compare(d.shown, next.pair)
		d.takePair(next.pair, &result)
		result.take(d.takePeers(next.peers))
	}
	d.lastReload.Store(&result)
	d.metrics.Reloaded(result.OK, result.Time)
	return result.Reload
}

// anew is what a reload puts in the place of what is there.
type anew struct {
	peers *peers.Directory
	pair  *transport.Pair // nil: there is no certificate
}

// readAnew reads what a reload takes in, and tells whether it may.
func (d *sipregd) readAnew() (next anew, result reloaded) {
	directory, warnings, err := loadPeers(&d.config)
	if err == nil && directory.Len() == 0 && d.registrar.Directory().Len() > 0 {
		err = errNoPeersLeft
	}
	pair, pairWarnings, pairErr := readPair(&d.config)
	result = reloaded{api.Reload{Time: time.Now().UTC(), Warnings: append(warnings, pairWarnings...)}}
	if err := errors.Join(err, pairErr); err != nil {
		result.Errors = strings.Split(err.Error(), "\n")
		return anew{}, result
	}
	result.OK, result.Peers = true, directory.Len()
	return anew{directory, pair}, result
}

// readPair reads the certificate, its key and those who sign certificates of phones, if
// there are to be any.
func readPair(c *config.Config) (pair *transport.Pair, warnings []string, err error) {
	if c.Listen.Certificate == "" {
		return nil, nil, nil
	}
	pair, err = transport.ReadPair(c.Listen.Certificate, c.Listen.PrivateKey, c.Listen.ClientCA)
	if err != nil {
		return nil, nil, err
	}
	return pair, pair.Warnings(time.Now()), nil
}

// takePair has new streams see the certificate as it is now, and judges theirs. Those
// that are open live on.
func (d *sipregd) takePair(pair *transport.Pair, difference *reloaded) {
	if pair == nil {
		return
	}
	d.shown.Replace(pair)
	if difference.ClientCA {
		d.log.Info().Str("event", "client_ca_reloaded").Msg("new TLS connections are judged by the new client_ca")
	}
	if until := difference.Certificate; until != nil {
		d.log.Info().Str("event", "certificate_reloaded").Time("expires", *until).Msg("new TLS connections see the new certificate")
	}
}

// takePeers puts other peers in the place of those of today.
func (d *sipregd) takePeers(next *peers.Directory) peers.Difference {
	last := d.registrar.Directory()
	difference := peers.Compare(last, next)
	d.directory.Store(next)
	if d.node != "" {
		d.takeShared(next)
	} else {
		mark := d.store.Begin()
		d.registrar.Reload(next, time.Now)
		_ = d.store.Commit(mark) // a disk that fails is another matter
	}
	d.qualifier.Reloaded()
	if d.notifier != nil {
		d.notifier.Reloaded()
	}
	d.log.Info().Str("event", "reloaded").Int("peers", next.Len()).
		Strs("added", difference.Added).Strs("removed", difference.Removed).Strs("changed", difference.Changed).
		Msg("peers reloaded: " + difference.String())
	return difference
}

// takeShared is the registrar's Reload where nodes share the store: bindings that belong
// to nobody any more are removed within a second or so, once Redis is there.
func (d *sipregd) takeShared(next *peers.Directory) {
	last := d.registrar.Take(next)
	d.owed = append(d.owed, formerPeers{last, time.Now()})
	if len(d.owed) > maxFormer { // the first ones have bound what is oldest
		d.owed = slices.Delete(d.owed, 1, 2)
	}
}

// maxFormer bounds how many reloads are remembered while Redis is away.
const maxFormer = 16

// formerPeers are peers up to a time.
type formerPeers struct {
	*peers.Directory
	until time.Time
}

// reloadFailed says what is wrong, a line for each fault.
func (d *sipregd) reloadFailed(faults []string) {
	for _, fault := range faults {
		d.log.Error().Str("event", "reload_failed").Str("error", fault).Msg("not reloaded: everything stays as it was")
	}
}

// checkOwnConfiguration says what another start would make of sipregd.conf.
func (d *sipregd) checkOwnConfiguration() {
	if c, err := loadConfig(d.path); err != nil {
		d.log.Error().Err(err).Msg("sipregd.conf does not load any more: mend it before the next start")
	} else if !reflect.DeepEqual(c, d.config) {
		d.log.Warn().Msg("sipregd.conf has changed: that takes a restart; only peers and certificates are read anew")
	}
}
