package main

import (
	"time"

	"sipregd/internal/location/shared"
)

// twinReminder is how often it is told that two nodes have one name.
const twinReminder = time.Minute

// hasTwin tells whether another node has shown that it has the name of this one: by what is
// bound, or to the store that both share.
func (d *sipregd) hasTwin() bool {
	store, isShared := d.store.(*shared.Store)
	byStore := isShared && store.HasTwin()
	return d.registrar.HasTwin() || byStore
}

// lookForTwin tells where another node has the name of this one, unless a daemon is to take
// its place just now.
func (d *sipregd) lookForTwin(now time.Time) {
	if !d.hasTwin() || now.Sub(d.twinTold) < twinReminder { // what was seen before that is over
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
