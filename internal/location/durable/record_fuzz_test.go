package durable

import (
	"encoding/binary"
	"testing"

	"sipregd/internal/sipuri"
)

// FuzzEntry reads two arbitrary records of a binding, as they are and with the checksums
// that let what is in them be read. Whatever there is, it is a binding or an error.
func FuzzEntry(f *testing.F) {
	var key [keySize]byte
	fixed := appendFixed(nil, appendKey(key[:0], fixedKind, 1), sipuri.AOR{User: "2001", Domain: "example.com"}, "\x01a")
	f.Add(fixed, appendVarying(nil, appendKey(key[:0], varyingKind, 1), varying{round: 1, expires: 2, changed: 3, cseq: 4}), uint64(1))
	f.Add([]byte{}, []byte{0, 0, 0, 0, 2}, uint64(1<<63))
	f.Fuzz(func(t *testing.T, fixed, varying []byte, id uint64) {
		var key [keySize]byte
		_, err := readEntry(id, fixed, varying)
		if len(fixed) < sealed || len(varying) < sealed+32 {
			if err == nil {
				t.Error("a piece of a record is read")
			}
			return
		}
		fixed, varying = append([]byte(nil), fixed...), append([]byte(nil), varying...)
		binary.LittleEndian.PutUint32(fixed, checksum(appendKey(key[:0], fixedKind, id), fixed))
		copy(varying[sealed+28:], fixed[:4])
		binary.LittleEndian.PutUint32(varying, checksum(appendKey(key[:0], varyingKind, id), varying))
		if entry, err := readEntry(id, fixed, varying); err == nil && entry.Binding.ID != id {
			t.Errorf("binding %d is read as %+v", id, entry)
		}
	})
}
