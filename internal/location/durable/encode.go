package durable

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// encoder turns changes into what is written for them.
type encoder struct {
	batch  *pebble.Batch
	round  uint64
	key    []byte
	record []byte
	err    error
}

// encode writes one commit. unsure holds, for an AOR of which it is not known
// what stands on disk, the IDs that may: it is written out in full.
func (c *encoder) encode(changes []location.Change, unsure map[sipuri.AOR][]uint64) error {
	for i := range changes {
		if ids, found := unsure[changes[i].AOR]; found {
			c.rewrite(&changes[i], ids)
		} else {
			c.difference(&changes[i])
		}
	}
	c.record = appendRound(c.record[:0], c.round)
	c.set(roundKey)
	return c.err
}

// difference writes what has changed.
func (c *encoder) difference(change *location.Change) {
	for after := range change.After.Records() {
		before, found := find(change.Before, after.ID)
		switch {
		case !found || before.Fixed != after.Fixed:
			c.writeFixed(change.AOR, &after)
			c.writeVarying(&after, binary.LittleEndian.Uint32(c.record))
		case before != after:
			c.writeVarying(&after, c.fixedChecksum(change.AOR, &after))
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
		c.writeFixed(change.AOR, &after)
		c.writeVarying(&after, binary.LittleEndian.Uint32(c.record))
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

// writeFixed leaves what it has written in c.record.
func (c *encoder) writeFixed(aor sipuri.AOR, r *location.Record) {
	c.key = appendKey(c.key[:0], fixedKind, r.ID)
	c.record = appendFixed(c.record[:0], c.key, aor, r.Fixed)
	c.set(c.key)
}

// fixedChecksum returns the checksum of the fixed record that was written before.
func (c *encoder) fixedChecksum(aor sipuri.AOR, r *location.Record) uint32 {
	c.key = appendKey(c.key[:0], fixedKind, r.ID)
	c.record = appendFixed(c.record[:0], c.key, aor, r.Fixed)
	return binary.LittleEndian.Uint32(c.record)
}

func (c *encoder) writeVarying(r *location.Record, fixed uint32) {
	c.key = appendKey(c.key[:0], varyingKind, r.ID)
	v := varying{round: c.round, expires: r.Expires, changed: r.Changed, cseq: r.CSeq, fixed: fixed}
	c.record = appendVarying(c.record[:0], c.key, v)
	c.set(c.key)
}

func (c *encoder) set(key []byte) {
	if err := c.batch.Set(key, c.record, nil); err != nil {
		c.err = err
	}
}

func (c *encoder) remove(id uint64) {
	for _, kind := range [...]byte{fixedKind, varyingKind} {
		c.key = appendKey(c.key[:0], kind, id)
		if err := c.batch.Delete(c.key, nil); err != nil {
			c.err = err
		}
	}
}
