package message

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// usualRequests are such as phones send, and some that differ a little.
var usualRequests = []string{
	soundRequest,
	added("Contact: <sip:2001@192.0.2.7:5060;transport=udp>;expires=60;q=0.5;+sip.instance=\"<urn:uuid:1>\"", "Expires: 3600",
		"Max-Forwards: 70", "User-Agent: Phone/1.0", "Allow: INVITE, ACK", "Supported: path, outbound"),
	added(`Authorization: Digest username="a", realm="r", nonce="n", uri="sip:r", response="0", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"`),
	added(`Authorization: Basic x`, `authorization: Digest username="a\"b", nonce="n", response="0"`, "Require: a,b", "require: c", "Proxy-Require: d"),
	replaced("Via", "v: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK-1;received=192.0.2.1, SIP/2.0/TCP h:5061;x=\"y\"", "Via: SIP / 2.0 / UDP [2001:db8::1]:5060 ;branch=1"),
	replaced("From", `f: "A \"B\", C" <sip:2001@registrar.example;x=y>;tag=f1`), replaced("From", "From:sip:2001@registrar.example;tag=f1"),
	replaced("To", "t: <sips:%32001:pw@registrar.example:5061;transport=tcp?a=b>;tag=x"), replaced("To", "To : <sip:a@b>"),
	replaced("Call-ID", "i:\tcall-1"), replaced("Call-ID", "Call-ID: a", "i: b"),
	replaced("CSeq", "CSEQ: 4294967295 REGISTER"), replaced("CSeq", "CSeq: 1 INVITE"),
	replaced("Content-Length", "l: 4") + "body", replaced("Content-Length") + "\r\n\x00", replaced("Content-Length", "Content-Length: 1"),
	replaced("Content-Length", "Content-Length: 0", "l: 0"), replaced("Content-Length", "Content-Length: +0"),
	added("Contact: *", "Expires: 0"), added("m: *;expires=0", "Contact: <sip:a@b>"), added("Contact:", "Contact: sip:a@b;expires=x, <sip:c@d>"),
	added("Contact: <sip:a@b>;expires=1;expires=2"), added("Contact: <sip:a@b>;q=2;q=1"), added("Expires: 1", "Expires: 2"),
	added("Content-Disposition: session; handling = optional", "Content-Type: text/plain"), added("Subject: a", " folded"), added("X\u00a0:\u00a0y\u00a0"),
	strings.Replace(soundRequest, "sip:registrar.example", "sips:a@registrar.example?x=y", 1),
	called("INVITE", "Contact: <sip:2001@192.0.2.7>", "Content-Type: application/sdp", "Route: <sip:p;lr>", "Record-Route: <sip:p;lr>", "Session-Expires: 90"),
	called("ACK"), called("INVITE", "Contact: *"), called("ACK", "Content-Disposition: handling=optional", "Accept: a/b", "Event: reg"),
	called("INVITE", `Authorization: Digest username="a", realm="r", nonce="n", uri="sip:r", response="0"`), called("SUBSCRIBE", "Event: reg"), called("OPTIONS"),
	strings.Replace(soundRequest, "SIP/2.0", "sip/2.0", 1), strings.ReplaceAll(soundRequest, "\r\n", "\n"), soundRequest + soundRequest,
}

// called is a request of another method, for somebody.
func called(method string, lines ...string) string {
	text := strings.Replace(added(lines...), "CSeq: 1 REGISTER", "CSeq: 1 "+method, 1)
	return strings.Replace(text, "REGISTER sip:registrar.example", method+" sip:2002@registrar.example", 1)
}

// FuzzPlain compares both ways to read a request: whatever the plain one takes
// has to read the same by the other, and get the same answer.
func FuzzPlain(f *testing.F) {
	for _, text := range usualRequests {
		f.Add([]byte(text))
	}
	paths, err := filepath.Glob("../../testdata/torture/*.sip")
	if err != nil || len(paths) == 0 {
		f.Fatal("no torture messages to start from: ", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	parser := NewParser()
	used := &Request{} // for one request after the other
	f.Fuzz(func(t *testing.T, data []byte) {
		used.reset(testFlow, 0)
		if !used.parsePlain(data) {
			return
		}
		fresh := &Request{Flow: testFlow}
		if err := parser.parseAny(fresh, data); err != nil {
			t.Fatalf("taken, and otherwise %v", err)
		}
		if quick, long := withoutRoom(used), withoutRoom(fresh); !reflect.DeepEqual(quick, long) {
			t.Errorf("%+v\n%+v", quick, long)
		}
		quick, long := string(render(used, NewResponse(200, "OK"), "t")), string(render(fresh, NewResponse(200, "OK"), "t"))
		if quick != long {
			t.Errorf("%q\n%q", quick, long)
		}
	})
}

// withoutRoom returns the request without what reuse leaves behind, and its length.
func withoutRoom(r *Request) Request {
	c := *r
	c.Length = 0
	c.response, c.lastLine, c.lastStart = Response{}, "", requestLine{}
	if len(c.Vias) == 0 {
		c.Vias = nil
	}
	if len(c.Contacts.Values) == 0 {
		c.Contacts.Values = nil
	}
	if len(c.Digests) == 0 {
		c.Digests = nil
	}
	if len(c.Require) == 0 {
		c.Require = nil
	}
	return c
}

// What phones send as a rule has to be read the fast way.
func TestWhatIsPlain(t *testing.T) {
	plain := 0
	for _, text := range usualRequests {
		if (&Request{}).parsePlain([]byte(text)) {
			plain++
		}
	}
	if want := 19; plain != want {
		t.Errorf("%d of %d are plain, want %d", plain, len(usualRequests), want)
	}
	for _, text := range usualRequests[:3] {
		if !(&Request{}).parsePlain([]byte(text)) {
			t.Errorf("not plain:\n%s", text)
		}
	}
}
