package message

import (
	"net/netip"
	"strings"
	"testing"
)

// usual is a REGISTER as phones send it, and answering what it is a second time.
const usual = "REGISTER sip:sip.example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1b9ac0d2e8f7;rport\r\n" +
	"Max-Forwards: 70\r\n" +
	"From: \"Kitchen\" <sip:2001@sip.example.com>;tag=8a7d31c4\r\n" +
	"To: \"Kitchen\" <sip:2001@sip.example.com>\r\n" +
	"Call-ID: 6f1b2a90d3c4e587@192.0.2.7\r\n" +
	"CSeq: 1826 REGISTER\r\n" +
	"Contact: <sip:2001@192.0.2.7:5060;transport=udp>;expires=3600\r\n" +
	"User-Agent: Example Phone 2.4.1\r\n" +
	"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO\r\n" +
	"Supported: replaces, outbound\r\n"

const answering = "Authorization: Digest username=\"7f3a9c\", realm=\"sipregd\", nonce=\"awZ2ylD-eGEWOeI5xebpOQltLxVZ7ETv\", " +
	"uri=\"sip:sip.example.com\", response=\"87641e835496882e7b303b2ea1e97158\", algorithm=MD5, cnonce=\"225b804e63b611e9\", " +
	"qop=auth, nc=00000001\r\n"

const ending = "Content-Length: 0\r\n\r\n"

var usualFlow = Flow{Transport: "UDP", Source: netip.MustParseAddrPort("192.0.2.7:5060"), Local: netip.MustParseAddrPort("192.0.2.1:5060")}

// BenchmarkParse reads a REGISTER of the usual form, one that takes sipgo for a
// single folded line, and one whose credentials come along.
func BenchmarkParse(b *testing.B) {
	for _, row := range []struct{ name, message string }{
		{"plain", usual + ending},
		{"plain with credentials", usual + answering + ending},
		{"by sipgo", strings.Replace(usual, "Supported: ", "Supported:\r\n ", 1) + ending},
	} {
		b.Run(row.name, func(b *testing.B) {
			parser, data := NewParser(), []byte(row.message)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				request, err := parser.Parse(data, usualFlow)
				if err != nil {
					b.Fatal(err)
				}
				parser.Release(request)
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	request, err := NewParser().Parse([]byte(usual+ending), usualFlow)
	if err != nil {
		b.Fatal(err)
	}
	room, tag := make([]byte, 0, 1024), []byte("0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		response := request.Respond(200, "OK").
			With("Contact", "<sip:2001@192.0.2.7:5060;transport=udp>;expires=3600").
			With("Date", "Wed, 25 Nov 2026 05:48:58 GMT")
		Render(room, request, response.Own(), tag)
	}
}

// BenchmarkFrame finds the end of a message on a stream.
func BenchmarkFrame(b *testing.B) {
	data := []byte(usual + answering + ending)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if length, err := Frame(data); length != len(data) || err != nil {
			b.Fatal(length, err)
		}
	}
}
