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

// sharedWatch tells of a store that other nodes have too.
type sharedWatch struct{ *sipregd }

// NotDurable tells that the store is away.
func (w sharedWatch) NotDurable(cause error, _ int) {
	w.log.Error().Str("event", "not_durable").Err(cause).
		Msg("Redis is away, or the part of it that is named, or it refuses: registrations there are answered 503 until it serves, and lookups show what this node saw last; " + shared.Advice(cause))
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
