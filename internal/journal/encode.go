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
	address := e.Source.Addr().As16() // zero where there is none
	copy(head[24:40], address[:])
	binary.LittleEndian.PutUint16(head[40:], e.Source.Port())
	binary.LittleEndian.PutUint16(head[42:], uint16(e.Status))
	head[44], head[45] = byte(e.Kind), byte(e.Reason)
	for i, length := range l {
		binary.LittleEndian.PutUint16(head[46+2*i:], length)
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
