package registrar_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sipregd/internal/journal"
)

// What phones send beside the grammar, or at its far end, and what everybody
// understands all the same. Each row is a REGISTER that answers a challenge; its
// sender is told where that is known, else what kind of software writes so.

// answer is what a phone digests. Its text stands in the message as {USERNAME}, {URI},
// {NONCE} and {RESPONSE}.
type answer struct {
	username string // empty: 7f3a9c
	uri      string // empty: sip:registrar.example
	nc, qop  string // empty: those of RFC 2069
}

func (a answer) response(realm, nonce string) string {
	h := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	a1, a2 := h(a.username, realm, "any;text#at all"), h("REGISTER", a.uri)
	if a.qop == "" {
		return h(a1, nonce, a2)
	}
	return h(a1, nonce, a.nc, "c0ffee", a.qop, a2)
}

// sendAnswer has a phone challenged and sends a message that answers. Lines of the
// text end as ending says.
func (l *lab) sendAnswer(text, ending string, a answer) *response {
	l.t.Helper()
	p := l.kitchen()
	p.challenge()
	if a.username == "" {
		a.username = "7f3a9c"
	}
	if a.uri == "" {
		a.uri = "sip:registrar.example"
	}
	l.branch++
	text = strings.NewReplacer("{USERNAME}", a.username, "{URI}", a.uri, "{NONCE}", p.nonce, "{REALM}", p.realm,
		"{RESPONSE}", a.response(p.realm, p.nonce), "{BRANCH}", fmt.Sprintf("z9hG4bK-t%d", l.branch), "\n", ending).Replace(text)
	return l.send(text)
}

// tolerated is a REGISTER as most phones write it, with other lines in place of those
// that begin with the same word; a word alone takes its line away.
func tolerated(lines ...string) string {
	text := []string{
		"REGISTER sip:registrar.example SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.7:5060;branch={BRANCH};rport",
		"From: <sip:2001@registrar.example>;tag=f",
		"To: <sip:2001@registrar.example>",
		"Call-ID: {BRANCH}@192.0.2.7",
		"CSeq: 2 REGISTER",
		"Max-Forwards: 70",
		"Contact: <sip:2001@192.0.2.7:5060>",
		`Authorization: Digest username="{USERNAME}", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}"`,
		"Expires: 600",
		"Content-Length: 0",
	}
	word := func(line string) string {
		return strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t:", r) })[0]
	}
	for _, line := range lines {
		i := slices.IndexFunc(text, func(old string) bool { return word(old) == word(line) })
		if text[i] = line; line == word(line) {
			text = slices.Delete(text, i, i+1)
		}
	}
	return strings.Join(text, "\n") + "\n\n"
}

func TestTolerance(t *testing.T) {
	const usual = "sip:2001@192.0.2.7:5060 600"
	count := answer{nc: "00000001", qop: "auth"}
	tests := []struct {
		name   string
		sender string
		text   string
		ending string // of lines; empty: CR LF
		answer answer
		want   string // the binding
	}{
		{"as most write it", "most phones", tolerated(), "", answer{}, usual},
		{"white space before the colon", "stacks that set header fields in columns, as examples of RFC 3261 §7.3.1 do",
			tolerated("Via        : SIP/2.0/UDP 192.0.2.7:5060;branch={BRANCH};rport", "To\t: <sip:2001@registrar.example>",
				"Contact : <sip:2001@192.0.2.7:5060>", "Call-ID    : {BRANCH}@192.0.2.7", "Content-Length : 0"), "", answer{}, usual},
		{"no space behind the colon", "stacks that write a header field as the grammar begins it, HCOLON with no blank",
			tolerated("Via:SIP/2.0/UDP 192.0.2.7:5060;branch={BRANCH};rport", "From:<sip:2001@registrar.example>;tag=f",
				"Contact:<sip:2001@192.0.2.7:5060>", "CSeq:2 REGISTER", "Expires:600"), "", answer{}, usual},
		{"folded credentials", "IMS cores: REGISTERs with Authorization on several lines (sipcapture/heplify-server issue 32), " +
			"challenges of AT&T's (emiago/sipgo issue 251)",
			tolerated("Authorization: Digest username=\"{USERNAME}\",\n realm=\"{REALM}\",\n\tnonce=\"{NONCE}\",\n   uri=\"{URI}\",\n response=\"{RESPONSE}\""),
			"", answer{}, usual},
		{"folded parameters", "stacks that break lines at 80 characters (RFC 3261 §7.3.1)",
			tolerated("Via: SIP/2.0/UDP 192.0.2.7:5060\n  ;branch={BRANCH}\n  ;rport", "Contact: <sip:2001@192.0.2.7:5060>\n  ;q=0.5\n  ;expires\n =\n 700"),
			"", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"blanks around parameters", "stacks that print parameters from a table",
			tolerated("Contact: <sip:2001@192.0.2.7:5060> ; expires = 700 ; q = 0.5"), "", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"lines that end in LF alone", "GB/T 28181 cameras (emiago/sipgo issue 8), and scripts that write messages by hand",
			tolerated(), "\n", answer{}, usual},
		{"empty lines before the message", "clients made for streams, where §7.5 has them ignored; keepalives that share a datagram",
			"\n\n" + tolerated(), "", answer{}, usual},
		{"compact forms", "pjsip with use_compact_form, Cisco SPA phones with Use Compact Header",
			strings.NewReplacer("Via: ", "v: ", "From: ", "f: ", "To: ", "t: ", "Call-ID: ", "i: ", "Contact: ", "m: ", "Content-Length: ", "l: ").
				Replace(tolerated()), "", answer{}, usual},
		{"names of header fields in other cases", "stacks that write them all in one case, as libraries made for HTTP do",
			strings.NewReplacer("Via: ", "VIA: ", "From: ", "from: ", "To: ", "TO: ", "Call-ID: ", "Call-Id: ", "Contact: ", "CONTACT: ",
				"CSeq: ", "Cseq: ", "Authorization: ", "authorization: ").Replace(tolerated()), "", answer{}, usual},
		{"Contact without brackets", "clients of RFC 2543's age: addr-spec is in the grammar of §20.10",
			tolerated("Contact: sip:2001@192.0.2.7:5060;expires=700"), "", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"Contact, To and From without brackets", "scripts that write messages by hand",
			tolerated("Contact: sip:2001@192.0.2.7:5060", "To: sip:2001@registrar.example", "From: sip:2001@registrar.example;tag=f"), "", answer{}, usual},
		{"display name without quotes", "clients whose display name is what somebody has typed",
			tolerated("Contact: Kitchen (1st floor) <sip:2001@192.0.2.7:5060>"), "", answer{}, usual},
		{"expires behind many parameters", "JsSIP, with the same in Expires (versatica/JsSIP issue 482)",
			tolerated(`Contact: <sip:2001@192.0.2.7:5060>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:0f3d>";expires=700`, "Expires: 700"),
			"", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"expires in capitals", "stacks that compare parameters without regard to case, as §7.3.1 asks, and write them so",
			tolerated("Contact: <sip:2001@192.0.2.7:5060>;EXPIRES=700", "Expires: 600"), "", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"expires in quotes", "stacks that quote each value of a parameter",
			tolerated(`Contact: <sip:2001@192.0.2.7:5060>;expires="700"`, "Expires: 600"), "", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"Expires before Contact", "stacks whose header fields have an order of their own (§7.3.1: it has no meaning)",
			strings.Replace(tolerated("Expires"), "Via: ", "expires :700\nVia: ", 1), "", answer{}, "sip:2001@192.0.2.7:5060 700"},
		{"expires within the brackets", "clients that set all parameters into the URI",
			tolerated("Contact: <sip:2001@192.0.2.7:5060;expires=700>", "Expires"), "", answer{},
			"sip:2001@192.0.2.7:5060;expires=700 700"},
		{"digest over another port and transport", "LiveKit's SIP bridge (livekit/sip issue 817)",
			tolerated("REGISTER sip:registrar.example:5060;transport=udp SIP/2.0"), "", answer{}, usual},
		{"digest over another case", "clients that write the domain as it was typed in one place and in small letters in another",
			tolerated(), "", answer{uri: "SIP:Registrar.EXAMPLE:5060"}, usual},
		{"digest over the address-of-record", "clients that digest what stands in To",
			tolerated(), "", answer{uri: "sip:2001@registrar.example"}, usual},
		{"digest over the host alone", "clients that digest the text of their server setting",
			tolerated(), "", answer{uri: "registrar.example"}, usual},
		{"digest over an IPv6 address without brackets", "SIPp 3.6",
			tolerated("REGISTER sip:[2001:DB8::1]:5060 SIP/2.0"), "", answer{uri: "sip:2001:db8::1:5060"}, usual},
		{"nc and qop in quotes", "node.js-sip (Nik-Hendricks/node.js-sip pull request 14), and clients made for RFC 2069's quotes",
			tolerated(`Authorization: Digest username="{USERNAME}", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}", ` +
				`qop="auth", cnonce="c0ffee", nc="00000001", algorithm="MD5"`), "", count, usual},
		{"cnonce without quotes", "clients that write all directives as tokens",
			tolerated(`Authorization: Digest username="{USERNAME}",realm="{REALM}",nonce="{NONCE}",uri="{URI}",response={RESPONSE},` +
				`qop=auth,cnonce=c0ffee,nc=00000001`), "", count, usual},
		{"nc of few digits", "clients that print a number",
			tolerated(`Authorization: Digest username="{USERNAME}", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}", ` +
				`qop=auth, cnonce="c0ffee", nc=1`), "", answer{nc: "1", qop: "auth"}, usual},
		{"directives in other cases, and blanks around =", "clients whose HTTP library writes them",
			tolerated(`Authorization: DIGEST Username = "{USERNAME}" ,Realm="{REALM}", NONCE="{NONCE}", Uri="{URI}", Response="{RESPONSE}",, ` +
				`QOP=AUTH, CNonce="c0ffee", NC=00000001`), "", answer{nc: "00000001", qop: "AUTH"}, usual},
		{"algorithm in small letters", "clients that repeat the word of servers that challenge so (encryption/SIP pull request 7)",
			tolerated(`Authorization: Digest username="{USERNAME}", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}", algorithm=md5`),
			"", answer{}, usual},
		{"algorithm in mixed case and quotes", "clients that quote each directive",
			tolerated(`Authorization: Digest username="{USERNAME}", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}", algorithm="Md5"`),
			"", answer{}, usual},
		{"username with the realm", "IMS clients, whose private identity is name@realm (3GPP TS 23.003 §13.3); " +
			"Alcatel-Lucent's PBX asks for it (i-p-tel/sipdroid issue 384), OpenSIPS knows it (pull request 164)",
			tolerated(), "", answer{username: "7f3a9c@sipregd"}, usual},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.sender == "" {
				t.Error("who sends so?")
			}
			ending := test.ending
			if ending == "" {
				ending = "\r\n"
			}
			newLab(t).sendAnswer(test.text, ending, test.answer).want(200).wantContacts(test.want)
		})
	}
}

// What is tolerated in a username opens nothing: the digest is over the name as it
// was sent, and the bindings are those of the peer.
func TestToleranceOfUsernames(t *testing.T) {
	l := newLab(t, withDomains("registrar.example", "sales.example"), withRealm("the office"))
	for username, status := range map[string]int{
		"7f3a9c": 200, "7f3a9c@the office": 200, "7f3a9c@registrar.example": 200,
		"7f3a9c@sales.example": 401, "7f3a9c@elsewhere.example": 401, "7f3a9c@": 401, "@the office": 401, "nobody@the office": 401,
		"7f3a9c@the office@the office": 401,
	} {
		if got := l.sendAnswer(tolerated(), "\r\n", answer{username: username}); got.status != status {
			t.Errorf("%s: %d, want %d", username, got.status, status)
		}
	}
	l.sendAnswer(tolerated(), "\r\n", answer{username: "7f3a9c@the office"}).want(200)
	if e := l.lastEvent(); e.Authname != "7f3a9c" || e.Label != "Kitchen, 1st floor" {
		t.Errorf("taken down as %+v", e)
	}
	digested := tolerated(`Authorization: Digest username="7f3a9c@the office", realm="{REALM}", nonce="{NONCE}", uri="{URI}", response="{RESPONSE}"`)
	if l.sendAnswer(digested, "\r\n", answer{}).want(401).challenge("stale") != "" {
		t.Error("stale")
	}
	if e := l.lastEvent(); e.Reason != journal.WrongSecret || e.Authname != "7f3a9c" || e.Detail != "sent as 7f3a9c@the office" {
		t.Errorf("taken down as %+v", e)
	}
}

// A password_digest is over the plain name alone.
func TestToleranceOfUsernamesNeedsTheSecret(t *testing.T) {
	sum := md5.Sum([]byte("7f3a9c:sipregd:any;text#at all"))
	l := newLab(t, withPeers("[Kitchen]\nauthname = 7f3a9c\npassword_digest = MD5:"+hex.EncodeToString(sum[:])+"\naorname = 2001\n"))
	l.sendAnswer(tolerated(), "\r\n", answer{}).want(200)
	l.sendAnswer(tolerated(), "\r\n", answer{username: "7f3a9c@sipregd"}).want(401)
	if e := l.lastEvent(); e.Reason != journal.UnknownAuthname || e.Authname != "7f3a9c@sipregd" {
		t.Errorf("taken down as %+v", e)
	}
}
