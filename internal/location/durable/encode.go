package durable

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// encoder turns changes into what is written for them. It is used again for the
// next commit.
type encoder struct {
	batch   *pebble.Batch
	round   uint64
	key     []byte
	record  []byte
	order   []place
	varying []pending
	err     error
}

// place is where a change goes on disk: by the ID of its first binding.
type place struct {
	id     uint64
	change int
}

// pending is a varying record that is to be written or removed once all fixed ones
// are.
type pending struct {
	id      uint64
	removed bool
	record  varying
}

// encode writes one commit. unsure holds, for an AOR of which it is not known
// what stands on disk, the IDs that may: it is written out in full.
//
// Pebble finds the place of a key fast where it comes soon after the last one:
// so each kind is written by itself, in the order of the IDs.
func (c *encoder) encode(batch *pebble.Batch, round uint64, changes []location.Change, unsure map[sipuri.AOR][]uint64) error {
	c.batch, c.round, c.order, c.varying, c.err = batch, round, c.order[:0], c.varying[:0], nil
	c.sort(changes)
	for _, place := range c.order {
		change := &changes[place.change]
		if ids, found := unsure[change.AOR]; found {
			c.rewrite(change, ids)
		} else {
			c.difference(change)
		}
	}
	c.writeVarying()
	c.record = appendRound(c.record[:0], c.round)
	c.set(roundKey)
	return c.err
}

func (c *encoder) sort(changes []location.Change) {
	for i := range changes {
		c.order = append(c.order, place{firstID(&changes[i]), i})
	}
	slices.SortFunc(c.order, func(a, b place) int { return cmp.Compare(a.id, b.id) })
}

func firstID(change *location.Change) uint64 {
	for _, bindings := range [...]location.Packed{change.After, change.Before} {
		for r := range bindings.Records() {
			return r.ID
		}
	}
	return 0
}

// difference writes what has changed.
func (c *encoder) difference(change *location.Change) {
	for after := range change.After.Records() {
		before, found := find(change.Before, after.ID)
		switch {
		case !found || before.Fixed != after.Fixed:
			c.vary(&after, c.writeFixed(change.AOR, &after))
		case before != after:
			c.vary(&after, c.fixedChecksum(change.AOR, &after))
		}
	}
	for before := range change.Before.Records() {
		if _, found := find(change.After, before.ID); !found {
			c.remove(before.ID)
		}
	}
}

// rewrite writes all bindings and removes all others that may be there.
func (c *encoder) rewrite(change *location.Change, ids []uint64) {
	for before := range change.Before.Records() {
		ids = append(ids, before.ID)
	}
	for _, id := range ids {
		if _, found := find(change.After, id); !found {
			c.remove(id)
		}
	}
	for after := range change.After.Records() {
		c.vary(&after, c.writeFixed(change.AOR, &after))
	}
}

func find(bindings location.Packed, id uint64) (location.Record, bool) {
	for r := range bindings.Records() {
		if r.ID == id {
			return r, true
		}
	}
	return location.Record{}, false
}

// writeFixed returns the checksum of what it has written.
func (c *encoder) writeFixed(aor sipuri.AOR, r *location.Record) uint32 {
	sum := c.fixedChecksum(aor, r)
	c.set(c.key)
	return sum
}

// fixedChecksum returns the checksum of the fixed record that was written before.
func (c *encoder) fixedChecksum(aor sipuri.AOR, r *location.Record) uint32 {
	c.key = appendKey(c.key[:0], fixedKind, r.ID)
	c.record = appendFixed(c.record[:0], c.key, aor, r.Fixed)
	return binary.LittleEndian.Uint32(c.record)
}

func (c *encoder) vary(r *location.Record, fixed uint32) {
	v := varying{round: c.round, expires: r.Expires, changed: r.Changed, cseq: r.CSeq, fixed: fixed}
	c.varying = append(c.varying, pending{id: r.ID, record: v})
}

func (c *encoder) remove(id uint64) {
	c.key = appendKey(c.key[:0], fixedKind, id)
	c.delete(c.key)
	c.varying = append(c.varying, pending{id: id, removed: true})
}

func (c *encoder) writeVarying() {
	for i := range c.varying {
		v := &c.varying[i]
		c.key = appendKey(c.key[:0], varyingKind, v.id)
		if v.removed {
			c.delete(c.key)
			continue
		}
		c.record = appendVarying(c.record[:0], c.key, v.record)
		c.set(c.key)
	}
}

func (c *encoder) set(key []byte) {
	if err := c.batch.Set(key, c.record, nil); err != nil {
		c.err = err
	}
}

func (c *encoder) delete(key []byte) {
	if err := c.batch.Delete(key, nil); err != nil {
		c.err = err
	}
}
