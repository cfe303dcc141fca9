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
	eventHead = 8 + 8 + 8 + 8 + 16 + 2 + 2 + 1 + 1 + 1 + 2*texts
)

func (e *Event) texts() [texts]*string {
	return [...]*string{
		&e.AOR.User, &e.AOR.Domain, &e.Authname, &e.Label, &e.Contact, &e.Transport, &e.CallID, &e.UserAgent, &e.Detail,
	}
}

// lengths are those of the texts of an event, with what is beyond maxKept cut off.
type lengths [texts]uint16

// lengthsOf returns them, and how many bytes encode takes for the event.
func lengthsOf(e *Event) (l lengths, size int) {
	size = eventHead
	for i, text := range e.texts() {
		length := min(len(*text), maxKept)
		l[i] = uint16(length)
		size += length
	}
	return l, size
}

// encode writes an event as bytes: numbers, the lengths of its texts, and these.
func encode(into []byte, e *Event, l *lengths) {
	head := into[:eventHead]
	binary.LittleEndian.PutUint64(head[0:], e.Seq)
	binary.LittleEndian.PutUint64(head[8:], uint64(e.Time.UnixNano()))
	binary.LittleEndian.PutUint64(head[16:], uint64(e.Expires))
	binary.LittleEndian.PutUint64(head[24:], e.Binding)
	address := e.Source.Addr().As16() // zero where there is none
	copy(head[32:48], address[:])
	binary.LittleEndian.PutUint16(head[48:], e.Source.Port())
	binary.LittleEndian.PutUint16(head[50:], uint16(e.Status))
	head[52], head[53] = byte(e.Kind), byte(e.Reason)
	head[54] = 0
	if e.Forgeable {
		head[54] = 1
	}
	for i, length := range l {
		binary.LittleEndian.PutUint16(head[55+2*i:], length)
	}
	rest := into[eventHead:]
	for i, text := range e.texts() {
		if l[i] > 0 {
			rest = rest[copy(rest, (*text)[:l[i]]):]
		}
	}
}

// view returns the event. Its texts are parts of encoded, and as good as that.
func view(encoded []byte) (e Event) {
	e.Seq = binary.LittleEndian.Uint64(encoded)
	e.Time = time.Unix(0, int64(binary.LittleEndian.Uint64(encoded[8:]))).UTC()
	e.Expires = int64(binary.LittleEndian.Uint64(encoded[16:]))
	e.Binding = binary.LittleEndian.Uint64(encoded[24:])
	port := binary.LittleEndian.Uint16(encoded[48:])
	if address := netip.AddrFrom16([16]byte(encoded[32:48])).Unmap(); port != 0 || !address.IsUnspecified() {
		e.Source = netip.AddrPortFrom(address, port)
	}
	e.Status = int(binary.LittleEndian.Uint16(encoded[50:]))
	e.Kind, e.Reason = Kind(encoded[52]), Reason(encoded[53])
	e.Forgeable = encoded[54] != 0
	lengths, rest := encoded[55:eventHead], encoded[eventHead:]
	for i, text := range e.texts() {
		size := binary.LittleEndian.Uint16(lengths[2*i:])
		*text, rest = unsafe.String(unsafe.SliceData(rest), int(size)), rest[size:]
	}
	return e
}

// decode returns the event with texts of its own.
func decode(encoded []byte) Event { return view(bytes.Clone(encoded)) }
