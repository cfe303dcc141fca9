package location

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"time"
)

// Packed holds the bindings of an AOR, those changed longest ago first, in one
// piece of memory without pointers, so that a million of them take little room
// and nothing of the garbage collector's time. It never changes.
type Packed string

// Record is a binding in its packed form: what a refresh changes, and Fixed,
// which holds the rest and stays the same when nothing but a refresh happens.
type Record struct {
	ID      uint64
	Expires int64 // Unix time in nanoseconds
	Changed int64 // likewise
	CSeq    uint32
	Fixed   string
}

// recordHead is what stands before Fixed in a packed record, in bytes: the
// fields of Record and the length of Fixed.
const recordHead = 8 + 8 + 8 + 4 + 4

// Records yields the records in their order.
func (p Packed) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for rest := string(p); rest != ""; {
			var r Record
			r, rest = cutRecord(rest)
			if !yield(r) {
				return
			}
		}
	}
}

// Len returns the number of bindings.
func (p Packed) Len() int {
	count := 0
	for range p.Records() {
		count++
	}
	return count
}

func cutRecord(packed string) (r Record, rest string) {
	var head [recordHead]byte
	copy(head[:], packed)
	r.ID = binary.LittleEndian.Uint64(head[0:])
	r.Expires = int64(binary.LittleEndian.Uint64(head[8:]))
	r.Changed = int64(binary.LittleEndian.Uint64(head[16:]))
	r.CSeq = binary.LittleEndian.Uint32(head[24:])
	end := recordHead + int(binary.LittleEndian.Uint32(head[28:]))
	r.Fixed = packed[recordHead:end]
	return r, packed[end:]
}

func (r *Record) appendTo(packed []byte) []byte {
	packed = binary.LittleEndian.AppendUint64(packed, r.ID)
	packed = binary.LittleEndian.AppendUint64(packed, uint64(r.Expires))
	packed = binary.LittleEndian.AppendUint64(packed, uint64(r.Changed))
	packed = binary.LittleEndian.AppendUint32(packed, r.CSeq)
	packed = binary.LittleEndian.AppendUint32(packed, uint32(len(r.Fixed)))
	return append(packed, r.Fixed...)
}

// pack puts bindings into their packed form, in the order given.
func pack(bindings []Binding) Packed {
	var space [1024]byte
	return Packed(appendPacked(space[:0], bindings))
}

func appendPacked(packed []byte, bindings []Binding) []byte {
	for i := range bindings {
		b := &bindings[i]
		r := Record{ID: b.ID, Expires: b.Expires.UnixNano(), Changed: b.Changed.UnixNano(), CSeq: b.CSeq}
		start := len(packed)
		packed = b.appendFixed(r.appendTo(packed))
		binary.LittleEndian.PutUint32(packed[start+recordHead-4:], uint32(len(packed)-start-recordHead))
	}
	return packed
}

// Own gives bindings texts of their own, as parts of one piece of memory.
func Own(bindings []Binding) {
	if len(bindings) > 0 {
		pack(bindings).unpackTo(bindings[:0])
	}
}

// unpack returns the bindings. Their strings are parts of p.
func (p Packed) unpack() []Binding { return p.unpackTo(nil) }

// unpackTo appends the bindings.
func (p Packed) unpackTo(bindings []Binding) []Binding {
	for rest := string(p); rest != ""; {
		var r Record
		r, rest = cutRecord(rest)
		bindings = append(bindings, Binding{})
		if !r.unpack(&bindings[len(bindings)-1]) {
			panic("location: a packed record is not sound") // none gets in that is not
		}
	}
	return bindings
}

// The flags in a Fixed. The name of a node stands there only where there is one.
const (
	flagNAT  = 1
	flagNode = 2
)

func (b *Binding) appendFixed(text []byte) []byte {
	for _, field := range [...]string{b.Contact, b.Params, b.Q, b.CallID, b.Domain, b.Authname, b.Label, b.UserAgent, b.Transport, b.Path} {
		text = AppendText(text, field)
	}
	text = binary.AppendUvarint(text, b.Stream)
	var flags byte
	if b.NAT {
		flags |= flagNAT
	}
	if b.Node != "" {
		flags |= flagNode
	}
	text = append(text, flags)
	if b.Node != "" {
		text = AppendText(text, b.Node)
	}
	var space [32]byte
	local, _ := b.Local.AppendBinary(space[:0])
	text = AppendText(text, string(local)) // which may be long: a zone is any text
	text, _ = b.Source.AppendBinary(text)
	return text
}

// FromVersion1 returns a Record.Fixed as it was before there were paths and flows.
func FromVersion1(fixed string) (now string, ok bool) {
	const texts = 9
	rest := fixed
	for range texts {
		if _, rest, ok = CutText(rest); !ok {
			return "", false
		}
	}
	const noPath, noStream, noNAT, noLocal = "\x00", "\x00", "\x00", "\x02\x00\x00"
	return fixed[:len(fixed)-len(rest)] + noPath + noStream + noNAT + noLocal + rest, true
}

// Binding returns the binding that the record holds. It is not ok where Fixed
// was not made by a Binding.
func (r *Record) Binding() (b Binding, ok bool) {
	if !r.unpack(&b) {
		return Binding{}, false
	}
	return b, true
}

func (r *Record) unpack(b *Binding) (ok bool) {
	b.ID, b.CSeq, b.Expires, b.Changed = r.ID, r.CSeq, time.Unix(0, r.Expires).UTC(), time.Unix(0, r.Changed).UTC()
	rest := r.Fixed
	for _, field := range [...]*string{&b.Contact, &b.Params, &b.Q, &b.CallID, &b.Domain, &b.Authname, &b.Label, &b.UserAgent, &b.Transport, &b.Path} {
		if *field, rest, ok = CutText(rest); !ok {
			return false
		}
	}
	stream, size := uvarint(rest)
	if size <= 0 || len(rest) < size+1 {
		return false
	}
	flags, rest := rest[size], rest[size+1:]
	b.Stream, b.NAT = stream, flags&flagNAT != 0
	if flags&flagNode != 0 {
		if b.Node, rest, ok = CutText(rest); !ok {
			return false
		}
	}
	local, source, ok := CutText(rest)
	if !ok {
		return false
	}
	if b.Local, ok = addressFrom(local); !ok {
		return false
	}
	b.Source, ok = addressFrom(source)
	return ok
}

// addressFrom undoes netip.AddrPort.AppendBinary.
func addressFrom(text string) (netip.AddrPort, bool) {
	var address netip.AddrPort
	var space [32]byte
	err := address.UnmarshalBinary(append(space[:0], text...))
	return address, err == nil
}

// AppendText adds a text with its length before it.
func AppendText(packed []byte, text string) []byte {
	packed = binary.AppendUvarint(packed, uint64(len(text)))
	return append(packed, text...)
}

// CutText undoes AppendText at the front of packed.
func CutText(packed string) (text, rest string, ok bool) {
	length, size := uvarint(packed)
	if size <= 0 || length > uint64(len(packed)-size) {
		return "", "", false
	}
	end := size + int(length)
	return packed[size:end], packed[end:], true
}

// uvarint is binary.Uvarint for a string.
func uvarint(text string) (uint64, int) {
	if len(text) > 0 && text[0] < 0x80 {
		return uint64(text[0]), 1
	}
	var space [binary.MaxVarintLen64]byte
	return binary.Uvarint(space[:copy(space[:], text)])
}
