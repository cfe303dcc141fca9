package registrar_test

import (
	"crypto/md5"
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
	if e := l.lastEvent(); e.Reason != journal.WrongRealm || e.Detail != "proxy.example; the realm here is sipregd" {
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

// A UE of 3GPP TS 24.229 §5.1.1.2 begins so.
func Test22_AnEmptyFirstAuthorizationIsChallenged(t *testing.T) {
	for _, authorization := range []string{
		`Digest username="7f3a9c", realm="sipregd", nonce="", uri="sip:registrar.example", response=""`,
		`Digest username="7f3a9c@home.example", realm="home.example", nonce="", uri="sip:home.example", response=""`,
		`Digest username="7f3a9c", realm="sipregd", uri="sip:registrar.example", response="00"`,
	} {
		l := newLab(t)
		r := l.send(l.kitchen().request("Authorization: " + authorization)).want(401)
		if e := l.lastEvent(); e.Kind != journal.Challenged || r.challenge("stale") != "" {
			t.Errorf("%s: taken down as %+v", authorization, e)
		}
	}
}

func Test22_3_CredentialsForOtherRealmsNeedNotBeComplete(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	const other = `Authorization: Digest realm="proxy.example", nonce="n", response="00", qop=auth`
	l.send(p.request(other, p.authorization(), kitchenContact)).want(200)
	l.send(p.request(other)).want(401)
}

func Test22_3_CredentialsForThisRealmHaveToBeComplete(t *testing.T) {
	for authorization, reason := range map[string]string{
		`realm="sipregd", nonce="n", uri="sip:registrar.example", response="00"`:                                    "Authorization Without username",
		`username="7f3a9c", realm="sipregd", nonce="n", response="00"`:                                              "Authorization Without uri",
		`username="7f3a9c", realm="sipregd", nonce="n", uri="sip:registrar.example", response="00", qop=auth, nc=1`: "Authorization Without cnonce",
	} {
		l := newLab(t)
		r := l.send(l.kitchen().request("Authorization: Digest " + authorization)).want(400)
		if e := l.lastEvent(); e.Reason != journal.Malformed || e.Detail != reason || r.reason != reason {
			t.Errorf("%s: %s, taken down as %+v", authorization, r.reason, e)
		}
	}
}

// ofFrontdesk returns the password_digest of frontdesk in the lab's realm.
func ofFrontdesk(algorithm string) string {
	text := []byte("frontdesk:sipregd:s3cret")
	if algorithm == "MD5" {
		sum := md5.Sum(text)
		return "MD5:" + hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(text)
	return "SHA-256:" + hex.EncodeToString(sum[:])
}

// frontdesk is a peer with those lines, where both algorithms are offered.
func frontdesk(t *testing.T, lines string) (*lab, *phone) {
	t.Helper()
	l := newLab(t, withAlgorithms(digest.SHA256, digest.MD5), withPeers("[Front desk]\nauthname = frontdesk\naorname = 2001\n"+lines))
	return l, l.phone("frontdesk", "s3cret", "2001")
}

func TestRFC8760_OfSeveralCredentialsThoseThatMayServeAreTaken(t *testing.T) {
	tests := []struct{ name, lines, first, second string }{
		{"held to MD5", "secret = s3cret\nalgorithm = MD5", "SHA-256", "MD5"},
		{"held to SHA-256", "secret = s3cret\nalgorithm = SHA-256", "MD5", "SHA-256"},
		{"a digest of MD5 alone", "password_digest = " + ofFrontdesk("MD5"), "SHA-256", "MD5"},
		{"a digest of SHA-256 alone", "password_digest = " + ofFrontdesk("SHA-256"), "MD5", "SHA-256"},
		{"an algorithm that is not offered", "secret = s3cret", "MD5-sess", "MD5"},
		{"either would do", "secret = s3cret", "SHA-256", "MD5"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, p := frontdesk(t, test.lines)
			p.challenge()
			p.nc++
			p.algorithm = test.first
			first := p.authorization()
			p.algorithm = test.second
			p.lab.send(p.request(first, p.authorization(), kitchenContact)).want(200)
		})
	}
}

func Test22_3_OfSeveralCredentialsThoseThatAreCompleteAreTaken(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.challenge()
	p.nc++
	const incomplete = `Authorization: Digest realm="sipregd", nonce="n", response="00"`
	l.send(p.request(incomplete, p.authorization(), kitchenContact)).want(200)
}

// What is said of a refusal, for people. The answer is the same for each.
func Test22_TheJournalSaysWhatWasWrongWithTheAlgorithm(t *testing.T) {
	const secret = "secret = s3cret\n"
	tests := []struct {
		name, lines, algorithm, qop string
		detail                      string
	}{
		{"not offered", secret, "MD5-sess", "auth", "MD5-sess is not in [registrar] algorithms"},
		{"offered, and the peer is held to another", secret + "algorithm = SHA-256", "MD5", "auth", "MD5; this peer has algorithm = SHA-256"},
		{"not said", secret + "algorithm = SHA-256", "", "auth", "MD5; this peer has algorithm = SHA-256"},
		{"no digest of it", "password_digest = " + ofFrontdesk("SHA-256"), "MD5", "auth", "MD5; this peer's password_digest is of SHA-256"},
		{"no digest of it, the other way", "password_digest = " + ofFrontdesk("MD5"), "SHA-256", "auth", "SHA-256; this peer's password_digest is of MD5"},
		{"qop", secret, "MD5", "auth-int", "qop auth-int is not offered"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, p := frontdesk(t, test.lines)
			p.challenge()
			p.nc++
			p.algorithm = test.algorithm
			authorization := strings.Replace(p.authorization(), "qop=auth", "qop="+test.qop, 1)
			r := l.send(p.request(authorization, kitchenContact)).want(401)
			if e := l.lastEvent(); e.Reason != journal.WrongAlgorithm || e.Detail != test.detail {
				t.Errorf("taken down as %s, %q", e.Reason, e.Detail)
			}
			if r.challenge("stale") != "" {
				t.Error("stale")
			}
		})
	}
}

func Test22_TheJournalSaysWhereAnAuthnameBelongs(t *testing.T) {
	l := newLab(t, withDomains("example.com", "sales.example.com"), withPeers("[A]\nauthname = a\nsecret = s\naorname = 2001\n"))
	for authname, detail := range map[string]string{
		"a":      "[A] belongs to example.com; the phone used sales.example.com",
		"nobody": "",
	} {
		p := l.phone(authname, "s", "2001")
		p.domain, p.to = "sales.example.com", "sip:2001@sales.example.com"
		p.register(kitchenContact).want(401)
		if e := l.lastEvent(); e.Reason != journal.UnknownAuthname || e.Detail != detail {
			t.Errorf("%s: taken down as %s, %q", authname, e.Reason, e.Detail)
		}
	}
}

// Nor is what the journal tells apart beyond that.
func Test22_WhyCredentialsAreRefusedIsNotToldOnTheWire(t *testing.T) {
	l := newLab(t, withDomains("registrar.example", "sales.example.com"), withAlgorithms(digest.SHA256, digest.MD5), withPeers(
		"[A]\nauthname = 00000a\nsecret = s\naorname = 1\n"+
			"[B]\nauthname = 00000b\nsecret = s\naorname = 2\nalgorithm = SHA-256\n"+
			"[C]\nauthname = 00000c\nsecret = s\naorname = 3\ndomain = sales.example.com\n"))
	varying := regexp.MustCompile(`nonce="[^"]*"|tag=[^;\r]*|branch=[^;\r]*|call-\S*|CSeq: \d+`)
	var first string
	for _, authname := range []string{"00000a", "00000b", "00000c", "00000d"} {
		p := l.phone(authname, "wrong", "2001")
		p.callID = "call-x"
		text := varying.ReplaceAllString(p.register(kitchenContact).want(401).text, "*")
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("%s is told apart:\n%s\n%s", authname, first, text)
		}
	}
}

// NTP sets a clock right that was ahead.
func Test22_AClockThatIsSetBackLocksNobodyOut(t *testing.T) {
	l := newLab(t)
	l.pass(24 * time.Hour)
	p := l.kitchen()
	for range 12 {
		p.register().want(200)
		l.pass(time.Minute)
	}
	l.pass(-24 * time.Hour)
	p.register().want(200)
}
