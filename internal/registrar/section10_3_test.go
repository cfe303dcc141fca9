package registrar_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// The names of these tests are the conformance table of RFC 3261 §10.3.

const kitchenContact = "Contact: <sip:2001@192.0.2.7:5060>"

func Test10_3_ThreeNamesAllDiffer(t *testing.T) {
	l := newLab(t)
	l.kitchen().register(kitchenContact).want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
	e := l.lastEvent()
	if e.Kind != journal.Added || e.Label != "Kitchen, 1st floor" || e.Authname != "7f3a9c" || e.AOR.String() != "2001" {
		t.Errorf("taken down as %+v", e)
	}
}

func Test10_3_NoNameStandsForAnother(t *testing.T) {
	l := newLab(t)
	l.phone("Kitchen, 1st floor", "any;text#at all", "2001").register(kitchenContact).want(401)
	l.phone("2001", "any;text#at all", "2001").register(kitchenContact).want(401)
	l.phone("7f3a9c", "any;text#at all", "7f3a9c").register(kitchenContact).want(403)
}

func Test10_3_Step1_RequestURIOfAnotherDomainIs404(t *testing.T) {
	l := newLab(t, withDomains("registrar.example", "192.0.2.1"))
	p := l.kitchen()
	p.domain = "elsewhere.example"
	l.send(p.request(kitchenContact)).want(404)
	p.domain = "REGISTRAR.example:5060"
	l.send(p.request(kitchenContact)).want(401)
}

func Test10_3_Step1_WithoutDomainsAnyHostIsServed(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register(kitchenContact).want(200)
	p.domain, p.to = "192.0.2.1", "sip:2001@192.0.2.1"
	p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
}

func Test10_3_Step2_RequireIs420WithUnsupported(t *testing.T) {
	l := newLab(t)
	r := l.send(l.kitchen().request(kitchenContact, "Require: frobnicate, path, mock")).want(420)
	if got := r.one("Unsupported"); got != "frobnicate, mock" {
		t.Errorf("Unsupported: %s", got)
	}
}

func Test10_3_Step2_ProxyRequireIsIgnored(t *testing.T) {
	l := newLab(t)
	l.kitchen().register(kitchenContact, "Proxy-Require: frobnicate").want(200)
}

func Test10_3_Step3_ChallengeComesFirstForAnybody(t *testing.T) {
	l := newLab(t)
	for _, aor := range []string{"2001", "2002", "nobody"} {
		p := l.phone("x", "x", aor)
		l.send(p.request(kitchenContact)).want(401)
		l.send(p.request("Contact: <sip:a@192.0.2.7>;expires=1")).want(401)
		l.send(p.request("Contact: *")).want(401)
	}
}

func Test10_3_Step3_ForeignDomainInToIsChallengedToo(t *testing.T) {
	l := newLab(t, withDomains("registrar.example"))
	p := l.kitchen()
	p.to = "sip:2001@elsewhere.example"
	l.send(p.request(kitchenContact)).want(401)
}

func Test10_3_Step3_FirstChallengeIsNoFailure(t *testing.T) {
	l := newLab(t)
	l.kitchen().challenge()
	if e := l.lastEvent(); e.Kind != journal.Challenged {
		t.Errorf("taken down as %+v", e)
	}
}

func Test10_3_Step4_NotAuthorizedForTheAORIs403(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.to = "sip:2002@registrar.example"
	p.register(kitchenContact).want(403).wantContacts()
	if e := l.lastEvent(); e.Reason != journal.AORNotListed || e.Label != "Kitchen, 1st floor" {
		t.Errorf("taken down as %+v", e)
	}
}

func Test10_3_Step4_AnAORThatExistsIsNotToldFromOneThatDoesNot(t *testing.T) {
	l := newLab(t)
	existing, missing := l.kitchen(), l.kitchen()
	existing.to, missing.to = "sip:2002@registrar.example", "sip:9999@registrar.example"
	a, b := existing.register(kitchenContact).want(403), missing.register(kitchenContact).want(403)
	if a.reason != b.reason || len(a.headers) != len(b.headers) || len(a.text) != len(b.text) {
		t.Errorf("told apart:\n%s\n%s", a.text, b.text)
	}
}

func Test10_3_Step4_SeveralAORsOfOneAuthname(t *testing.T) {
	l := newLab(t)
	p := l.phone("workshop", "w", "2002")
	p.register("Contact: <sip:w@192.0.2.8>").want(200)
	p.to = "sip:2001@registrar.example"
	p.register("Contact: <sip:w@192.0.2.8>").want(200)
}

func Test10_3_Step4_OneAOROfSeveralPeers(t *testing.T) {
	l := newLab(t)
	l.kitchen().register(kitchenContact).want(200)
	l.phone("workshop", "w", "2001").register("Contact: <sip:w@192.0.2.8>").want(200).
		wantContacts("sip:w@192.0.2.8 3600", "sip:2001@192.0.2.7:5060 3600")
}

func Test10_3_Step4_AnyAORThatNoOtherPeerNames(t *testing.T) {
	l := newLab(t, withPeers(labPeers+"\n[Gateway]\nauthname = gw\nsecret = g\naorname = *\n"))
	l.phone("gw", "g", "7777").register("Contact: <sip:gw@192.0.2.9>").want(200)
	l.phone("gw", "g", "2001").register("Contact: <sip:gw@192.0.2.9>").want(403)
}

func Test10_3_Step4_ThirdPartyRegistration(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.from = "sip:secretary@elsewhere.example"
	p.register(kitchenContact).want(200)
	p = l.phone("workshop", "w", "9999")
	p.from = "sip:2001@registrar.example"
	p.register(kitchenContact).want(403)
}

func Test10_3_Step4_TheUserPartOfContactIsFree(t *testing.T) {
	newLab(t).kitchen().register("Contact: <sip:whatever;x@192.0.2.7>").want(200)
}

func Test10_3_Step4_SourceNotPermittedIs403(t *testing.T) {
	l := newLab(t, withPeers(labPeers+"\n[Far]\nauthname = far\nsecret = f\naorname = 3001\npermit = 198.51.100.0/24\n"))
	l.phone("far", "f", "3001").register(kitchenContact).want(403)
	if e := l.lastEvent(); e.Reason != journal.SourceNotPermitted {
		t.Errorf("taken down as %+v", e)
	}
}

func Test10_3_Step4_ADisabledPeerIs403WithTheRightSecretOnly(t *testing.T) {
	l := newLab(t, withPeers(labPeers+"\n[Off]\nauthname = off\nsecret = o\naorname = 3001\nenabled = no\n"))
	l.phone("off", "o", "3001").register(kitchenContact).want(403)
	l.phone("off", "wrong", "3001").register(kitchenContact).want(401)
}

func Test10_3_Step5_ToOfAnotherDomainIs404(t *testing.T) {
	l := newLab(t, withDomains("registrar.example"))
	p := l.kitchen()
	p.to = "sip:2001@elsewhere.example"
	p.register(kitchenContact).want(404)
}

func Test10_3_Step5_ToOfAnotherSchemeIs404(t *testing.T) {
	p := newLab(t).kitchen()
	p.to = "tel:+4930123"
	p.register(kitchenContact).want(404)
}

func Test10_3_Step5_TheAORIsIndexedInCanonicalForm(t *testing.T) {
	l := newLab(t, withDomains("registrar.example"))
	p := l.kitchen()
	p.register(kitchenContact).want(200)
	for _, to := range []string{
		"sip:%32001@registrar.example", "sip:2001@REGISTRAR.example", "sip:2001@registrar.example;user=phone",
		"sips:2001@registrar.example", "sip:2001@registrar.example:5060", "sip:2001@registrar.example.",
	} {
		p.to = to
		if got := p.register().want(200).all("Contact"); len(got) != 1 {
			t.Errorf("%s has the Contacts %q", to, got)
		}
	}
}

func Test10_3_Step5_TheUserPartIsCaseSensitive(t *testing.T) {
	l := newLab(t, withPeers("[A]\nauthname = a\nsecret = s\naorname = Anna\n"))
	l.phone("a", "s", "Anna").register(kitchenContact).want(200)
	l.phone("a", "s", "anna").register(kitchenContact).want(403)
}

func Test10_3_Step6_NoContactIsAQuery(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register().want(200).wantContacts()
	p.register(kitchenContact).want(200)
	l.pass(10 * time.Second)
	p.register("Expires: 0").want(200).wantContacts("sip:2001@192.0.2.7:5060 3590")
}

func Test10_3_Step6_WildcardRemovesAll(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>, <sip:b@192.0.2.7>").want(200)
	l.phone("workshop", "w", "2001").register("Contact: <sip:w@192.0.2.8>").want(200)
	p.register("Contact: *", "Expires: 0").want(200).wantContacts()
	p.register().want(200).wantContacts()
}

func Test10_3_Step6_WildcardWithoutExpires0Is400(t *testing.T) {
	for _, lines := range [][]string{
		{"Contact: *"}, {"Contact: *", "Expires: 60"}, {"Contact: *", "Expires: x"},
		{"Contact: *, <sip:a@192.0.2.7>", "Expires: 0"}, {"Contact: *", "Contact: <sip:a@192.0.2.7>", "Expires: 0"},
		{"Contact: *", "Contact: *", "Expires: 0"}, {"Contact: *;expires=0"}, {"Contact: *;expires=60", "Expires: 0"},
	} {
		t.Run(strings.Join(lines, " "), func(t *testing.T) {
			p := newLab(t).kitchen()
			p.register(kitchenContact).want(200)
			p.register(lines...).want(400)
			p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
		})
	}
}

func Test10_3_Step6_WildcardFailsAsAWholeOnAnOldCSeq(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.cseq = 100
	p.register(kitchenContact).want(200)
	other := l.phone("workshop", "w", "2001")
	other.register("Contact: <sip:w@192.0.2.8>").want(200)
	p.cseq = 50
	p.register("Contact: *", "Expires: 0").want(500)
	p.cseq = 200
	p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600", "sip:w@192.0.2.8 3600")
}

func Test10_3_Step7_Expiry(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string // seconds, empty: no binding
	}{
		{"none asked", []string{"Contact: <sip:a@192.0.2.7>"}, "3600"},
		{"Expires", []string{"Contact: <sip:a@192.0.2.7>", "Expires: 600"}, "600"},
		{"parameter", []string{"Contact: <sip:a@192.0.2.7>;expires=700"}, "700"},
		{"parameter goes before Expires", []string{"Contact: <sip:a@192.0.2.7>;expires=700", "Expires: 600"}, "700"},
		{"parameter in capitals with blanks", []string{"Contact: <sip:a@192.0.2.7> ; EXPIRES = 700"}, "700"},
		{"folded parameter", []string{"Contact: <sip:a@192.0.2.7>", "  ;expires=700"}, "700"},
		{"without brackets", []string{"Contact: sip:a@192.0.2.7;expires=700"}, "700"},
		{"above the maximum", []string{"Contact: <sip:a@192.0.2.7>;expires=86400"}, "7200"},
		{"largest number", []string{"Contact: <sip:a@192.0.2.7>;expires=4294967295"}, "7200"},
		{"number too large", []string{"Contact: <sip:a@192.0.2.7>", "Expires: 4294967296"}, "3600"},
		{"parameter too large", []string{"Contact: <sip:a@192.0.2.7>;expires=99999999999999999999"}, "3600"},
		{"malformed Expires", []string{"Contact: <sip:a@192.0.2.7>", "Expires: soon"}, "3600"},
		{"malformed parameter", []string{"Contact: <sip:a@192.0.2.7>;expires=soon", "Expires: 600"}, "3600"},
		{"negative", []string{"Contact: <sip:a@192.0.2.7>;expires=-1"}, "3600"},
		{"empty parameter", []string{"Contact: <sip:a@192.0.2.7>;expires"}, "3600"},
		{"parameter without a value", []string{"Contact: <sip:a@192.0.2.7>;expires="}, "3600"},
		{"the minimum", []string{"Contact: <sip:a@192.0.2.7>;expires=60"}, "60"},
		{"zero of what is not there", []string{"Contact: <sip:a@192.0.2.7>;expires=0"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newLab(t).kitchen().register(test.lines...).want(200)
			if test.want == "" {
				r.wantContacts()
			} else {
				r.wantContacts("sip:a@192.0.2.7 " + test.want)
			}
		})
	}
}

func Test10_3_Step7_BelowTheMinimumIs423WithMinExpires(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	r := p.register("Contact: <sip:a@192.0.2.7>;expires=59").want(423)
	if got := r.one("Min-Expires"); got != "60" {
		t.Errorf("Min-Expires: %s", got)
	}
	p.register("Contact: <sip:a@192.0.2.7>", "Expires: 1").want(423)
	p.register().want(200).wantContacts()
}

func Test10_3_Step7_AnHourIsNeverTooBrief(t *testing.T) {
	l := newLab(t, withPeers("minimum_expiration = 4000\ndefault_expiration = 5000\n"+labPeers))
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>;expires=3599").want(423)
	p.register("Contact: <sip:a@192.0.2.7>;expires=3600").want(200).wantContacts("sip:a@192.0.2.7 3600")
}

func Test10_3_Step7_ZeroRemovesOne(t *testing.T) {
	p := newLab(t).kitchen()
	p.register("Contact: <sip:a@192.0.2.7>, <sip:b@192.0.2.7>").want(200)
	p.register("Contact: <sip:a@192.0.2.7>;expires=0").want(200).wantContacts("sip:b@192.0.2.7 3600")
	p.register("Contact: <sip:b@192.0.2.7>", "Expires: 0").want(200).wantContacts()
}

func Test10_3_Step7_ContactsAreComparedByURIEquality(t *testing.T) {
	tests := []struct {
		name   string
		second string
		same   bool
	}{
		{"case of the host", "<sip:bob@HOST.example;a=1;b=2>", true},
		{"order of parameters", "<sip:bob@host.example;b=2;a=1>", true},
		{"escape", "<sip:%62ob@host.example;a=1;b=2>", true},
		{"display name", `"Bob" <sip:bob@host.example;a=1;b=2>`, true},
		{"case of the user part", "<sip:Bob@host.example;a=1;b=2>", false},
		{"port written out", "<sip:bob@host.example:5060;a=1;b=2>", false},
		{"transport written out", "<sip:bob@host.example;a=1;b=2;transport=udp>", false},
		{"other parameter value", "<sip:bob@host.example;a=9;b=2>", false},
		{"sips", "<sips:bob@host.example;a=1;b=2>", false}, // over TLS, as all of these
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.transport = "TLS"
			p := l.kitchen()
			p.register("Contact: <sip:bob@host.example;a=1;b=2>").want(200)
			got := len(p.register("Contact: " + test.second).want(200).all("Contact"))
			if (got == 1) != test.same {
				t.Errorf("%d bindings", got)
			}
		})
	}
}

// §10.2.1, §26.2.2.
func Test10_3_Step7_ASIPSContactIsTakenOverTLSOnly(t *testing.T) {
	const contact = "Contact: <sip:2001@192.0.2.7>, <sips:2001@192.0.2.7>"
	for transport, status := range map[string]int{"UDP": 403, "TCP": 403, "WS": 403, "TLS": 200, "WSS": 200} {
		t.Run(transport, func(t *testing.T) {
			l := newLab(t)
			l.transport = transport
			p := l.kitchen()
			p.register(contact).want(status)
			if status == 200 {
				l.transport = "UDP" // to give it up is no matter of secrecy
				p.register("Contact: <sips:2001@192.0.2.7>;expires=0").want(200).wantContacts("sip:2001@192.0.2.7 3600")
				return
			}
			if e := l.lastEvent(); e.Reason != journal.SIPSWithoutTLS || e.Label != "Kitchen, 1st floor" || e.Detail != "the Contact is sips:2001@192.0.2.7" {
				t.Errorf("taken down as %+v", e)
			}
			p.register().want(200).wantContacts()
		})
	}
}

func Test26_2_2_ASIPSRequestURIIsTakenOverTLSOnly(t *testing.T) {
	for transport, status := range map[string]int{"UDP": 403, "TCP": 403, "WS": 403, "TLS": 200, "WSS": 200} {
		t.Run(transport, func(t *testing.T) {
			l := newLab(t)
			l.transport = transport
			p := l.kitchen()
			p.scheme = "sips"
			l.send(p.request(kitchenContact)).want(401) // nobody is told anything before
			p.register(kitchenContact).want(status)
			if e := l.lastEvent(); status == 403 && e.Reason != journal.SIPSWithoutTLS {
				t.Errorf("taken down as %+v", e)
			}
		})
	}
}

func Test10_3_Step7_AnOlderCSeqOfTheSameCallIDFailsAndChangesNothing(t *testing.T) {
	for _, last := range []int{100, 99, 1} { // the same and lower ones
		l := newLab(t)
		p := l.kitchen()
		p.cseq = 98
		p.register("Contact: <sip:a@192.0.2.7>").want(200) // 99 is challenged, 100 registers
		p.cseq = last - 2
		l.pass(time.Minute) // no transaction knows the request any more
		p.register("Contact: <sip:a@192.0.2.7>;expires=0, <sip:new@192.0.2.7>").want(500)
		p.cseq = 200
		p.register().want(200).wantContacts("sip:a@192.0.2.7 3540")
	}
}

// What the RFC does not know: a phone that rebooted with its old Call-ID counts anew.
func Test10_3_Step7_CSeqResetLetsAPhoneCountAnew(t *testing.T) {
	tests := []struct {
		name  string
		peers string
		after time.Duration // since the last REGISTER
		last  int           // CSeq of the request that answers the challenge
		lines []string
		want  int
	}{
		{"not asked for", labPeers, time.Hour / 2, 2, []string{"Contact: <sip:a@192.0.2.7>"}, 500},
		{"lower", "cseq_reset = yes\n" + labPeers, 33 * time.Second, 2, []string{"Contact: <sip:a@192.0.2.7>"}, 200},
		{"the same", "cseq_reset = yes\n" + labPeers, 33 * time.Second, 100, []string{"Contact: <sip:a@192.0.2.7>"}, 200},
		{"with another Contact", "cseq_reset = yes\n" + labPeers, 33 * time.Second, 2,
			[]string{"Contact: <sip:b@192.0.2.7>, <sip:a@192.0.2.7>;expires=0"}, 200},
		{"removing all", "cseq_reset = yes\n" + labPeers, 33 * time.Second, 2, []string{"Contact: *", "Expires: 0"}, 200},
		{"a retransmission may be under way", "cseq_reset = yes\n" + labPeers, 32 * time.Second, 2, []string{"Contact: <sip:a@192.0.2.7>"}, 500},
		{"likewise, removing all", "cseq_reset = yes\n" + labPeers, 32 * time.Second, 2, []string{"Contact: *", "Expires: 0"}, 500},
		{"not this peer", "cseq_reset = yes\n" + strings.Replace(labPeers, "aorname = 2001\n", "aorname = 2001\ncseq_reset = no\n", 1),
			33 * time.Second, 2, []string{"Contact: <sip:a@192.0.2.7>"}, 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withPeers(test.peers))
			p := l.kitchen()
			p.cseq = 98
			p.register("Contact: <sip:a@192.0.2.7>").want(200)
			l.pass(test.after)
			p.cseq = test.last - 2
			p.register(test.lines...).want(test.want)
			if e := l.lastEvent(); test.want == 500 && (e.Reason != journal.CSeqNotRising || !strings.HasPrefix(e.Detail, "last was 100")) {
				t.Errorf("taken down as %+v", e)
			}
		})
	}
}

func Test10_3_Step7_CSeqResetTakesANewChallenge(t *testing.T) {
	l := newLab(t, withPeers("cseq_reset = yes\n"+labPeers))
	kept := l.kitchen() // a request with an older challenge, that somebody has kept
	kept.challenge()
	p := l.kitchen()
	p.callID, p.cseq = kept.callID, 98
	p.register(kitchenContact).want(200)
	l.pass(33 * time.Second)
	kept.authenticated("Contact: <sip:2001@192.0.2.7:5060>;expires=0").want(500)
	if e := l.lastEvent(); e.Detail != "last was 100; cseq_reset = yes, but the challenge that the phone answers is older" {
		t.Errorf("taken down as %+v", e)
	}
	kept.register(kitchenContact).want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
}

// From then on it is the lower CSeq that counts.
func Test10_3_Step7_CSeqResetIsForOnce(t *testing.T) {
	l := newLab(t, withPeers("cseq_reset = yes\n"+labPeers))
	p := l.kitchen()
	p.cseq = 98
	p.register(kitchenContact).want(200)
	l.pass(time.Minute)
	p.cseq = 10
	p.register(kitchenContact).want(200)
	p.cseq = 5
	p.register(kitchenContact).want(500)
	p.cseq = 20
	p.register(kitchenContact).want(200)
}

func Test10_3_Step7_AnotherCallIDMayUpdateWithAnyCSeq(t *testing.T) {
	p := newLab(t).kitchen()
	p.cseq = 100
	p.register("Contact: <sip:a@192.0.2.7>").want(200)
	p.callID, p.cseq = "rebooted", 0
	p.register("Contact: <sip:a@192.0.2.7>;expires=300").want(200).wantContacts("sip:a@192.0.2.7 300")
}

func Test10_3_Step7_AllContactsTakeEffectOrNone(t *testing.T) {
	p := newLab(t).kitchen()
	p.register("Contact: <sip:a@192.0.2.7>").want(200)
	p.register("Contact: <sip:a@192.0.2.7>;expires=0, <sip:b@192.0.2.7>;expires=5").want(423)
	p.register().want(200).wantContacts("sip:a@192.0.2.7 3600")
}

func Test10_3_Step7_TheSameContactTwiceInARequest(t *testing.T) {
	p := newLab(t).kitchen()
	p.register("Contact: <sip:a@192.0.2.7>;expires=600, <sip:%61@192.0.2.7>;expires=600").want(200).
		wantContacts("sip:a@192.0.2.7 600")
	p.register("Contact: <sip:a@192.0.2.7>;expires=600, <sip:a@192.0.2.7>;expires=0").want(400)
}

func Test10_3_Step7_MaxContactsReplacesTheOldest(t *testing.T) {
	l := newLab(t, withPeers("max_contacts = 2\n"+labPeers))
	p := l.kitchen()
	for _, name := range []string{"a", "b"} {
		p.register("Contact: <sip:" + name + "@192.0.2.7>").want(200)
		l.pass(time.Second)
	}
	p.register("Contact: <sip:a@192.0.2.7>").want(200) // now b is the oldest
	p.register("Contact: <sip:c@192.0.2.7>").want(200).
		wantContacts("sip:c@192.0.2.7 3600", "sip:a@192.0.2.7 3600")
	p.register("Contact: <sip:d@192.0.2.7>, <sip:e@192.0.2.7>, <sip:f@192.0.2.7>").want(403)
}

func Test10_3_Step7_MaxContactsWithoutRemoveExistingIs403(t *testing.T) {
	l := newLab(t, withPeers("max_contacts = 1\nremove_existing = no\n"+labPeers))
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>").want(200)
	p.register("Contact: <sip:b@192.0.2.7>").want(403)
	p.register("Contact: <sip:a@192.0.2.7>;expires=300").want(200).wantContacts("sip:a@192.0.2.7 300")
	p.register("Contact: <sip:a@192.0.2.7>;expires=0, <sip:b@192.0.2.7>").want(200).wantContacts("sip:b@192.0.2.7 3600")
}

func Test10_3_Step7_BindingsExpire(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>;expires=60").want(200)
	l.pass(60 * time.Second)
	p.register().want(200).wantContacts()
	l.pass(time.Second)
	l.store.Expire(l.now, l.registrar.Expired)
	if e := l.lastEvent(); e.Kind != journal.Expired || e.Contact != "sip:a@192.0.2.7" {
		t.Errorf("taken down as %+v", e)
	}
}

func Test10_3_Step8_AllBindingsTheRequestersOwnFirstWithDate(t *testing.T) {
	l := newLab(t)
	l.phone("workshop", "w", "2001").register("Contact: <sip:w@192.0.2.8>;q=0.5;+sip.instance=\"<urn:x>\"").want(200)
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>").want(200)
	r := p.register("Contact: <sip:b@192.0.2.7>").want(200).
		wantContacts("sip:b@192.0.2.7 3600", "sip:a@192.0.2.7 3600", "sip:w@192.0.2.8 3600")
	if got := r.one("Date"); got != "Mon, 23 Nov 2026 12:00:00 GMT" {
		t.Errorf("Date: %s", got)
	}
	if got := r.all("Contact")[2]; got != `<sip:w@192.0.2.8>;q=0.5;expires=3600;+sip.instance="<urn:x>"` {
		t.Errorf("Contact: %s", got)
	}
}

func TestReloadTakesBindingsOfPeersThatAreGoneRekeyedOrLostTheAOR(t *testing.T) {
	tests := []struct {
		name  string
		peers string
		stays bool
	}{
		{"unchanged", labPeers, true},
		{"another label", strings.ReplaceAll(labPeers, "Kitchen, 1st floor", "Kitchen"), true},
		{"another secret", strings.ReplaceAll(labPeers, "any;text#at all", "new"), false},
		{"another authname", strings.ReplaceAll(labPeers, "7f3a9c", "8f3a9c"), false},
		{"lost the AOR", strings.ReplaceAll(labPeers, "aorname = 2001\n", "aorname = 2005\n"), false},
		{"disabled", strings.ReplaceAll(labPeers, "aorname = 2001\n", "aorname = 2001\nenabled = no\n"), false},
		{"gone", "[W]\nauthname = workshop\nsecret = w\naorname = 2001\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.kitchen().register(kitchenContact).want(200)
			w := l.phone("workshop", "w", "2001")
			w.register("Contact: <sip:w@192.0.2.8>").want(200)
			l.reload(test.peers)
			e := l.lastEvent()
			got := len(w.register().want(200).all("Contact"))
			if (got == 2) != test.stays {
				t.Errorf("%d bindings of two left", got)
			}
			if !test.stays && (e.Kind != journal.Removed || e.Reason != journal.ByConfiguration) {
				t.Errorf("taken down as %+v", e)
			}
		})
	}
}

// What was registered with the new secret stays, though what the old one has bound is
// removed later than that: in a store that nodes share.
func TestAReloadLeavesWhatTheNewPeersHaveBound(t *testing.T) {
	l := newLab(t)
	l.kitchen().register(kitchenContact).want(200)
	old := l.kitchen()
	old.register("Contact: <sip:old@192.0.2.7>").want(200)
	last, taken := l.registrar.Take(l.load(strings.ReplaceAll(labPeers, "any;text#at all", "new"))), l.now
	l.pass(time.Second)
	p := l.phone("7f3a9c", "new", "2001")
	p.register(kitchenContact).want(200)
	l.registrar.EndSince(last, taken)
	p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
}

func TestAReloadDuringARequestLetsInNothingThatItTookAway(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	l.beforeUpdate = func() { l.reload("[Other]\nauthname = o\nsecret = o\naorname = 1\n") }
	p.authenticated(kitchenContact).want(403)
	if aors, _ := l.store.Count(); aors != 0 {
		t.Error("something was bound")
	}
}

func TestAReloadDuringARequestOfAPeerThatStaysIsNotNoticed(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	l.beforeUpdate = func() { l.reload(labPeers + "[Other]\nauthname = o\nsecret = o\naorname = 1\n") }
	p.authenticated(kitchenContact).want(200)
}

func TestDomainsHaveRealmsAndAORsOfTheirOwn(t *testing.T) {
	l := newLab(t, withDomains("one.example", "two.example"), withPeers(`
[One]
authname = p
secret = 1
aorname = 100
[Two]
authname = p
secret = 2
aorname = 100
domain = two.example
`))
	one, two := l.phone("p", "1", "100"), l.phone("p", "2", "100")
	one.domain, one.to = "one.example", "sip:100@one.example"
	two.domain, two.to, two.callID = "two.example", "sip:100@two.example", "two"
	if got := one.challenge().challenge("realm"); got != "one.example" {
		t.Errorf("realm %q", got)
	}
	one.register("Contact: <sip:1@192.0.2.7>").want(200)
	two.register("Contact: <sip:2@192.0.2.7>").want(200).wantContacts("sip:2@192.0.2.7 3600")
	two.to = "sip:100@one.example"
	two.register("Contact: <sip:2@192.0.2.7>").want(403)
}

func TestPeerHeldToOneAlgorithm(t *testing.T) {
	l := newLab(t, withAlgorithms(digest.SHA256, digest.MD5), withPeers(labPeers+
		"\n[Modern]\nauthname = m\nsecret = m\naorname = 3001\nalgorithm = SHA-256\n"))
	p := l.phone("m", "m", "3001")
	p.register(kitchenContact).want(401)
	if e := l.lastEvent(); e.Reason != journal.WrongAlgorithm {
		t.Errorf("taken down as %+v", e)
	}
	p.algorithm = "SHA-256"
	p.register(kitchenContact).want(200)
}

func TestPermitJudgesTheSourceOfTheRequest(t *testing.T) {
	l := newLab(t, withPeers("[A]\nauthname = a\nsecret = s\naorname = 1\npermit = 2001:db8::/32, 198.51.100.7\n"))
	p := l.phone("a", "s", "1")
	for source, want := range map[string]int{
		"198.51.100.7:5060": 200, "198.51.100.8:5060": 403, "[2001:db8::5]:5060": 200, "[2001:db9::5]:5060": 403,
	} {
		p.challenge()
		p.nc++
		l.sendFrom(netip.MustParseAddrPort(source), p.request(p.authorization())).want(want)
	}
}

// Equality of URIs is not transitive: two that differ may both equal a third.
// They take no more than one binding between them, and the limit holds.
func Test10_3_Step7_WhatEqualsSeveralDoesNotGrowTheList(t *testing.T) {
	l := newLab(t, withPeers("max_contacts = 3\n"+labPeers))
	p := l.kitchen()
	p.register("Contact: <sip:x@192.0.2.7>").want(200)
	for _, round := range []string{"p", "q", "r"} {
		var contacts []string
		for i := range 3 {
			contacts = append(contacts, fmt.Sprintf("<sip:x@192.0.2.7;%s=%d>", round, i))
		}
		p.register("Contact: " + strings.Join(contacts, ", ")).want(200)
		if n := len(l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)); n > 3 {
			t.Fatalf("%d bindings", n)
		}
	}
	p.register("Contact: <sip:x@192.0.2.7>").want(200).wantContacts("sip:x@192.0.2.7 3600") // it equals them all
	p.register("Contact: <sip:x@192.0.2.7;a=1>, <sip:x@192.0.2.7;a=2>").want(200).
		wantContacts("sip:x@192.0.2.7;a=1 3600", "sip:x@192.0.2.7;a=2 3600")
	p.register("Contact: <sip:x@192.0.2.7>;expires=0").want(200).wantContacts()
}

// The change cannot be stored: it is undone, and the phone is told when to ask
// again.
func Test10_3_Step7_WhatCannotBeStoredIs503(t *testing.T) {
	t.Run("to come back some time", func(t *testing.T) { checkNotStored(t, newLab(t), "10") })
	t.Run("not with all others", func(t *testing.T) {
		checkNotStored(t, newLab(t, func(s *setup) { s.retryAfter = func() int { return 7 } }), "7")
	})
}

func checkNotStored(t *testing.T, l *lab, retryAfter string) {
	p := l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>").want(200)
	l.updateFails = location.ErrNotDurable
	if got := p.register("Contact: <sip:b@192.0.2.7>").want(503).one("Retry-After"); got != retryAfter {
		t.Errorf("Retry-After %q", got)
	}
	if e := l.lastEvent(); e.Reason != journal.StoreFailed || e.Status != 503 {
		t.Errorf("taken down as %+v", e)
	}
	p.register().want(200).wantContacts("sip:a@192.0.2.7 3600") // a query changes nothing
}
