package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// configuration is what a sipregd is run with, all in one directory.
type configuration struct {
	directory string
	address   netip.AddrPort
	peers     []names
	store     string // memory, file or redis
	level     string // of the log
	tcp       bool   // streams are listened to
	forgets   bool   // no events are remembered
	guarded   bool   // nobody is trusted: the guard judges all
	redis     string // URL of the one that nodes share; empty: there is none
	node      string // its name among them
	calls     bool   // it tells phones of this machine where others are
}

func (c *configuration) path() string { return filepath.Join(c.directory, "sipregd.conf") }

// storePath is the directory of the file store.
func (c *configuration) storePath() string { return filepath.Join(c.directory, "store") }

// write writes sipregd.conf and peers.conf.
func (c *configuration) write() error {
	file, err := os.OpenFile(filepath.Join(c.directory, "peers.conf"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := writePeers(file, c.peers); err != nil {
		return err
	}
	return os.WriteFile(c.path(), []byte(c.text()), 0o600)
}

func (c *configuration) text() string {
	tcp := ""
	if c.tcp {
		tcp = " " + c.address.String()
	}
	recent := 8
	if c.forgets {
		recent = 0
	}
	trusted := ""
	if c.guarded {
		trusted = "[security]\ntrusted =\n"
	}
	redis := ""
	if c.redis != "" {
		redis = fmt.Sprintf("redis = %s\nnode = %s\n", c.redis, c.node)
	}
	calls := ""
	if c.calls {
		calls = "[calls]\nredirect = yes\npermit = 127.0.0.0/8\n"
	}
	return trusted + calls + fmt.Sprintf("[listen]\nudp = %v\ntcp =%s\n[peers]\nfile = peers.conf\n[location]\nstore = %s\npath = store\n%s"+
		"[registrar]\nqualify_frequency = 0\n[admin]\nsocket = %s\nrecent_memory = %d\n[log]\nlevel = %s\nformat = json\n",
		c.address, tcp, c.store, redis, controlSocket, recent, c.level)
}

func (b *benchmark) startSipregd(c *configuration) (*server, error) {
	return b.starter.start(c.address, c.peers, b.sipregd, "--config", c.path())
}

// withSipregd runs a sipregd in a directory of its own, somewhere below another
// one, for as long as use takes.
func (b *benchmark) withSipregd(c configuration, below string, use func(*server) error) (err error) {
	if c.directory, err = os.MkdirTemp(below, "sipregload-"); err != nil {
		return err
	}
	defer os.RemoveAll(c.directory)
	if c.address, err = freeAddress(); err != nil {
		return err
	}
	if err := c.write(); err != nil {
		return err
	}
	return b.onSipregd(&c, use)
}

var errNotDurable = errors.New("bindings could not be saved for a time and the daemon answered without: what was measured then is worth little")

// onSipregd runs a sipregd for as long as use takes. What the daemon has said
// stands in the error. Answers that nothing was saved for are no error yet, so
// that the rest is measured.
func (b *benchmark) onSipregd(c *configuration, use func(*server) error) error {
	s, err := b.startSipregd(c)
	if err != nil {
		return err
	}
	s.directory = c.directory
	err = use(s)
	s.stop()
	// With Redis nothing is answered that is not saved: it is counted who was put off.
	if lines := notDurable(s.output.Bytes()); len(lines) > 0 && c.redis == "" {
		b.notDurable = errNotDurable
		fmt.Fprintf(os.Stderr, "%v:\n%s", errNotDurable, lines)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.output.String())
	}
	return nil
}

// notDurable returns the lines of a log that say that bindings are not saved.
func notDurable(log []byte) []byte {
	var found []byte
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte(`"event":"not_durable"`)) {
			found = append(found, line...)
		}
	}
	return found
}
