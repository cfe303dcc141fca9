package message

import (
	"strings"
	"testing"
)

// What floods a header section is refused at a bound, however it is shaped.
func TestFloodsAreRefused(t *testing.T) {
	many := func(text string) string { return strings.Repeat(text, 8000/len(text)) }
	via := "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-1"
	tests := []struct{ name, text, reason string }{
		{"parameters of Via", replaced("Via", via+many(";x")), "More Than 64 Parameters"},
		{"values of Via", replaced("Via", via+many(",SIP/2.0/UDP a")), "More Than 64 Via Values"},
		{"values of many Via", replaced("Via", via, "v: SIP/2.0/UDP a"+strings.Repeat(",SIP/2.0/UDP a", 60), "v: SIP/2.0/UDP b,SIP/2.0/UDP c,SIP/2.0/UDP d"), "More Than 64 Via Values"},
		{"parameters of From", replaced("From", "From: <sip:a@b>;tag=1"+many(";x=y")), "More Than 64 Parameters In From"},
		{"parameters of a Contact", added("Contact: <sip:a@b>" + many(";x=y")), "More Than 64 Parameters In Contact"},
		{"parameters of a URI", added("Contact: <sip:a@b" + strings.Repeat(";x", 65) + ">"), "Malformed URI In Contact"},
		{"headers of a URI", added("Contact: <sip:a@b?x=y" + strings.Repeat("&x=y", 16) + ">"), "Malformed URI In Contact"},
		{"Contacts", added("Contact: <sip:a@b>" + many(",<sip:a@b>")), "More Than 64 Contacts"},
		{"Contact header fields", added(strings.Split(strings.Repeat("m:sip:a@b|", 65), "|")[:65]...), "More Than 64 Contacts"},
		{"Authorization header fields", added(strings.Split(strings.Repeat(`Authorization: Digest username="a",realm="b",nonce="c",uri="d",response="e"|`, 65), "|")[:65]...), "More Than 64 Authorization Header Fields"},
		{"directives", added("Authorization: Digest " + many("x=y,")), "Malformed Authorization"},
		{"option tags", added("Require: " + many("a,")), "More Than 64 Option Tags"},
		{"header fields", added(strings.Split(many("a:|"), "|")[:200]...), "More Than 128 Header Fields"},
		{"folded lines", added("X: y"+strings.Repeat("\r\n z", 2000), "To: <sip:a@b>"), "To Given Twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if len(test.text) > MaxHeaderSection {
				t.Fatalf("%d bytes are more than the bound that is not meant here", len(test.text))
			}
			_, err := parse(test.text)
			wantError(t, err, 400, test.reason)
		})
	}
}

func TestWhatIsWithinTheBoundsIsTaken(t *testing.T) {
	parameters := strings.Repeat(";x=y", MaxParams)
	for _, text := range []string{
		replaced("Via", "Via: SIP/2.0/UDP a"+parameters+strings.Repeat(",SIP/2.0/UDP a", MaxListValues-1)),
		replaced("From", "From: <sip:a@b>"+parameters),
		added("Contact: <sip:a@b>" + parameters + strings.Repeat(",<sip:a@b>", MaxListValues-1)),
		added("Require: a" + strings.Repeat(",a", MaxListValues-1)),
	} {
		parseSound(t, text)
	}
}

// The walk ends at the bound, so a refusal costs no more than what stands
// before it.
func TestTheCursorStopsAtTheBound(t *testing.T) {
	const flood = 8000
	c, p := cursor{text: strings.Repeat(";x", flood)}, params{}
	for p.next(&c) {
	}
	if p.err == nil || p.count != MaxParams+1 || c.at > 2*(MaxParams+1) {
		t.Errorf("%d parameters were read, %d bytes, %v", p.count, c.at, p.err)
	}
	c = cursor{text: strings.Repeat("x=y,", flood)}
	if err := new(Credentials).parseDirectives(&c); err == nil || c.at > 4*(MaxParams+1) {
		t.Errorf("%d bytes of directives were read, %v", c.at, err)
	}
}
