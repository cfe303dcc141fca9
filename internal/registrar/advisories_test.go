package registrar_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/message"
)

// What other servers were once broken by that can be said as a message to a registrar.
// The messages are of our own making, after what is said of each in public.

// adding returns a change that puts lines into a request.
func adding(lines ...string) func(string) string {
	return func(text string) string {
		return strings.Replace(text, "Content-Length:", strings.Join(lines, "\r\n")+"\r\nContent-Length:", 1)
	}
}

// setting writes another line in the place of one, or nothing.
func writing(name, line string) func(string) string {
	pattern := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `.*\r\n`)
	if line != "" {
		line += "\r\n"
	}
	return func(text string) string { return pattern.ReplaceAllLiteralString(text, line) }
}

// replacing writes another text in the place of one that has to be there.
func replacing(before, after string) func(string) string {
	return func(text string) string {
		if !strings.Contains(text, before) {
			panic("no " + before + " in " + text)
		}
		return strings.Replace(text, before, after, 1)
	}
}

// long is a text of that many characters.
func long(count int) string { return strings.Repeat("a", count) }

const silence = 0

// TestAdvisories registers as a peer that proves itself, but for what a row changes.
func TestAdvisories(t *testing.T) {
	tests := []struct {
		name   string
		change func(string) string
		want   int
	}{
		// Duplicate, smuggled and oversized header fields.
		{"CVE-2016-9938, Asterisk: what is no blank before a colon", adding("To\x01: <sip:2002@registrar.example>"), 400},
		{"CVE-2016-9938, Asterisk: a vertical tab", adding("Contact\v: <sip:2001@192.0.2.9>"), 400},
		{"CVE-2020-28361, Kamailio: a blank before a colon hides nothing", adding("To : <sip:2002@registrar.example>"), 400},
		{"CVE-2020-28361, Kamailio: credentials behind a blank count", func(text string) string {
			return strings.Replace(text, "Authorization:", "Authorization \t:", 1)
		}, 200},
		{"CVE-2018-14767, Kamailio: To twice, with an empty tag", adding("To: <sip:2001@registrar.example>;tag="), 400},
		{"CVE-2018-14767, Kamailio: an empty tag", writing("To:", "To: <sip:2001@registrar.example>;tag="), 400},
		{"CVE-2018-14767, Kamailio: a tag without a value", writing("To:", "To: <sip:2001@registrar.example>;tag"), 400},
		{"CVE-2018-8828, Kamailio: From's tag is empty", writing("From:", "From: <sip:2001@registrar.example>;tag="), 400},
		{"CVE-2018-8828, Kamailio: a branch that is empty, which counts as none", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:5060;branch="), 200},
		{"CVE-2018-8828, Kamailio: a branch of separators", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=...;rport"), 200},
		{"CVE-2020-27507, Kamailio: a tag too long", writing("From:", "From: <sip:2001@registrar.example>;tag="+long(513)), 400},
		{"CVE-2020-27507, Kamailio: fields twice", adding("CSeq: 1 REGISTER", "Call-ID: x"), 400},
		{"CVE-2018-16657, Kamailio: a Via without an end", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;"), 400},
		{"CVE-2018-16657, Kamailio: a Via of commas", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1,,,"), 400},
		{"CVE-2023-27598, OpenSIPS: a Via that ends in its host", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:"), 400},
		{"CVE-2023-27598, OpenSIPS: a Via of blanks", writing("Via:", "Via: SIP/2.0/UDP  "), silence},
		{"CVE-2016-2385, Kamailio: a request of 64 KB", adding(strings.Repeat("X: "+long(8000)+"\r\n", 7) + "Y: z"), 513},
		{"CVE-2018-7284, Asterisk: Accept 100 times", adding(strings.Repeat("Accept: application/x-"+long(20)+"\r\n", 99) + "Accept: x/y"), 200},
		{"CVE-2018-7284, Asterisk: Accept 200 times", adding(strings.Repeat("Accept: application/x-"+long(20)+"\r\n", 199) + "Accept: x/y"), 400},
		{"CVE-2017-9372, Asterisk: a long method in CSeq", replacing(" REGISTER\r\nMax", " "+long(4000)+"\r\nMax"), 400},
		{"CVE-2017-9372, Asterisk: a long method everywhere", func(text string) string {
			return strings.ReplaceAll(text, "REGISTER", strings.ToUpper(long(4000)))
		}, 405},
		{"CVE-2007-1306, Asterisk: neither URI nor version", replacing(" sip:registrar.example SIP/2.0", ""), silence},
		{"CVE-2007-1306, Asterisk: no URI", replacing(" sip:registrar.example SIP/2.0", " SIP/2.0"), silence},
		{"class: a header field of 9 KB", adding("X: " + long(9000)), 513},
		{"class: 65 Vias", adding(strings.Repeat("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", 63) + "Via: SIP/2.0/UDP h"), 400},
		{"class: a Call-ID of 513 bytes", writing("Call-ID:", "Call-ID: "+long(513)), 400},
		{"class: formats of C", adding("User-Agent: %n%n%s%s%x%.9999999d"), 200},
		{"class: a display name of 8 KB", writing("To:", "To: \""+long(8000)+"\" <sip:2001@registrar.example>"), 200},
		{"class: quotes without an end", writing("To:", "To: \""+strings.Repeat(`\"`, 2000)+" <sip:2001@registrar.example>"), 400},

		// Contact and Path.
		{"CVE-2024-42491, Asterisk: a host that begins with a dot", adding("Contact: <sip:2001@.1>"), 400},
		{"CVE-2024-42491, Asterisk: the same in brackets", adding("Contact: <sip:2001@[.1]>"), 400},
		{"CVE-2023-27597, OpenSIPS: a bracket without an end", adding("Contact: <sip:2001@[2001:db8::1>"), 400},
		{"CVE-2023-27597, OpenSIPS: in the Request-URI", replacing("REGISTER sip:registrar.example ", "REGISTER sip:[2001:db8::1 "), 400},
		{"CVE-2022-31002, Sofia-SIP: a percent sign at the end of a user part", adding("Contact: <sip:2001%@192.0.2.9>"), 400},
		{"CVE-2022-31002, Sofia-SIP: a percent sign and a digit at the end", adding("Contact: <sip:2001@192.0.2.9;x=%4>"), 400},
		{"CVE-2022-31002, Sofia-SIP: at the end of all, where it is no escape", adding("Contact: sip:2001@192.0.2.9;x=%"), 200},
		{"class: a Contact over 1,024 bytes", adding("Contact: <sip:" + long(1100) + "@192.0.2.9>"), 400},
		{"class: 65 Contacts", adding("Contact: " + strings.Repeat("<sip:a@192.0.2.9>,", 64) + "<sip:b@192.0.2.9>"), 400},
		{"class: 65 Contacts in fields", adding(strings.Repeat("Contact: <sip:a@192.0.2.9>\r\n", 64) + "m: <sip:b@192.0.2.9>"), 400},
		{"class: 64 Contacts for one address", adding("Contact: " + contacts(64)), 403},
		{"class: 65 parameters", adding("Contact: <sip:a@192.0.2.9>" + strings.Repeat(";a", 65)), 400},
		{"class: 65 parameters of a URI", adding("Contact: <sip:a@192.0.2.9" + parameters(65) + ">"), 400},
		{"class: 17 headers of a URI", adding("Contact: <sip:a@192.0.2.9?a=1" + strings.Repeat("&a=1", 16) + ">"), 400},
		{"class: an instance ID over 256 bytes", adding("Contact: <sip:a@192.0.2.9>;+sip.instance=\"<" + long(257) + ">\""), 400},
		{"class: * beside a Contact", adding("Contact: *, <sip:a@192.0.2.9>", "Expires: 0"), 400},
		{"class: brackets without an end", adding("Contact: " + strings.Repeat("<", 4000)), 400},
		{"class: Path over 1,024 bytes", adding("Supported: path", "Path: <sip:"+long(600)+".example;lr>", "Path: <sip:"+long(600)+".example;lr>"), 400},
		{"class: 65 values of Path", adding("Supported: path", "Path: "+strings.Repeat("<sip:p>,", 64)+"<sip:p>"), 400},
		{"class: a Path of brackets", adding("Supported: path", "Path: "+strings.Repeat("<", 1000)), 400},

		// Malformed Authorization.
		{"CVE-2023-28098, OpenSIPS: a name without a value makes no credentials", adding("Authorization: Digest username"), 200},
		{"CVE-2023-28098, OpenSIPS: a name cut off, beside others that serve", adding("Authorization: Digest username=\"a\", r"), 200},
		{"CVE-2023-28098, OpenSIPS: nothing but the scheme", adding("Authorization: Digest"), 400},
		{"CVE-2023-28098, OpenSIPS: nothing at all", adding("Authorization:"), 400},
		{"CVE-2023-28098, OpenSIPS: a quote without an end", adding(`Authorization: Digest username="`), 400},
		{"CVE-2025-57767, Asterisk: a realm that was never offered", replacing(`realm="sipregd"`, `realm="elsewhere"`), 401},
		{"CVE-2025-57767, Asterisk: no realm", replacing(`realm="sipregd", `, ""), 401},
		{"CVE-2012-1184, Asterisk: a long username", replacing(`username="7f3a9c"`, `username="`+long(7000)+`"`), 401},
		{"CVE-2012-1184, Asterisk: a long nonce", replacing(`nonce="`, `nonce="`+long(7000)), 401},
		{"CVE-2012-1184, Asterisk: a long uri", replacing(`uri="sip:`, `uri="sip:`+long(7000)), 401},
		{"CVE-2012-1184, Asterisk: long unknown directives", replacing(`Digest `, `Digest x="`+long(3000)+`", y=`+long(3000)+`, `), 200},
		{"CVE-2022-24754, PJSIP: a long response", replacing(`response="`, `response="`+long(4000)), 401},
		{"CVE-2022-24754, PJSIP: a response without end", replacing(`response="`, `response=`+long(4000)+`,x="`), 401},
		{"class: 65 directives", replacing(`Digest `, `Digest `+strings.Repeat("x=1,", 65)), 400},
		{"class: 65 Authorization fields", adding(strings.Repeat("Authorization: Digest nonce=\"1\",response=\"1\"\r\n", 64) + "Authorization: Digest nonce=\"1\",response=\"1\""), 400},
		{"class: a directive twice", replacing(`Digest `, `Digest username="workshop", `), 400},
		{"class: an algorithm that does not exist", replacing(`Digest `, `Digest algorithm=`+long(2000)+`, `), 401},
		{"class: MD5-sess, where the server's A1 would be another", replacing(`Digest `, `Digest algorithm=MD5-sess, `), 401},
		{"class: qop of another kind", replacing(`qop=auth`, `qop=auth-int`), 401},
		{"class: a nonce count that is no number", replacing(`nc=00000001`, `nc=-1`), 400},
		{"class: a nonce count too long", replacing(`nc=00000001`, `nc=`+strings.Repeat("f", 40)), 400},
		{"class: SQL in a name", replacing(`username="7f3a9c"`, `username="' OR '1'='1' --"`), 401},
		{"class: NUL ends no name", replacing(`username="7f3a9c"`, "username=\"7f3a9c\x00\""), 400},

		// Negative and huge numbers and lengths.
		{"CVE-2023-28097, OpenSIPS: a large Content-Length and an odd Request-URI", func(text string) string {
			return replacing("sip:registrar.example SIP", "sip:;;@;; SIP")(writing("Content-Length:", "Content-Length: 2147483647")(text))
		}, 400},
		{"CVE-2026-23457, Linux: a Content-Length beyond 32 bits", writing("Content-Length:", "Content-Length: 4294967296"), 400},
		{"class: a negative Content-Length", writing("Content-Length:", "Content-Length: -1"), 400},
		{"class: a Content-Length beyond 64 bits", writing("Content-Length:", "Content-Length: 18446744073709551616"), 400},
		{"class: Content-Length twice", adding("l: 0"), 400},
		{"class: a negative CSeq", writing("CSeq:", "CSeq: -1 REGISTER"), 400},
		{"class: a CSeq beyond 32 bits", writing("CSeq:", "CSeq: 4294967298 REGISTER"), 400},
		{"class: a CSeq of 4,000 digits", writing("CSeq:", "CSeq: "+strings.Repeat("9", 4000)+" REGISTER"), 400},
		{"class: a negative expiry counts as the default", adding(kitchenContact + ";expires=-1"), 200},
		{"class: a huge expiry counts as the default", adding(kitchenContact, "Expires: "+strings.Repeat("9", 400)), 200},
		{"class: a negative Max-Forwards", writing("Max-Forwards:", "Max-Forwards: -1"), 200},
		{"class: a port beyond 16 bits", adding("Contact: <sip:2001@192.0.2.9:65536>"), 400},
		{"class: a negative port", adding("Contact: <sip:2001@192.0.2.9:-1>"), 400},
		{"class: a port of Via beyond 16 bits", writing("Via:", "Via: SIP/2.0/UDP 192.0.2.7:70000;branch=z9hG4bK1"), 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withHere(labHere))
			p := l.kitchen()
			p.challenge()
			p.nc++
			text := p.request(p.authorization())
			changed := test.change(text)
			if changed == text {
				t.Fatal("nothing was changed")
			}
			switch answer := l.receive(changed); {
			case len(answer) > 0 && test.want == silence:
				t.Errorf("answered: %q", answer)
			case test.want != silence:
				checkWellFormed(t, string(answer))
				parseResponse(t, string(answer)).want(test.want)
			}
			aors, _ := l.store.Count()
			if aors > 0 && test.want != 200 {
				t.Error("something was bound")
			}
			l.kitchen().register("Contact: <sip:2001@192.0.2.7:5090>").want(200) // all others are served as before
		})
	}
}

// contacts returns so many with commas.
func contacts(count int) string {
	var list []string
	for i := range count {
		list = append(list, fmt.Sprintf("<sip:a%d@192.0.2.9>", i))
	}
	return strings.Join(list, ",")
}

// parameters returns so many different ones.
func parameters(count int) (text string) {
	for i := range count {
		text += fmt.Sprint(";p", i)
	}
	return text
}

// On a stream a length that lies must not have what follows read as another request.
func TestAdvisoriesOfStreams(t *testing.T) {
	const head, next = "REGISTER sip:r SIP/2.0\r\n", "INVITE sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	for _, test := range []struct {
		name, stream string
		want         int // status of the error, 0: it waits for more
	}{
		{"CVE-2026-23457, Linux: 2**32+2", head + "Content-Length: 4294967298\r\n\r\nhi" + next, 400},
		{"class: negative", head + "Content-Length: -2\r\n\r\nhi" + next, 400},
		{"class: hexadecimal", head + "Content-Length: 0x2\r\n\r\nhi" + next, 400},
		{"class: with a sign", head + "Content-Length: +2\r\n\r\nhi" + next, 400},
		{"class: two lengths", head + "Content-Length: 2\r\nl: 0\r\n\r\nhi" + next, 400},
		{"class: two lengths that agree", head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi" + next, 400},
		{"class: a length with a blank before its colon counts", head + "Content-Length : 65535\r\n\r\n" + next, 513},
		{"class: a length beyond what is taken", head + "Content-Length: 2147483647\r\n\r\n" + next, 513},
		{"class: no length", head + "\r\n" + next, 400},
		{"class: a length of two", head + "Content-Length: 2,2\r\n\r\nhi" + next, 400},
		{"class: a header section without an end", head + strings.Repeat("X: "+long(1000)+"\r\n", 17), 513},
		{"class: a line without an end", head + "X: " + long(20000), 513},
		{"class: more header fields than are taken", head + strings.Repeat("X: y\r\n", 200), 400},
		{"class: a body that has not come", head + "Content-Length: 60000\r\n\r\n" + next, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			length, err := message.Frame([]byte(test.stream))
			wrong, _ := err.(*message.Error)
			switch {
			case length != 0:
				t.Errorf("a message of %d bytes", length)
			case test.want == 0 && err != nil, test.want != 0 && (wrong == nil || wrong.Status != test.want):
				t.Errorf("got %v, want %d", err, test.want)
			}
		})
	}
}

const enumerated = `
[Known]
authname = known1
secret = s
aorname = 1001

[Disabled]
authname = known2
secret = s
aorname = 1002
enabled = no

[From elsewhere]
authname = known3
secret = s
aorname = 1003
permit = 198.51.100.0/24

[By another algorithm]
authname = known4
secret = s
aorname = 1004
algorithm = SHA-256

[Of another domain]
authname = known5
secret = s
aorname = 1005
domain = sales.example.com
`

// Whoever has not proved himself learns of no name whether it is there: not by the
// status, a header field, the realm, the length, or where the answer goes to.
func TestAdvisoriesOfEnumeration(t *testing.T) {
	varying := regexp.MustCompile(`nonce="[^"]*"|tag=[^;\r]*|branch=[^;\r]*|call-\S*|CSeq: \d+`)
	tests := []struct {
		name  string
		lines []string
		shape func(p *phone, text string) string // how the request is changed
	}{
		{"CVE-2009-3727, CVE-2011-2536, Asterisk: by status", nil, nil},
		{"CVE-2018-12227, Asterisk: by an ACL", []string{"Contact: <sip:1@192.0.2.9>"}, nil},
		{"CVE-2011-4597, Asterisk: by the port of the answer", nil, func(_ *phone, text string) string { return strings.Replace(text, ";rport", "", 1) }},
		{"CVE-2013-2264, Asterisk: by a malformed Contact", []string{"Contact: <sip:"}, nil},
		{"class: by what is required", []string{"Require: gruu, nothing"}, nil},
		{"class: by another domain", nil, func(_ *phone, text string) string {
			return strings.ReplaceAll(text, "registrar.example", "sales.example.com")
		}},
		{"class: by *", []string{"Contact: *", "Expires: 0"}, nil},
		{"class: by an expiry", []string{"Contact: <sip:1@192.0.2.9>;expires=1"}, nil},
	}
	for _, test := range tests {
		for _, kind := range []string{"AOR", "authname", "both"} {
			for _, authorized := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, credentials: %v", test.name, kind, authorized), func(t *testing.T) {
					l := newLab(t, withPeers(enumerated), withAlgorithms(digest.SHA256, digest.MD5), withDomains("registrar.example", "sales.example.com"))
					var first string
					for name := range 8 { // the last ones are nobody's
						text, to := l.probe(kind, 1001+name, authorized, test.lines, test.shape)
						if text = varying.ReplaceAllString(text, "*") + to.String(); name == 0 {
							first = strings.NewReplacer("1001", "NAME", "known1", "AUTH").Replace(text)
						}
						text = strings.NewReplacer(fmt.Sprint(1001+name), "NAME", fmt.Sprint("known", 1+name), "AUTH").Replace(text)
						if text != first {
							t.Errorf("%d is told apart:\n%s\n%s", 1001+name, first, text)
						}
					}
				})
			}
		}
	}
}

// probe sends a REGISTER that asks of a name whether it is there.
func (l *lab) probe(kind string, number int, authorized bool, lines []string, shape func(*phone, string) string) (string, netip.AddrPort) {
	p := l.phone("known0", "wrong", "1000")
	p.callID = "call-x"
	if kind != "authname" {
		p.to = fmt.Sprintf("sip:%d@registrar.example", number)
	}
	if kind != "AOR" {
		p.authname = fmt.Sprintf("known%d", number-1000)
	}
	if authorized {
		p.challenge()
		lines = append([]string{p.authorization()}, lines...)
	}
	text := p.request(lines...)
	if shape != nil {
		text = shape(p, text)
	}
	l.pass(time.Second)
	flow := message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort("192.0.2.7:31000"), Local: netip.MustParseAddrPort("192.0.2.1:5060")}
	reply := l.layer.Receive(nil, []byte(text), flow, l.now)
	return string(reply.Data), reply.To
}
