package message

import (
	"net/netip"
	"strings"
	"testing"
)

func askedBy(transport, local string) Flow {
	return Flow{Transport: transport, Source: netip.MustParseAddrPort("203.0.113.9:40000"), Local: netip.MustParseAddrPort(local)}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		want    []string // the lines that differ
	}{
		{"over UDP", Options{Contact: "sip:2001@10.0.0.7:5062;line=a?x=y", Flow: askedBy("UDP", "192.0.2.1:5060")}, []string{
			"OPTIONS sip:2001@10.0.0.7:5062;line=a SIP/2.0",
			"Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKb1",
			"From: <sip:sipregd@192.0.2.1:5060>;tag=t1",
			"To: <sip:2001@10.0.0.7:5062;line=a>",
			"Call-ID: c1@192.0.2.1:5060",
			"Contact: <sip:sipregd@192.0.2.1:5060>",
		}},
		{"over WSS and IPv6", Options{Contact: "sip:x@a.invalid;transport=ws", Flow: askedBy("WSS", "[2001:db8::1]:443")}, []string{
			"OPTIONS sip:x@a.invalid;transport=ws SIP/2.0",
			"Via: SIP/2.0/WSS [2001:db8::1]:443;rport;branch=z9hG4bKb1",
			"From: <sip:sipregd@[2001:db8::1]:443>;tag=t1",
			"To: <sip:x@a.invalid;transport=ws>",
			"Call-ID: c1@[2001:db8::1]:443",
			"Contact: <sip:sipregd@[2001:db8::1]:443;transport=ws>",
		}},
		{"by a path", Options{Contact: "sip:2001@10.0.0.7", Route: "<sip:a.example;lr>, <sip:b.example;lr>", Flow: askedBy("TCP", "[::ffff:192.0.2.1]:5060")}, []string{
			"OPTIONS sip:2001@10.0.0.7 SIP/2.0",
			"Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKb1",
			"Route: <sip:a.example;lr>, <sip:b.example;lr>",
			"From: <sip:sipregd@192.0.2.1:5060>;tag=t1",
			"To: <sip:2001@10.0.0.7>",
			"Call-ID: c1@192.0.2.1:5060",
			"Contact: <sip:sipregd@192.0.2.1:5060;transport=tcp>",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.Branch, test.options.Tag, test.options.CallID = "b1", "t1", "c1"
			text, err := test.options.Append([]byte("room"))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range append(test.want, "CSeq: 1 OPTIONS", "Max-Forwards: 70", "Accept: application/sdp", "Content-Length: 0\r\n") {
				if !strings.Contains(string(text), line+"\r\n") {
					t.Errorf("no line %q in:\n%s", line, text)
				}
			}
			text = text[len("room"):]
			request, err := NewParser().Parse(text, testFlow) // as a request of anybody's
			if err != nil || request.Method != "OPTIONS" || request.Vias[0].Branch != "z9hG4bKb1" || !request.Vias[0].RPort {
				t.Errorf("it reads as %+v, %v", request, err)
			}
		})
	}
}

func TestOptionsRefuses(t *testing.T) {
	for _, test := range []struct{ name, contact, route string }{
		{"no URI", "2001", ""},
		{"another scheme", "tel:+15550100", ""},
		{"a line end in the Contact", "sip:a@h\r\nX: y", ""},
		{"an angle bracket in the Contact", "sip:a@h;x=%3e>", ""},
		{"a line end in the path", "sip:a@h", "<sip:p;lr>\r\nX: y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Contact: test.contact, Route: test.route, Flow: askedBy("UDP", "192.0.2.1:5060"), Branch: "b", Tag: "t", CallID: "c"}
			if text, err := o.Append(nil); err != ErrNoRequestURI {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}
