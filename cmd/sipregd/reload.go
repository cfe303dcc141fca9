package main

import (
	"errors"
	"reflect"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"sipregd/internal/admin/api"
	"sipregd/internal/peers"
)

// reloaded is what came of reading the peers anew.
type reloaded struct{ api.Reload }

func (r *reloaded) take(difference peers.Difference) {
	r.Added, r.Removed, r.Changed = difference.Added, difference.Removed, difference.Changed
}

// errNoPeersLeft is what a file amounts to that was read half written.
var errNoPeersLeft = errors.New("no peers are left: if that is meant, stop the daemon, or keep one with enabled = no")

// reload reads the peers anew. Where they do not load nothing changes.
func (d *sipregd) reload() api.Reload {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.notify(systemd.SdNotifyReloading)
	defer d.notify(systemd.SdNotifyReady)
	d.checkOwnConfiguration()
	next, result := d.readPeers()
	d.warn(result.Warnings)
	if next == nil {
		d.reloadFailed(result.Errors)
	} else {
		result.take(d.takePeers(next))
	}
	d.lastReload.Store(&result)
	d.metrics.Reloaded(result.OK, result.Time)
	return result.Reload
}

// readPeers reads the peers, nil where they cannot take the place of those of today.
func (d *sipregd) readPeers() (*peers.Directory, reloaded) {
	next, warnings, err := loadPeers(&d.config)
	result := reloaded{api.Reload{Time: time.Now().UTC(), Warnings: warnings}}
	if err == nil && next.Len() == 0 && d.registrar.Directory().Len() > 0 {
		err = errNoPeersLeft
	}
	if err != nil {
		result.Errors = strings.Split(err.Error(), "\n")
		return nil, result
	}
	result.OK, result.Peers = true, next.Len()
	return next, result
}

// takePeers puts other peers in the place of those of today.
func (d *sipregd) takePeers(next *peers.Directory) peers.Difference {
	difference := peers.Compare(d.registrar.Directory(), next)
	d.directory.Store(next)
	mark := d.store.Begin()
	d.registrar.Reload(next)
	_ = d.store.Commit(mark) // a disk that fails is another matter
	d.log.Info().Str("event", "reloaded").Int("peers", next.Len()).
		Strs("added", difference.Added).Strs("removed", difference.Removed).Strs("changed", difference.Changed).
		Msg("peers reloaded: " + difference.String())
	return difference
}

// reloadFailed says what is wrong, a line for each fault.
func (d *sipregd) reloadFailed(faults []string) {
	for _, fault := range faults {
		d.log.Error().Str("event", "reload_failed").Str("error", fault).Msg("peers not reloaded: everything stays as it was")
	}
}

// checkOwnConfiguration says what another start would make of sipregd.conf.
func (d *sipregd) checkOwnConfiguration() {
	if c, err := loadConfig(d.path); err != nil {
		d.log.Error().Err(err).Msg("sipregd.conf does not load any more: mend it before the next start")
	} else if !reflect.DeepEqual(c, d.config) {
		d.log.Warn().Msg("sipregd.conf has changed: that takes a restart; only peers are read anew")
	}
}
