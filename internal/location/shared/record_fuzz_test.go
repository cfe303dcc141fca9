package shared

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sipregd/internal/location"
)

// FuzzRecord reads arbitrary fields. What is a binding is the same once it is written
// again.
func FuzzRecord(f *testing.F) {
	b := location.Binding{
		Contact: "sip:a@192.0.2.7", Params: ";x", Q: "0.5", CallID: "c", CSeq: 1, Authname: "a", Label: "A<&>", Transport: "TCP",
		Source: netip.MustParseAddrPort("[fe80::1%x]:5060"), Path: "<sip:p;lr>", Stream: 1 << 63, NAT: true, Node: "one",
	}
	f.Add("17", "1732648216123 "+encode(&b, time.UnixMilli(1732644616123)))
	f.Add("17", "1732648216123 {\"contact\":\"\\ud800\"}")
	f.Add("r", "")
	f.Fuzz(func(t *testing.T, field, value string) {
		b, err := decode(field, value)
		if err != nil {
			return
		}
		again, err := decode(field, "1 "+encode(&b, b.Changed))
		again.Expires = b.Expires
		if err != nil || again != b {
			t.Errorf("%+v is written as %+v, %v", b, again, err)
		}
	})
}

// FuzzBinding writes arbitrary bindings. Whatever bytes their texts are made of, what is read
// is the same.
func FuzzBinding(f *testing.F) {
	f.Add("sip:a@192.0.2.7", ";x", "0.5", "c", "example.com", "7f3a9c", "Kitchen, 1st floor", "Phone 2.4", "<sip:p;lr>", "one",
		uint64(17), uint32(1), int64(1732648216123), []byte{192, 0, 2, 7}, []byte(nil), uint16(5060), uint64(0), false)
	f.Add("sip:\xe9\x80@h;x=\"<&>\\\x00\x7f\u2028\ufffd", ";n=\"\xff\"", "", " ", "\t", "\r\n", "A<&>\ud7ff", "T\xe9l\xe9phone", "\xc3\x28", "\xf0\x9f\x93",
		uint64(1<<64-1), uint32(1<<32-1), int64(-1), make([]byte, 16), []byte{0xfe, 0x80, 15: 1}, uint16(0), uint64(1<<63), true)
	f.Fuzz(func(t *testing.T, contact, params, q, callID, domain, authname, label, userAgent, path, node string,
		id uint64, cseq uint32, milli int64, source, local []byte, port uint16, stream uint64, nat bool) {
		if id == 0 || contact == "" { // no binding is like that
			return
		}
		at := time.UnixMilli(milli).UTC()
		if at.UnixMilli() != milli {
			return
		}
		b := location.Binding{
			ID: id, Contact: contact, Params: params, Q: q, CallID: callID, CSeq: cseq, Expires: at, Changed: at,
			Domain: domain, Authname: authname, Label: label, UserAgent: userAgent, Transport: "TLS",
			Source: addressOf(source, port), Local: addressOf(local, port), Stream: stream, Path: path, NAT: nat, Node: node,
		}
		text := encode(&b, at)
		if len(text) > maxRecord { // no message is as long
			return
		}
		read, err := decode(strconv.FormatUint(id, 10), strconv.FormatInt(milli, 10)+" "+text)
		if err != nil || read != b {
			t.Errorf("%+v is read as %+v, %v, from %s", b, read, err, text)
		}
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("others cannot read %q", text)
		}
	})
}

// addressOf returns the address of four bytes or sixteen, of others none.
func addressOf(bytes []byte, port uint16) netip.AddrPort {
	address, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(address, port)
}
