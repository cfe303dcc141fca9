package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"sipregd/internal/admin"
	"sipregd/internal/config"
	"sipregd/internal/digest"
	"sipregd/internal/location"
	"sipregd/internal/location/shared"
	"sipregd/internal/qualify"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
)

// openShared opens the store that other nodes have too. Where it is away, phones are
// answered 503 until it is there.
func (d *sipregd) openShared() error {
	c := &d.config
	node, err := nodeName(&c.Location)
	if err != nil {
		return err
	}
	store, err := shared.Open(shared.Options{
		URL: c.Location.Redis, Node: node, Observer: sharedWatch{d},
		NonceLifetime: time.Duration(c.Security.NonceLifetime)*time.Second + digest.ClockDifference, Remembered: c.Location.Remembered,
	})
	if err != nil {
		return fmt.Errorf("[location] redis: %w", err)
	}
	d.node, d.store, d.owed = node, store, []formerPeers{{d.directory.Load(), time.Now()}}
	return nil
}

// checkShared tells what keeps the store that nodes share from being opened, without asking
// it.
func checkShared(c *config.Config) error {
	if c.Location.Store != "redis" {
		return nil
	}
	if _, err := nodeName(&c.Location); err != nil {
		return err
	}
	if err := shared.Check(c.Location.Redis); err != nil {
		return fmt.Errorf("[location] redis: %w", err)
	}
	return nil
}

// nodeName returns what this node is called by others.
func nodeName(c *config.Location) (string, error) {
	if c.Node != "" {
		return c.Node, nil
	}
	name, err := os.Hostname()
	if err == nil && !config.IsNodeName(name) {
		err = fmt.Errorf("this machine's name is %q", name)
	}
	if err != nil {
		return "", fmt.Errorf("[location] node is empty, and %w: write a name such as sip1", err)
	}
	return name, nil
}

// others is what the registrar has to know of other nodes.
func (d *sipregd) others() registrar.Others {
	if d.node == "" {
		return registrar.Others{}
	}
	return registrar.Others{Node: d.node, Outbound: d.config.Location.Outbound, Started: d.started}
}

// asked returns where the bindings are whose phones this node asks whether they are there.
func (d *sipregd) asked() qualify.Store {
	if store, isShared := d.store.(*shared.Store); isShared {
		return ownBindings{store}
	}
	return d.store
}

// ownBindings is the store that nodes share, of which one goes through its own alone.
type ownBindings struct{ *shared.Store }

func (o ownBindings) All() iter.Seq2[sipuri.AOR, []location.Binding] { return o.Own() }

// isAway tells whether all of the store that nodes share is away.
func (d *sipregd) isAway() bool {
	store, isShared := d.store.(*shared.Store)
	return isShared && store.Away()
}

// removeGone removes the bindings of those that are gone. Nobody waits for a store that
// is far away: then it is done beside all else, once at a time.
func (d *sipregd) removeGone(now time.Time) {
	if d.node == "" {
		d.removeFlowless(now)
		return
	}
	if d.isAway() || !d.removing.CompareAndSwap(false, true) {
		return
	}
	d.removals.Go(func() {
		defer d.removing.Store(false)
		d.settleShared(now)
		d.removeFlowless(now)
	})
}

// settleShared looks at what an earlier life of this node has left in a store that is
// there, and removes bindings of peers that went.
func (d *sipregd) settleShared(now time.Time) {
	if store, isShared := d.store.(*shared.Store); isShared && !d.settled && store.Adopt() == nil {
		d.settled = true
		d.settle(now)
	}
	d.reloading.Lock()
	owed := d.owed
	d.owed = nil
	d.reloading.Unlock()
	for _, former := range owed {
		d.registrar.EndSince(former.Directory, former.until)
	}
}

// sharedWatch tells of a store that other nodes have too.
type sharedWatch struct{ *sipregd }

// NotDurable tells that the store is away.
func (w sharedWatch) NotDurable(cause error, _ int) {
	w.log.Error().Str("event", "not_durable").Err(cause).
		Msg("Redis is away, or the part of it that is named: registrations there are refused until it is back (503), and lookups show what this node saw last")
}

// SecretTrouble tells that nodes do not share a secret any more.
func (w sharedWatch) SecretTrouble(key string, cause error) {
	if errors.Is(cause, shared.ErrSecretChanged) {
		w.log.Error().Str("event", "secret_changed").Str("key", key).
			Msg("nodes share another secret than this one has, which goes on with its own: restart it")
		return
	}
	w.log.Error().Str("event", "secret_unusable").Str("key", key).Err(cause).
		Msg("this node goes on with the secret that it has, and one that starts makes its own: remove what is there (redis-cli DEL " + key + "), and this one puts its own back")
}

// Durable tells that it is back, or a part of it.
func (w sharedWatch) Durable(after time.Duration, all bool) {
	w.spread.ended(time.Now(), after)
	text := "Redis is back: phones register again"
	if !all {
		text = "a part of Redis is back, and another one is away still"
	}
	w.log.Info().Str("event", "durable").Dur("after_ms", after).Msg(text)
}

func sharedCounts(store *shared.Store) admin.SharedCounts {
	numbers := store.Numbers()
	return admin.SharedCounts{
		Up: store.Status().Failure == nil, Operations: numbers.Operations, Conflicts: numbers.Conflicts,
		Errors: numbers.Errors, Replayed: numbers.Replayed,
	}
}

// twinReminder is how often it is told that two nodes have one name.
const twinReminder = time.Minute

// lookForTwin tells where another node has the name of this one, unless a daemon is to take
// its place just now.
func (d *sipregd) lookForTwin(now time.Time) {
	if now.Sub(d.twinTold) < twinReminder || !d.registrar.HasTwin() {
		return
	}
	d.twinTold = now
	if d.config.Listen.SharePorts {
		d.log.Warn().Str("event", "taking_over").Str("node", d.node).
			Msg("another daemon has the name of this one: if it takes the other's place, end the older of the two soon, since each takes the other's phones for gone")
	} else {
		d.log.Error().Str("event", "node_name_twice").Str("node", d.node).
			Msg("another node has the name of this one, and each takes the other's phones for gone: give each a [location] node of its own")
	}
}
