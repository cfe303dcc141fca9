package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sipregd/internal/config"
	"sipregd/internal/location"
	"sipregd/internal/location/durable"
	"sipregd/internal/registrar"
)

// startTimeout is what systemd is asked for, again and again, while a large
// store is read.
const startTimeout = 30 * time.Second

// openStore opens the store that [location] asks for.
func (d *sipregd) openStore() error {
	c := &d.config.Location
	switch c.Store {
	case "memory":
		d.store = location.NewMemory(time.Now())
		return nil
	case "redis":
		return d.openShared()
	}
	store, err := durable.Open(durable.Options{
		Path: c.Path, Require: c.RequireDurable, Observer: d, Unwanted: d.endLeftover,
	})
	if err != nil {
		return fmt.Errorf("bindings cannot be kept: %w", err)
	}
	d.store = store
	return nil
}

// storeWarnings says what will keep bindings from being saved, as far as this
// account can tell.
func storeWarnings(c *config.Config) []string {
	if c.Location.Store != "file" {
		return nil
	}
	path := c.Location.Path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it is made at the start
		return parentWarnings(path)
	case err != nil:
		return []string{fmt.Sprintf("[location] path: %v", err)}
	case !info.IsDir():
		return []string{fmt.Sprintf("[location] path: %s is no directory: name another one", path)}
	case unix.Access(path, unix.W_OK|unix.X_OK) != nil:
		return []string{fmt.Sprintf("[location] path: this account may not write in %s: bindings would be kept in memory only", path)}
	}
	return nil
}

// parentWarnings says where a directory that is not there cannot be made.
func parentWarnings(path string) []string {
	for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != filepath.Dir(parent) {
			continue
		}
		if unix.Access(parent, unix.W_OK|unix.X_OK) != nil {
			return []string{fmt.Sprintf("[location] path: %s is not there, and this account may not make it in %s", path, parent)}
		}
		return nil
	}
}

// endLeftover tells whether a binding of an earlier life is of no use any more,
// and takes that down, or that its source is known.
func (d *sipregd) endLeftover(entry location.Entry) bool {
	event, ends := registrar.Leftover(d.directory.Load(), entry, time.Now())
	if ends {
		d.journal.Record(event)
	} else { // its phone may come back while strangers flood
		d.guard.Know(entry.Binding.Source.Addr())
	}
	return ends
}

// closeStore saves what is left to save.
func (d *sipregd) closeStore() {
	if store, closes := d.store.(io.Closer); closes {
		if err := store.Close(); err != nil {
			d.log.Error().Str("event", "not_durable").Err(err).Msg("bindings are lost")
		}
	}
}

// Reading tells how far a large store has been read, and systemd to wait on.
func (d *sipregd) Reading(bindings int) {
	d.notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=reading bindings: %d", startTimeout.Microseconds(), bindings))
	d.log.Info().Str("event", "reading").Int("bindings", bindings).Msg("reading bindings")
}

// Loaded tells that bindings were read. Where the disk fails at the start, that is later.
func (d *sipregd) Loaded(bindings int, took time.Duration) {
	select {
	case d.loaded <- struct{}{}:
	default: // it is to be looked at already
	}
	d.log.Info().Str("event", "loaded").Int("bindings", bindings).Dur("took_ms", took).Msg("bindings read")
}

// Damaged tells what is wrong with a store.
func (d *sipregd) Damaged(damage durable.Damage) {
	event := d.log.Error().Str("event", "store_damaged").Str("set_aside", damage.Aside).
		Int("read", damage.Served).Str("detail", strings.Join(damage.Details, "; "))
	if damage.Lost > 0 {
		event.Int("lost", damage.Lost)
	}
	if damage.Torn {
		event.Msg("the last log of the store ends amid a commit, by a power cut or by damage: " +
			"what follows is not known, and phones bring it again; a copy is kept")
		return
	}
	event.Msg("the store was damaged: what could be read is served, how much is lost beyond \"lost\" is not known, " +
		"and the damaged files are kept")
}

// NotDurable tells that bindings cannot be saved.
func (d *sipregd) NotDurable(cause error, aors int) {
	message := "not durable: bindings are served and changed in memory, and saved once the disk is back"
	if d.config.Location.RequireDurable {
		message = "not durable: changes are refused until the disk is back"
	}
	if errors.Is(cause, fs.ErrPermission) {
		message += "; let the account that sipregd runs under write in all of " + d.config.Location.Path
	}
	d.log.Error().Str("event", "not_durable").Err(cause).Int("unsaved", aors).Msg(message)
}

// Durable tells that all bindings are saved again.
func (d *sipregd) Durable(after time.Duration) {
	d.log.Info().Str("event", "durable").Dur("after_ms", after).Msg("durable again: all bindings are saved")
}

// Committed tells how long it took to save the bindings of so many AORs.
func (d *sipregd) Committed(took time.Duration, aors int) { d.metrics.Committed(took, aors) }

// Trouble may come often: a few lines a second say enough.
func (d *sipregd) Trouble(err error) { d.often.Warn().Err(err).Msg("trouble with the store") }
