package registrar_test

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
)

// The names of these tests are the conformance table of RFC 3261 §22 with RFC
// 7616, RFC 8760 and RFC 2617's clients.

func Test22_4_TheChallengeHasRealmNonceAlgorithmAndQOP(t *testing.T) {
	r := newLab(t).kitchen().challenge()
	want := regexp.MustCompile(`^Digest realm="sipregd", nonce="[A-Za-z0-9_-]{32}", algorithm=MD5, qop="auth"$`)
	if got := r.one("WWW-Authenticate"); !want.MatchString(got) {
		t.Errorf("WWW-Authenticate: %s", got)
	}
}

func Test22_4_TheRealmIsTheMatchedDomainUnlessSet(t *testing.T) {
	p := newLab(t, withDomains("one.example", "registrar.example")).kitchen()
	if got := p.challenge().challenge("realm"); got != "registrar.example" {
		t.Errorf("realm %q", got)
	}
	p = newLab(t, withDomains("registrar.example"), withRealm("Office")).kitchen()
	if got := p.challenge().challenge("realm"); got != "Office" {
		t.Errorf("realm %q", got)
	}
	p.register(kitchenContact).want(200)
}

func Test22_4_EachChallengeHasANonceOfItsOwn(t *testing.T) {
	p := newLab(t).kitchen()
	seen := map[string]bool{}
	for range 100 {
		p.challenge()
		if seen[p.nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[p.nonce] = true
	}
}

func TestRFC8760_OneChallengeForEachAlgorithmInOrder(t *testing.T) {
	l := newLab(t, withAlgorithms(digest.SHA256, digest.MD5))
	p := l.kitchen()
	values := p.challenge().all("WWW-Authenticate")
	if len(values) != 2 || !strings.Contains(values[0], "algorithm=SHA-256,") || !strings.Contains(values[1], "algorithm=MD5,") {
		t.Fatalf("WWW-Authenticate: %q", values)
	}
	p.algorithm = "SHA-256"
	p.register(kitchenContact).want(200)
	p.algorithm = "" // not said: MD5
	p.register().want(200)
	p.algorithm = "md5"
	p.register().want(200)
}

func TestRFC8760_AnAlgorithmThatIsNotOfferedIs401(t *testing.T) {
	p := newLab(t).kitchen()
	p.algorithm = "SHA-256"
	if r := p.register(kitchenContact).want(401); r.challenge("stale") != "" {
		t.Error("stale")
	}
}

func TestRFC2617_CredentialsWithoutQOPAreAcceptedOnceForANonce(t *testing.T) {
	p := newLab(t).kitchen()
	p.noQOP = true
	p.register(kitchenContact).want(200)
	if r := p.authenticated().want(401); r.challenge("stale") != "true" {
		t.Error("not stale: a phone without qop would give up")
	}
	p.register().want(200)
}

func Test22_4_AWrongSecretIs401AndNeverStale(t *testing.T) {
	l := newLab(t)
	p := l.phone("7f3a9c", "wrong", "2001")
	first := p.challenge()
	r := p.authenticated(kitchenContact).want(401)
	if r.challenge("stale") != "" || r.challenge("nonce") == first.challenge("nonce") {
		t.Errorf("challenged with %q", r.all("WWW-Authenticate"))
	}
	l.pass(time.Hour) // and now the nonce is old, too
	if r := p.authenticated(kitchenContact).want(401); r.challenge("stale") != "" {
		t.Error("stale with a wrong secret")
	}
	if e := l.lastEvent(); e.Reason != journal.WrongSecret {
		t.Errorf("taken down as %+v", e)
	}
}

func Test22_AnUnknownAuthnameIsNotToldFromAWrongSecret(t *testing.T) {
	l := newLab(t)
	known, unknown := l.phone("7f3a9c", "wrong", "2001"), l.phone("9f3a9c", "wrong", "2001")
	unknown.callID = known.callID // the answers come from before any transaction
	a, b := known.register(kitchenContact).want(401), unknown.register(kitchenContact).want(401)
	varying := regexp.MustCompile(`nonce="[^"]*"|tag=[^;\r]*|branch=[^;\r]*|call-\S*|CSeq: \d+`)
	if x, y := varying.ReplaceAllString(a.text, "*"), varying.ReplaceAllString(b.text, "*"); x != y || len(a.text) != len(b.text) {
		t.Errorf("told apart:\n%s\n%s", a.text, b.text)
	}
}

func Test22_AnOldNonceIsStale(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	l.pass(301 * time.Second)
	if r := p.authenticated(kitchenContact).want(401); r.challenge("stale") != "true" {
		t.Error("not stale")
	}
}

func Test22_ANonceFromBeforeARestartIsStale(t *testing.T) {
	before := newLab(t).kitchen()
	before.challenge()
	l := newLab(t)
	p := l.kitchen()
	p.nonce = strings.ToLower(before.nonce) // as good as any other of another process
	if r := p.authenticated(kitchenContact).want(401); r.challenge("stale") != "true" {
		t.Error("not stale")
	}
	p.secret = "wrong"
	if r := p.authenticated(kitchenContact).want(401); r.challenge("stale") != "" {
		t.Error("stale with a wrong secret")
	}
}

func Test22_ANonceServesAgainWithAHigherCount(t *testing.T) {
	p := newLab(t).kitchen()
	p.register(kitchenContact).want(200)
	p.authenticated(kitchenContact).want(200)
	p.nc += 7
	p.authenticated(kitchenContact).want(200)
}

func Test22_ACapturedAuthorizationCannotBeReplayed(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register(kitchenContact).want(200)
	l.send(p.request(p.authorization(), "Contact: *", "Expires: 0")).want(401)
	if e := l.lastEvent(); e.Reason != journal.Replay {
		t.Errorf("taken down as %+v", e)
	}
	p.register().want(200).wantContacts("sip:2001@192.0.2.7:5060 3600")
}

func Test17_2_2_ARetransmissionGetsTheVeryBytes(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	request := p.request(p.authorization(), kitchenContact)
	first := l.send(request).want(200)
	l.pass(31 * time.Second)
	if again := l.send(request); again.text != first.text {
		t.Errorf("first\n%s\nthen\n%s", first.text, again.text)
	}
}

func Test22_4_TheDigestURIIsComparedForgivingly(t *testing.T) {
	tests := []struct {
		uri  string
		want int
	}{
		{"sip:registrar.example", 200},
		{"sip:REGISTRAR.example:5060;transport=udp", 200},
		{"sip:2001@registrar.example", 200},
		{"registrar.example", 200},
		{"sip:192.0.2.1", 200}, // another host that is served here
		{"sip:elsewhere.example", 401},
		{"/", 401},
	}
	for _, test := range tests {
		t.Run(test.uri, func(t *testing.T) {
			l := newLab(t, withDomains("registrar.example", "192.0.2.1"))
			p := l.kitchen()
			p.digestURI = test.uri
			p.register(kitchenContact).want(test.want)
			if e := l.lastEvent(); test.want == 401 && e.Reason != journal.WrongDigestURI {
				t.Errorf("taken down as %+v", e)
			}
		})
	}
}

func Test22_4_WithoutDomainsTheDigestURINamesTheHostOfTheRequest(t *testing.T) {
	p := newLab(t).kitchen()
	p.digestURI = "sip:elsewhere.example"
	p.register(kitchenContact).want(401)
}

func Test22_3_CredentialsForOtherRealmsAreIgnored(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	other := `Authorization: Digest username="x", realm="proxy.example", nonce="n", uri="sip:x", response="00"`
	l.send(p.request(other, p.authorization(), "Authorization: Basic eDp5", kitchenContact)).want(200)
	l.send(p.request(other)).want(401)
	if e := l.lastEvent(); e.Reason != journal.WrongRealm || e.Detail != "proxy.example" {
		t.Errorf("taken down as %+v", e)
	}
	l.send(p.request("Authorization: Basic eDp5")).want(401)
}

func TestPasswordDigestStandsForTheSecret(t *testing.T) {
	sum := sha256.Sum256([]byte("frontdesk:sipregd:s3cret"))
	l := newLab(t, withAlgorithms(digest.SHA256), withPeers(
		"[Front desk]\nauthname = frontdesk\npassword_digest = SHA-256:"+hex.EncodeToString(sum[:])+"\naorname = 2001\n"))
	p := l.phone("frontdesk", "s3cret", "2001")
	p.algorithm = "SHA-256"
	p.register(kitchenContact).want(200)
	p.secret = "other"
	p.register(kitchenContact).want(401)
}
