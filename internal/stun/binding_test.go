package stun

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const (
	transaction96 = "b7e7a701bc34d686fa87dfae"
	plain         = "00010000 2112a442" + transaction96

	// A request that others made (RFC 5769 §2.1), with PRIORITY, which this server
	// does not know, and a fingerprint.
	sample = "00010058 2112a442" + transaction96 +
		"80220010 5354554e 20746573 7420636c 69656e74" +
		"00240004 6e0001ff" +
		"80290008 932ff9b1 51263b36" +
		"00060009 6576746a 3a683676 59202020" +
		"00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2" +
		"80280004 e57a3bcf"

	// Responses from RFC 5769 §2.2 and §2.3 without what we do not add.
	successIPv4 = "0101000c 2112a442" + transaction96 + "00200008 0001a147 e112a643"
	successIPv6 = "01010018 2112a442" + transaction96 + "00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
)

var (
	sourceIPv4 = netip.MustParseAddrPort("192.0.2.1:32853")
	sourceIPv6 = netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// with returns a request with attributes.
func with(t testing.TB, attributes string) []byte {
	t.Helper()
	request := append(unhex(t, plain), unhex(t, attributes)...)
	binary.BigEndian.PutUint16(request[2:], uint16(len(request)-headerSize))
	return request
}

// fingerprinted returns a request with attributes, and what its fingerprint is beside
// the right one.
func fingerprinted(t testing.TB, attributes string, wrong uint32, behind string) []byte {
	t.Helper()
	request := with(t, attributes+"80280004 00000000"+behind)
	at := len(request) - len(unhex(t, behind)) - 8
	binary.BigEndian.PutUint32(request[at+4:], crc32.ChecksumIEEE(request[:at])^0x5354554E^wrong)
	return request
}

// refusal is 420 for attributes of which a list is given.
func refusal(t testing.TB, unknown string) []byte {
	t.Helper()
	listed := unhex(t, unknown)
	padding := strings.Repeat("00", padded(len(listed))-len(listed))
	response := unhex(t, "01110000 2112a442"+transaction96+"00090015 00000414"+hex.EncodeToString([]byte("Unknown Attribute"))+
		"000000 000a0000"+unknown+padding)
	binary.BigEndian.PutUint16(response[2:], uint16(len(response)-headerSize))
	binary.BigEndian.PutUint16(response[headerSize+28+2:], uint16(len(listed)))
	return response
}

// next is the handler behind, which answers nothing.
type next struct{ received int }

func (n *next) Receive([]byte, []byte, message.Flow, time.Time) transaction.Reply {
	n.received++
	return transaction.Reply{}
}

func (n *next) Refuse([]byte, message.Flow, *message.Error) transaction.Reply {
	return transaction.Reply{}
}

func (n *next) NotStored([]byte, message.Flow, time.Time) transaction.Reply {
	return transaction.Reply{}
}

func TestWhatIsAnswered(t *testing.T) {
	long := "80220200" + strings.Repeat("00", 512) // SOFTWARE
	tests := []struct {
		name   string
		data   []byte
		source netip.AddrPort
		want   []byte
	}{
		{"a request over IPv4", unhex(t, plain), sourceIPv4, unhex(t, successIPv4)},
		{"a request over IPv6", unhex(t, plain), sourceIPv6, unhex(t, successIPv6)},
		{"an attribute that need not be understood", with(t, "80220004 61626364"), sourceIPv4, unhex(t, successIPv4)},
		{"a value that is padded", with(t, "80220001 61000000"), sourceIPv4, unhex(t, successIPv4)},
		{"as long as may be", with(t, long+"80270008 0000000000000000"), sourceIPv4, unhex(t, successIPv4)},
		{"credentials that nobody asked for", with(t, "00060001 61000000 00140001 61000000 00150001 61000000"), sourceIPv4, unhex(t, successIPv4)},
		{"what belongs into a response", with(t, "00200008 0001a147 e112a643"), sourceIPv4, unhex(t, successIPv4)},
		{"a fingerprint", fingerprinted(t, "80220004 61626364", 0, ""), sourceIPv4, unhex(t, successIPv4)},
		{"RFC 5769", unhex(t, sample), sourceIPv4, refusal(t, "0024")},
		{"CHANGE-REQUEST", with(t, "00030004 00000006"), sourceIPv4, refusal(t, "0003")},
		{"two that are unknown, over IPv6", with(t, "7fff0000 80220000 00240000"), sourceIPv6, refusal(t, "7fff 0024")},
		{"three that are unknown", with(t, "00020000 00030000 00040000"), sourceIPv4, refusal(t, "0002 0003 0004")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var k Keepalives
			n := &next{}
			room := append(make([]byte, 0, 1024), "before"...)
			reply := k.Before(n).Receive(room[len(room):], test.data, message.Flow{Transport: "UDP", Source: test.source}, time.Time{})
			if !bytes.Equal(reply.Data, test.want) {
				t.Errorf("got  %x\nwant %x", reply.Data, test.want)
			}
			if reply.To != test.source || reply.Rests || reply.Ends || n.received != 0 || k.Answered() != 1 {
				t.Errorf("got %+v, passed on %d, counted %d", reply, n.received, k.Answered())
			}
			if &reply.Data[0] != &room[:cap(room)][len(room)] {
				t.Error("it is not in the room that was given")
			}
		})
	}
}

func TestWhatIsPassedOn(t *testing.T) {
	changed := func(at int, to byte) []byte {
		request := unhex(t, plain)
		request[at] = to
		return request
	}
	tests := []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"a keepalive of line ends", []byte("\r\n\r\n")},
		{"SIP", []byte("REGISTER sip:r SIP/2.0\r\n\r\n")},
		{"an indication", changed(1, 0x11)},
		{"a success response", changed(0, 0x01)},
		{"an error response", unhex(t, "01110000 2112a442"+transaction96)},
		{"Allocate of TURN", changed(1, 0x03)},
		{"RFC 3489, without the cookie", changed(4, 0x22)},
		{"a header cut short", unhex(t, plain)[:headerSize-1]},
		{"shorter than it says", changed(3, 4)},
		{"longer than it says", append(unhex(t, plain), 0, 0, 0, 0)},
		{"a length that is no multiple of four", with(t, "8022")},
		{"an attribute longer than the rest", with(t, "80220005 61626364")},
		{"an attribute that lacks its padding", with(t, "80220003 616263")},
		{"longer than may be", with(t, "80220210"+strings.Repeat("00", 0x210))},
		{"a wrong fingerprint", fingerprinted(t, "", 1, "")},
		{"a fingerprint cut short", with(t, "80280003 00000000")},
		{"something behind a fingerprint", fingerprinted(t, "", 0, "80220000")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var k Keepalives
			n := &next{}
			reply := k.Before(n).Receive(nil, test.data, message.Flow{Transport: "UDP", Source: sourceIPv4}, time.Time{})
			if len(reply.Data) > 0 || n.received != 1 || k.Answered() != 0 {
				t.Errorf("got %x, passed on %d, counted %d", reply.Data, n.received, k.Answered())
			}
		})
	}
}

// RFC 5626 §3.5.1: on streams keepalives are line ends.
func TestNothingIsAnsweredOnStreams(t *testing.T) {
	for _, name := range []string{"TCP", "TLS", "WS", "WSS"} {
		var k Keepalives
		n := &next{}
		reply := k.Before(n).Receive(nil, unhex(t, plain), message.Flow{Transport: name, Source: sourceIPv4}, time.Time{})
		if len(reply.Data) > 0 || n.received != 1 {
			t.Errorf("%s: got %x", name, reply.Data)
		}
	}
}

// Whoever forges a source gets no more than 56 bytes there for 24.
func TestAResponseIsLittleLongerThanItsRequest(t *testing.T) {
	for count := 0; headerSize+4*count <= maxRequest; count++ {
		request := with(t, strings.Repeat("00240000", count))
		for _, source := range []netip.AddrPort{sourceIPv4, sourceIPv6} {
			response := respond(nil, request, source)
			if len(response) == 0 || 24*len(response) > 56*len(request) {
				t.Errorf("%d unknown attributes, %v: %d bytes for %d", count, source, len(response), len(request))
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var k Keepalives
	room, requests := make([]byte, 0, 1024), [][]byte{unhex(t, plain), unhex(t, sample)}
	h := k.Before(&next{})
	for _, source := range []netip.AddrPort{sourceIPv4, sourceIPv6} {
		flow := message.Flow{Transport: "UDP", Source: source}
		allocations := testing.AllocsPerRun(100, func() {
			for _, request := range requests {
				h.Receive(room, request, flow, time.Time{})
			}
		})
		if allocations != 0 {
			t.Errorf("%v: %v allocations", source, allocations)
		}
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(unhex(f, plain), false)
	f.Add(unhex(f, sample), true)
	f.Add(with(f, "80220003 616263"), false)
	f.Add(fingerprinted(f, "00030004 00000006", 0, ""), true)
	f.Fuzz(func(t *testing.T, data []byte, six bool) {
		source := sourceIPv4
		if six {
			source = sourceIPv6
		}
		if !isBindingRequest(data) {
			return
		}
		response := respond(nil, data, source)
		if response == nil {
			return
		}
		if 24*len(response) > 56*len(data) {
			t.Errorf("%d bytes for %d", len(response), len(data))
		}
		if length := int(binary.BigEndian.Uint16(response[2:])); length != len(response)-headerSize || !bytes.Equal(response[4:headerSize], data[4:headerSize]) {
			t.Errorf("a response of another request, or with another length: %x to %x", response, data)
		}
		if _, sound := review(response); !sound {
			t.Errorf("attributes of %x are not in order", response)
		}
	})
}
