package registrar_test

import (
	"strings"
	"testing"

	"sipregd/internal/journal"
)

// The names of these tests are the conformance table of RFC 3261 §8.2.

// ping is an OPTIONS request with header lines of its own.
func ping(lines ...string) string {
	head := []string{
		"OPTIONS sip:registrar.example SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-ping",
		"From: <sip:monitor@registrar.example>;tag=m",
		"To: <sip:registrar.example>",
		"Call-ID: ping", "CSeq: 1 OPTIONS",
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

func Test8_2_1_AMethodNotSupportedIs405WithAllow(t *testing.T) {
	for _, method := range []string{"PUBLISH", "INVITE", "BYE", "register", "FROBNICATE"} {
		t.Run(method, func(t *testing.T) {
			r := newLab(t).send(strings.ReplaceAll(ping(), "OPTIONS", method)).want(405)
			if got := r.one("Allow"); !strings.Contains(got, "REGISTER") || !strings.Contains(got, "OPTIONS") {
				t.Errorf("Allow: %s", got)
			}
		})
	}
}

func Test8_2_2_1_ARequestURISchemeNotSupportedIs416(t *testing.T) {
	p := newLab(t).kitchen()
	for _, uri := range []string{"mailto:registrar.example", "tel:+4930123", "nobody-knows:x"} {
		p.lab.send(strings.Replace(p.request(), "sip:registrar.example SIP/2.0", uri+" SIP/2.0", 1)).want(416)
	}
}

func Test8_2_2_2_TheSameRequestByAnotherWayIs482(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	request := p.request(p.authorization(), kitchenContact)
	l.send(request).want(200)
	l.send(strings.Replace(request, "branch=z9hG4bK-", "branch=z9hG4bK-other-", 1)).want(482)
}

func Test8_2_2_3_RequireInOptionsIs420(t *testing.T) {
	r := newLab(t).send(ping("Require: a", "Require: b")).want(420)
	if got := r.one("Unsupported"); got != "a, b" {
		t.Errorf("Unsupported: %s", got)
	}
}

func Test8_2_3_ABodyNotUnderstoodIs415WithAccept(t *testing.T) {
	l := newLab(t)
	request := strings.Replace(l.kitchen().request("Content-Type: text/plain"), "Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\nabc", 1)
	r := l.send(request).want(415)
	r.one("Accept")
	optional := strings.Replace(request, "Content-Type", "Content-Disposition: x;handling=optional\r\nContent-Type", 1)
	l.send(strings.Replace(optional, "branch=z", "branch=zz", 1)).want(401)
}

func Test8_2_6_2_TheResponseCopiesTheRequest(t *testing.T) {
	l := newLab(t)
	request := strings.Replace(l.kitchen().request(),
		"Via: ", "Via: SIP/2.0/UDP proxy.example;branch=z9hG4bK-p;x=\"a,b\"\r\nv:SIP / 2.0 / UDP 192.0.2.9 , SIP/2.0/TCP [2001:db8::1]:5070\r\nVia: ", 1)
	r := l.send(request).want(401)
	vias := r.all("Via")
	if len(vias) != 4 || !strings.HasPrefix(vias[0], "SIP/2.0/UDP proxy.example;branch=z9hG4bK-p;x=\"a,b\";received=192.0.2.7") ||
		vias[1] != "SIP / 2.0 / UDP 192.0.2.9" || vias[2] != "SIP/2.0/TCP [2001:db8::1]:5070" {
		t.Errorf("Via: %q", vias)
	}
	for _, line := range []string{"From: <sip:2001@registrar.example>;tag=f-call-1\r\n", "Call-ID: call-1\r\n", "CSeq: 1 REGISTER\r\n"} {
		if !strings.Contains(r.text, line) {
			t.Errorf("no %q in\n%s", line, r.text)
		}
	}
	if to := r.one("To"); !strings.HasPrefix(to, "<sip:2001@registrar.example>;tag=") {
		t.Errorf("To: %s", to)
	}
}

func Test8_2_6_2_ARetransmissionGetsTheSameTag(t *testing.T) {
	l := newLab(t)
	request := l.kitchen().request()
	first, second := l.send(request).one("To"), l.send(request).one("To")
	if first != second {
		t.Errorf("To: %s, then %s", first, second)
	}
	if other := l.send(l.phone("x", "x", "2001").request()).one("To"); other == first {
		t.Errorf("another request gets the same tag")
	}
}

func Test8_2_6_2_ATagThatIsThereStays(t *testing.T) {
	l := newLab(t)
	request := strings.Replace(l.kitchen().request(), "To: <sip:2001@registrar.example>", "To: <sip:2001@registrar.example>;tag=mine", 1)
	if got := l.send(request).want(401).one("To"); got != "<sip:2001@registrar.example>;tag=mine" {
		t.Errorf("To: %s", got)
	}
}

func Test8_2_7_ACKAndStrayResponsesAreDropped(t *testing.T) {
	l := newLab(t)
	for _, text := range []string{
		strings.ReplaceAll(ping(), "OPTIONS", "ACK"),
		strings.ReplaceAll(ping("Require: x"), "OPTIONS", "ACK"),
		strings.Replace(strings.ReplaceAll(ping(), "OPTIONS", "ACK"), "Call-ID: ping\r\n", "", 1), // malformed
		strings.Replace(ping(), "OPTIONS sip:registrar.example SIP/2.0", "SIP/2.0 200 OK", 1),
		"\r\n\r\n", "", "\x00\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n",
	} {
		if r := l.send(text); r != nil {
			t.Errorf("%q is answered:\n%s", text, r.text)
		}
	}
}

func Test9_2_CancelOfNothingIs481AndOfAFinishedRequest200(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	request := p.request(p.authorization(), kitchenContact)
	lines := strings.SplitN(strings.ReplaceAll(request, " REGISTER\r\n", " CANCEL\r\n"), "Authorization", 2)[0]
	cancel := strings.Replace(lines, "REGISTER sip:", "CANCEL sip:", 1) + "Content-Length: 0\r\n\r\n"
	l.send(cancel).want(481)
	l.send(request).want(200)
	l.send(cancel).want(200)
	p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
}

func Test11_2_OptionsIs200WithAllowAcceptSupported(t *testing.T) {
	r := newLab(t, withDomains("elsewhere.example")).send(ping()).want(200)
	for _, name := range []string{"Allow", "Accept", "Supported"} {
		r.one(name)
	}
}

func Test12_2_2_OptionsInADialogIs481(t *testing.T) {
	newLab(t).send(strings.Replace(ping(), "To: <sip:registrar.example>", "To: <sip:registrar.example>;tag=x", 1)).want(481)
}

// Behind one NAT the source alone does not tell whose request was malformed.
func Test8_2_WhatIsMalformedIsTakenDownWithItsPhone(t *testing.T) {
	for _, wrong := range []string{
		"Contact: <sip:x@[bad", "Contact: <sip:a@b>" + strings.Repeat(";x", 65),
		strings.Repeat("X: y\r\n", 130) + "Y: z", "X: " + strings.Repeat("y", 8200),
	} {
		l := newLab(t)
		request := strings.Replace(l.kitchen().request(), "Max-Forwards: 70", "User-Agent: Phone 1\r\n"+wrong, 1)
		l.send(request)
		if e := l.lastEvent(); e.Reason != journal.Malformed || e.AOR.User != "2001" || e.CallID == "" || e.UserAgent != "Phone 1" {
			t.Errorf("%.30q was taken down as %+v", wrong, e)
		}
	}
}

// What is malformed gets a 400 that says what was wrong (§8.2, §16.3, §18.3).
func Test8_2_WhatIsMalformedIs400AndSaysWhy(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // what is replaced in a sound REGISTER
		status   int
		reason   string
	}{
		{"no From", "From: <sip:2001@registrar.example>;tag=f-call-1\r\n", "", 400, "Missing From"},
		{"no To", "To: <sip:2001@registrar.example>\r\n", "", 400, "Missing To"},
		{"no Call-ID", "Call-ID: call-1\r\n", "", 400, "Missing Call-ID"},
		{"no CSeq", "CSeq: 1 REGISTER\r\n", "", 400, "Missing CSeq"},
		{"two From", "From:", "f: <sip:x@y.example>;tag=1\r\nFrom:", 400, "From Given Twice"},
		{"two To", "To:", "t: <sip:x@y.example>\r\nTo:", 400, "To Given Twice"},
		{"two Call-ID", "Call-ID:", "i: x\r\nCall-ID:", 400, "Call-ID Given Twice"},
		{"two CSeq", "CSeq:", "CSeq: 1 REGISTER\r\nCSeq:", 400, "CSeq Given Twice"},
		{"list in To", "To: <sip:2001@registrar.example>", "To: <sip:2001@registrar.example>, <sip:2002@registrar.example>", 400, "Malformed To"},
		{"two Content-Length", "Content-Length: 0", "l: 0\r\nContent-Length: 0", 400, "Content-Length Given Twice"},
		{"negative Content-Length", "Content-Length: 0", "Content-Length: -1", 400, "Malformed Content-Length"},
		{"body too short", "Content-Length: 0", "Content-Length: 10", 400, "Body Shorter Than Content-Length"},
		{"port too large in To", "@registrar.example>", "@registrar.example:65536>", 400, "Malformed URI In From"},
		{"CSeq method in another case", "CSeq: 1 REGISTER", "CSeq: 1 Register", 400, "CSeq Method Differs From Request"},
		{"CSeq method of another request", "CSeq: 1 REGISTER", "CSeq: 1 OPTIONS", 400, "CSeq Method Differs From Request"},
		{"CSeq too large", "CSeq: 1 ", "CSeq: 2147483648 ", 400, "Malformed CSeq"},
		{"NUL in Call-ID", "call-1\r\nCSeq", "call\x00\r\nCSeq", 400, "Control Character In Header Section"},
		{"bare CR in Call-ID", "call-1\r\nCSeq", "call\rX: y\r\nCSeq", 400, "Control Character In Header Section"},
		{"version", "SIP/2.0\r\n", "SIP/3.0\r\n", 505, "SIP Version Not Supported"},
		{"Request-URI", "REGISTER sip:registrar.example", "REGISTER <sip:registrar.example>", 400, "Malformed Request-URI"},
		{"Contact", "Max-Forwards: 70", "Contact: <sip:a@>", 400, "Malformed URI In Contact"},
		{"Authorization", "Max-Forwards: 70", "Authorization: Digest username=\"a", 400, "Malformed Authorization"},
		{"field without colon", "Max-Forwards: 70", "Max-Forwards", 400, "Malformed Header Field"},
		{"too many fields", "Max-Forwards: 70", strings.Repeat("X: y\r\n", 130) + "Max-Forwards: 70", 400, "More Than 128 Header Fields"},
		{"too many Contacts", "Max-Forwards: 70", "Contact: <sip:a@b>" + strings.Repeat(",<sip:a@b>", 64), 400, "More Than 64 Contacts"},
		{"too many parameters", "Max-Forwards: 70", "Contact: <sip:a@b>" + strings.Repeat(";x", 65), 400, "More Than 64 Parameters In Contact"},
		{"field too long", "Max-Forwards: 70", "X: " + strings.Repeat("y", 8200), 513, "Header Field Over 8192 Bytes"},
		{"header section too long", "Max-Forwards: 70", strings.Repeat("X: "+strings.Repeat("y", 4000)+"\r\n", 5) + "Y: 1", 513, "Header Section Over 16384 Bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			request := l.kitchen().request()
			if !strings.Contains(request, test.old) {
				t.Fatalf("no %q in\n%s", test.old, request)
			}
			r := l.send(strings.Replace(request, test.old, test.new, 1)).want(test.status)
			if r.reason != test.reason {
				t.Errorf("reason %q, want %q", r.reason, test.reason)
			}
			if e := l.lastEvent(); e.Detail != test.reason || e.Status != test.status {
				t.Errorf("taken down as %+v", e)
			}
		})
	}
}
