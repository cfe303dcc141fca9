package journal

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"
)

const (
	// maxKept bounds what is remembered of each text of an event, in bytes.
	maxKept = 512

	texts     = 9 // of an event
	eventHead = 8 + 8 + 8 + 16 + 2 + 2 + 1 + 1 + 2*texts
)

func (e *Event) texts() [texts]*string {
	return [...]*string{
		&e.AOR.User, &e.AOR.Domain, &e.Authname, &e.Label, &e.Contact, &e.Transport, &e.CallID, &e.UserAgent, &e.Detail,
	}
}

// sizeOf returns how many bytes appendEvent appends.
func sizeOf(e *Event) int {
	size := eventHead
	for _, text := range e.texts() {
		size += min(len(*text), maxKept)
	}
	return size
}

// appendEvent appends an event as bytes: numbers, the lengths of its texts, and
// these, with what is beyond maxKept cut off.
func appendEvent(encoded []byte, e *Event) []byte {
	encoded = binary.LittleEndian.AppendUint64(encoded, e.Seq)
	encoded = binary.LittleEndian.AppendUint64(encoded, uint64(e.Time.UnixNano()))
	encoded = binary.LittleEndian.AppendUint64(encoded, uint64(e.Expires))
	address := [16]byte{}
	if e.Source.IsValid() {
		address = e.Source.Addr().As16()
	}
	encoded = append(encoded, address[:]...)
	encoded = binary.LittleEndian.AppendUint16(encoded, e.Source.Port())
	encoded = binary.LittleEndian.AppendUint16(encoded, uint16(e.Status))
	encoded = append(encoded, byte(e.Kind), byte(e.Reason))
	all := e.texts()
	for _, text := range all {
		encoded = binary.LittleEndian.AppendUint16(encoded, uint16(min(len(*text), maxKept)))
	}
	for _, text := range all {
		encoded = append(encoded, (*text)[:min(len(*text), maxKept)]...)
	}
	return encoded
}

func seqOf(encoded []byte) uint64 { return binary.LittleEndian.Uint64(encoded) }

// view returns the event. Its texts are parts of encoded, and as good as that.
func view(encoded []byte) (e Event) {
	e.Seq = seqOf(encoded)
	e.Time = time.Unix(0, int64(binary.LittleEndian.Uint64(encoded[8:]))).UTC()
	e.Expires = int64(binary.LittleEndian.Uint64(encoded[16:]))
	port := binary.LittleEndian.Uint16(encoded[40:])
	if address := netip.AddrFrom16([16]byte(encoded[24:40])).Unmap(); port != 0 || !address.IsUnspecified() {
		e.Source = netip.AddrPortFrom(address, port)
	}
	e.Status = int(binary.LittleEndian.Uint16(encoded[42:]))
	e.Kind, e.Reason = Kind(encoded[44]), Reason(encoded[45])
	lengths, rest := encoded[46:eventHead], encoded[eventHead:]
	for i, text := range e.texts() {
		size := binary.LittleEndian.Uint16(lengths[2*i:])
		*text, rest = unsafe.String(unsafe.SliceData(rest), int(size)), rest[size:]
	}
	return e
}

// decode returns the event with texts of its own.
func decode(encoded []byte) Event { return view(bytes.Clone(encoded)) }
