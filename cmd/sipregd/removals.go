package main

import (
	"time"

	"sipregd/internal/location/shared"
)

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

// removeFlowless removes the bindings whose connections have ended for good.
func (d *sipregd) removeFlowless(now time.Time) {
	d.registrar.RemoveFlowless(now)
	if !d.settleAt.IsZero() && !now.Before(d.settleAt) {
		d.registrar.RemoveEarlierFlows()
		d.settleAt = time.Time{}
	}
}

// settle has phones of an earlier life asked whether they are there, and gives those
// time that have lost their connections.
func (d *sipregd) settle(now time.Time) {
	d.settleAt = now.Add(d.disconnectGrace())
	d.qualifier.Reloaded()
}
