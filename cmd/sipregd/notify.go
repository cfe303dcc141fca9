package main

import (
	"context"
	"crypto/rand"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/regevent"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// What follows tells those who have subscribed to registration events (RFC 3680), where
// [calls] events lets anybody.

// newNotifier returns who tells them, nil where there is nobody to tell.
func (d *sipregd) newNotifier() *regevent.Notifier {
	c := &d.config.Calls
	if !c.Events {
		return nil
	}
	versions, _ := d.store.(regevent.Versions) // which the shared store alone has
	return regevent.New(regevent.Options{
		Store: d.store, Versions: versions, Journal: d.journal, Send: d.server.Send, Gone: transport.ErrNoFlow, Clock: time.Now,
		Random: rand.Reader, Permit: c.Permit, MaxSubscriptions: c.MaxSubscriptions, PerAOR: c.SubscriptionsPerAOR,
		PerPeer: c.SubscriptionsPerPeer,
	})
}

// startNotifying has watchers told, until the context ends.
func (d *sipregd) startNotifying(asking context.Context) {
	if d.notifier == nil {
		return
	}
	d.asking.Go(func() { d.notifier.Run(asking) })
	if d.notifier.Versions != nil {
		d.asking.Go(func() { lookElsewhere(asking, d.notifier) })
	}
}

// lookElsewhere has watchers told of what happens at other nodes, until the context ends.
func lookElsewhere(asking context.Context, notifier *regevent.Notifier) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-asking.Done():
			return
		case <-ticker.C:
			notifier.LookElsewhere(asking)
		}
	}
}

// watched returns the journal that the registrar tells what becomes of bindings.
func (d *sipregd) watched() journal.Journal {
	if d.notifier == nil {
		return d.journal
	}
	return d.notifier.Watching(d.journal)
}

// core returns who decides on requests.
func (d *sipregd) core() transaction.Core {
	if d.notifier == nil {
		return d.callCore()
	}
	d.registrar.Allowing("SUBSCRIBE")
	return d.notifier.Before(d.callCore(), d.registrar)
}

// carries tells whether something is reached over a connection: a phone, or who has
// subscribed.
func (d *sipregd) carries(stream uint64) bool {
	return d.registrar.Carries(stream, time.Now()) || d.notifier != nil && d.notifier.Carries(stream)
}
