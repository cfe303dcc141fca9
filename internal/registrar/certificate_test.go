package registrar_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/message"
)

const certifiedPeers = `
[Attic]
authname = gw-1
certificate_name = gw1.example.com, shared
aorname = 3001

[Cellar]
authname = gw-2
secret = s
certificate_name = "CN=GW 2,O=Example", shared
aorname = 3002, 3001
permit = 192.0.2.0/24

[Barn]
authname = gw-3
certificate_name = gw3.example.com
aorname = 3003
enabled = no

[Kitchen, 1st floor]
authname = 7f3a9c
secret = any;text#at all
aorname = 2001
`

// newCertifiedLab is a lab behind a stream that has shown a certificate.
func newCertifiedLab(t *testing.T, names ...string) *lab {
	t.Helper()
	l := newLab(t, withPeers(certifiedPeers))
	l.transport = "TLS"
	l.show(names...)
	return l
}

func (l *lab) show(names ...string) {
	l.certificate = &message.Certificate{Names: names, Expires: l.now.Add(24 * time.Hour)}
}

func TestACertificateStandsForADigest(t *testing.T) {
	tests := []struct {
		name, aor string
		names     []string
		want      int
		label     string // empty: nobody
		reason    journal.Reason
		detail    string
	}{
		{"its AOR", "3001", []string{"cn=gw1", "gw1.example.com"}, 200, "Attic", journal.None, ""},
		{"by its subject", "3002", []string{"cn=gw 2,o=example"}, 200, "Cellar", journal.None, ""},
		{"an AOR of another peer", "2001", []string{"gw1.example.com"}, 401, "", journal.None, "the certificate is that of [Attic], whose aorname is 3001"},
		{"an AOR of nobody", "9999", []string{"gw1.example.com"}, 401, "", journal.None, "the certificate is that of [Attic], whose aorname is 3001"},
		{"a disabled peer", "3003", []string{"gw3.example.com"}, 403, "Barn", journal.PeerDisabled, ""},
		{"the first that may bind of several", "3001", []string{"shared"}, 200, "Attic", journal.None, ""},
		{"a later one that may bind", "3002", []string{"shared"}, 200, "Cellar", journal.None, ""},
		{"none of several may bind", "3003", []string{"shared"}, 401, "", journal.None, "the certificate is that of [Attic], whose aorname is 3001"},
		{"nobody's", "3001", []string{"cn=x,o=y", "x"}, 401, "", journal.None, `no peer has a name of the certificate: "cn=x,o=y", x`},
		{"nobody's, with long names", "3001", []string{strings.Repeat("x", 240), strings.Repeat("y", 240)}, 401, "", journal.None,
			"no peer has a name of the certificate: " + strings.Repeat("x", 240) + "…"},
		{"a label, an authname and an AOR", "3001", []string{"attic", "gw-1", "3001"}, 401, "", journal.None,
			"no peer has a name of the certificate: attic, gw-1, 3001"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newCertifiedLab(t, test.names...)
			p := l.phone("", "", test.aor)
			answer := l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(test.want)
			e := l.lastEvent()
			if len(l.events) != 1 || e.Label != test.label || e.Reason != test.reason || e.Detail != test.detail {
				t.Errorf("taken down as %+v", l.events)
			}
			if kind := map[int]journal.Kind{200: journal.Added, 403: journal.Refused, 401: journal.Challenged}[test.want]; e.Kind != kind {
				t.Errorf("taken down as %v", e.Kind)
			}
			if test.want == 200 {
				answer.wantContacts("sip:gw@192.0.2.7 3600")
				if want := map[string]string{"Attic": "gw-1", "Cellar": "gw-2"}[test.label]; e.Authname != want {
					t.Errorf("authname %q, want %q", e.Authname, want)
				}
			}
		})
	}
}

// The answer to a certificate that stands for nobody is the one to none.
func TestACertificateOfNobodyIsToldNothing(t *testing.T) {
	l := newCertifiedLab(t, "x")
	p := l.phone("7f3a9c", "any;text#at all", "2001")
	with := l.send(p.request()).want(401)
	l.certificate = nil
	p.cseq--
	without := l.send(p.request()).want(401)
	for _, r := range []*response{with, without} {
		if r.reason != "Unauthorized" || r.challenge("realm") != "sipregd" || len(r.headers) != len(with.headers) {
			t.Errorf("got\n%s", r.text)
		}
	}
	l.show("x")
	p.register(kitchenContact).want(200)
}

func TestADigestGoesBeforeACertificate(t *testing.T) {
	l := newCertifiedLab(t, "shared")
	kitchen := l.kitchen()
	l.certificate = nil
	kitchen.challenge()
	l.show("shared")
	kitchen.authenticated(kitchenContact).want(200)
	if e := l.lastEvent(); e.Label != "Kitchen, 1st floor" {
		t.Errorf("taken down as %+v", e)
	}
	wrong := l.phone("gw-2", "wrong", "3002")
	wrong.nonce = kitchen.nonce
	wrong.authenticated().want(401)
	wrong.secret, wrong.nonce = "s", l.lastChallenge(t, wrong)
	wrong.nc = 0
	wrong.authenticated("Contact: <sip:gw@192.0.2.7>").want(200)
	elsewhere := l.phone("a", "b", "3001")
	elsewhere.realm = "elsewhere"
	elsewhere.authenticated("Contact: <sip:gw@192.0.2.7>").want(200) // of another realm: somebody else's
}

// lastChallenge returns a nonce that a phone without a certificate gets.
func (l *lab) lastChallenge(t *testing.T, p *phone) string {
	t.Helper()
	shown := l.certificate
	l.certificate = nil
	defer func() { l.certificate = shown }()
	return l.send(p.request()).want(401).challenge("nonce")
}

// No digest is right for a peer that has none: not even that of an empty secret, nor of
// a hash of zeros.
func TestWithACertificateAloneNoDigestIsRight(t *testing.T) {
	for _, algorithm := range []digest.Algorithm{digest.MD5, digest.SHA256} {
		l := newLab(t, withPeers(certifiedPeers), withAlgorithms(algorithm))
		p := l.phone("gw-1", "", "3001")
		if algorithm == digest.SHA256 {
			p.algorithm = "SHA-256"
		}
		p.register("Contact: <sip:gw@192.0.2.7>").want(401)
		if e := l.lastEvent(); e.Reason != journal.WrongSecret || e.Label != "" || e.Authname != "gw-1" || e.Detail != "this peer has certificate_name alone" {
			t.Errorf("taken down as %+v", e)
		}
	}
}

func TestACertificateThatHasExpiredOnItsStreamStandsForNobody(t *testing.T) {
	l := newCertifiedLab(t, "gw1.example.com")
	p := l.phone("", "", "3001")
	l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(200)
	l.pass(24*time.Hour + time.Second)
	l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(401)
	if e := l.lastEvent(); e.Detail != "the certificate has expired on 2026-11-24 12:00:00" {
		t.Errorf("taken down as %+v", e)
	}
}

func TestPermitCountsWithACertificate(t *testing.T) {
	l := newCertifiedLab(t, "cn=gw 2,o=example")
	p := l.phone("", "", "3002")
	l.sendFrom(netip.MustParseAddrPort("198.51.100.7:5061"), p.request("Contact: <sip:gw@198.51.100.7>")).want(403)
	if e := l.lastEvent(); e.Reason != journal.SourceNotPermitted || e.Label != "Cellar" {
		t.Errorf("taken down as %+v", e)
	}
}

// cseq_reset asks for a new challenge since somebody may have kept a request. TLS lets
// nobody send it again.
func TestCSeqResetWithACertificate(t *testing.T) {
	tests := []struct {
		name  string
		reset string
		after time.Duration
		want  int
	}{
		{"after a while", "cseq_reset = yes\n", 33 * time.Second, 200},
		{"a retransmission may be under way", "cseq_reset = yes\n", 32 * time.Second, 500},
		{"not asked for", "", time.Hour / 2, 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newCertifiedLab(t, "gw1.example.com")
			l.reload(test.reset + certifiedPeers)
			p := l.phone("", "", "3001")
			p.cseq = 98
			l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(200)
			l.pass(test.after)
			p.cseq = 0
			l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(test.want)
		})
	}
}

func TestReloadTakesBindingsOfAnotherCertificate(t *testing.T) {
	l := newCertifiedLab(t, "gw1.example.com")
	p := l.phone("", "", "3001")
	l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(200)
	l.beforeUpdate = func() { l.reload(strings.Replace(certifiedPeers, "gw1.example.com", "gw9.example.com", 1)) }
	l.send(p.request("Contact: <sip:gw@192.0.2.7>")).want(403)
	removed := l.events[len(l.events)-2]
	if removed.Kind != journal.Removed || removed.Reason != journal.ByConfiguration || removed.Label != "Attic" {
		t.Errorf("taken down as %+v", removed)
	}
	l.send(p.request()).want(401)
	l.show("gw9.example.com")
	l.send(p.request()).want(200).wantContacts()
}
