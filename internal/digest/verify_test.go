package digest

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/message"
)

// verifyTime is now in these tests, in which nonces live for verifyLifetime.
var verifyTime = time.Unix(1_800_000_000, 0)

const verifyLifetime = 300 * time.Second

// sign returns credentials that are right for a REGISTER and the secret.
func sign(algorithm Algorithm, nonce, nc, secret string) *message.Credentials {
	c := &message.Credentials{
		Scheme: "Digest", Username: "a", Realm: "r", Nonce: nonce, URI: "sip:r",
		Algorithm: algorithm.String(), CNonce: "c0ffee", QOP: "auth", NC: nc,
	}
	if nc == "" {
		c.QOP, c.CNonce = "", ""
	}
	c.Response = expectedText(algorithm, "REGISTER", c, NewA1("a", "r", secret))
	return c
}

// The example of RFC 2069 §2.4 with the response that its erratum 749 gives,
// and that of RFC 2617 §3.5.
func TestExpectedOfOlderRFCs(t *testing.T) {
	c := message.Credentials{Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", URI: "/dir/index.html"}
	got := expectedText(MD5, "GET", &c, NewA1("Mufasa", "testrealm@host.com", "CircleOfLife"))
	if got != "1949323746fe6a43ef61f9606e7febea" {
		t.Errorf("RFC 2069: %s", got)
	}
	c.QOP, c.NC, c.CNonce = "auth", "00000001", "0a4f113b"
	got = expectedText(MD5, "GET", &c, NewA1("Mufasa", "testrealm@host.com", "Circle Of Life"))
	if got != "6629fae49393a05397450978507c4ef1" {
		t.Errorf("RFC 2617: %s", got)
	}
}

func TestVerify(t *testing.T) {
	known := NewA1("a", "r", "secret")
	onlyMD5, err := ParseA1("MD5:" + string(known.appendHex(nil, MD5)))
	if err != nil {
		t.Fatal(err)
	}
	both := []Algorithm{SHA256, MD5}
	change := func(f func(*message.Credentials)) func(*message.Credentials) { return f }
	tests := []struct {
		name      string
		offered   []Algorithm
		algorithm Algorithm // that it is signed with
		nc        string    // empty: no qop
		change    func(*message.Credentials)
		a1        A1
		only      Algorithm
		after     time.Duration
		want      Result
	}{
		{"right", both, MD5, "00000001", nil, known, 0, 0, Right},
		{"right by SHA-256", both, SHA256, "00000001", nil, known, 0, 0, Right},
		{"without qop", both, SHA256, "", nil, known, 0, 0, Right},
		{"algorithm not said", both, MD5, "1", change(func(c *message.Credentials) { c.Algorithm = "" }), known, 0, 0, Right},
		{"algorithm in another case", both, SHA256, "1", change(func(c *message.Credentials) { c.Algorithm = "sha-256" }), known, 0, 0, Right},
		{"response in upper case", both, MD5, "1", change(func(c *message.Credentials) { c.Response = strings.ToUpper(c.Response) }), known, 0, 0, Right},
		{"at the end of its life", both, MD5, "1", nil, known, 0, verifyLifetime, Right},
		{"the algorithm that the peer is held to", both, MD5, "1", nil, known, MD5, 0, Right},

		{"response of another count", both, MD5, "1", change(func(c *message.Credentials) { c.NC = "2" }), known, 0, 0, Wrong},
		{"response of another URI", both, MD5, "1", change(func(c *message.Credentials) { c.URI = "sip:x" }), known, 0, 0, Wrong},
		{"response of another client nonce", both, MD5, "1", change(func(c *message.Credentials) { c.CNonce = "x" }), known, 0, 0, Wrong},
		{"response cut short", both, MD5, "1", change(func(c *message.Credentials) { c.Response = c.Response[1:] }), known, 0, 0, Wrong},
		{"response of another algorithm", both, MD5, "1", change(func(c *message.Credentials) { c.Algorithm = "SHA-256" }), known, 0, 0, Wrong},
		{"response without qop, said to have one", both, MD5, "", change(func(c *message.Credentials) { c.QOP, c.NC, c.CNonce = "auth", "1", "c" }), known, 0, 0, Wrong},
		{"response with qop, said to have none", both, MD5, "1", change(func(c *message.Credentials) { c.QOP = "" }), known, 0, 0, Wrong},
		{"another secret", both, MD5, "1", nil, NewA1("a", "r", "other"), 0, 0, Wrong},
		{"an authname that nobody has", both, MD5, "1", nil, A1{}, 0, 0, Wrong},
		{"a nonce changed on the way", both, MD5, "1", change(func(c *message.Credentials) { c.Nonce = "A" + c.Nonce }), known, 0, 0, Wrong},
		{"another secret and an old nonce", both, MD5, "1", nil, NewA1("a", "r", "other"), 0, time.Hour, Wrong},

		{"too old", both, MD5, "1", nil, known, 0, verifyLifetime + time.Second, Stale},

		{"an algorithm that is not offered", both[1:], SHA256, "1", nil, known, 0, 0, AlgorithmNotOffered},
		{"an algorithm that nobody knows", both, MD5, "1", change(func(c *message.Credentials) { c.Algorithm = "MD5-sess" }), known, 0, 0, AlgorithmNotOffered},
		{"not the algorithm that the peer is held to", both, MD5, "1", nil, known, SHA256, 0, AlgorithmNotOfPeer},
		{"not said, and MD5 is not offered", both[:1], MD5, "1", change(func(c *message.Credentials) { c.Algorithm = "" }), known, 0, 0, AlgorithmNotOffered},
		{"a qop that is not offered", both, MD5, "1", change(func(c *message.Credentials) { c.QOP = "auth-int" }), known, 0, 0, QOPNotOffered},
		{"a peer without a digest of that algorithm", both, SHA256, "1", nil, onlyMD5, 0, 0, AlgorithmNotOfPeer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := New([32]byte{1}, test.offered, verifyLifetime)
			c := sign(test.algorithm, freshNonce(a, verifyTime), test.nc, "secret")
			if test.change != nil {
				test.change(c)
			}
			if got := a.Verify(verifyTime.Add(test.after), "REGISTER", c, test.a1, test.only); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// A digest over the method that was signed does not serve for another.
func TestVerifyCoversTheMethod(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
	c := sign(MD5, freshNonce(a, verifyTime), "1", "secret")
	if got := a.Verify(verifyTime, "OPTIONS", c, NewA1("a", "r", "secret"), 0); got != Wrong {
		t.Errorf("%v, want %v", got, Wrong)
	}
}

// Stale says that the digest was right: whose nonce it was does not matter.
func TestVerifyOfForeignNonces(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
	restarted := New([32]byte{2}, []Algorithm{MD5}, verifyLifetime)
	ours := freshNonce(restarted, verifyTime)
	known := NewA1("a", "r", "secret")
	for name, nonce := range map[string]string{
		"of another process": freshNonce(a, verifyTime), "of another server": "n",
		"tampered": ours[:10] + string(ours[10]^1) + ours[11:], "cut short": ours[1:],
	} {
		if got := restarted.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != Stale {
			t.Errorf("%s: %v, want %v", name, got, Stale)
		}
		if got := restarted.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "1", "guess"), known, 0); got != Wrong {
			t.Errorf("%s, with another secret: %v, want %v", name, got, Wrong)
		}
	}
}

func TestVerifyUsesEachCountOnce(t *testing.T) {
	type use struct {
		nc   string // empty: no qop
		want Result
	}
	tests := []struct {
		name string
		uses []use
	}{
		{"same again", []use{{"1", Right}, {"1", Replayed}, {"00000001", Replayed}}},
		{"rising", []use{{"1", Right}, {"2", Right}, {"a", Right}, {"FFFFFFFF", Right}, {"ffffffff", Replayed}}},
		{"lower", []use{{"5", Right}, {"4", Replayed}, {"1", Replayed}, {"6", Right}}},
		{"zero", []use{{"0", Right}, {"0", Replayed}}},
		{"without qop a nonce serves once", []use{{"", Right}, {"", Replayed}}},
		{"nor then with qop", []use{{"", Right}, {"2", Replayed}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
			nonce := freshNonce(a, verifyTime)
			for i, use := range test.uses {
				c := sign(MD5, nonce, use.nc, "secret")
				if got := a.Verify(verifyTime, "REGISTER", c, NewA1("a", "r", "secret"), 0); got != use.want {
					t.Errorf("use %d (nc=%s): %v, want %v", i+1, use.nc, got, use.want)
				}
			}
		})
	}
}

// Wrong guesses neither use a nonce up nor take memory.
func TestVerifyRemembersRightOnesOnly(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
	nonce, known := freshNonce(a, verifyTime), NewA1("a", "r", "secret")
	for range 10 {
		a.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "9", "guess"), known, 0)
		a.Verify(verifyTime, "REGISTER", sign(MD5, freshNonce(a, verifyTime), "9", "guess"), A1{}, 0)
	}
	if n := len(a.used.current) + len(a.used.previous); n != 0 {
		t.Errorf("%d nonces are remembered", n)
	}
	if got := a.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != Right {
		t.Errorf("%v, want %v", got, Right)
	}
}

// The secret that stands in for those of unknown authnames opens nothing.
func TestVerifyOfTheDecoy(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
	c := sign(MD5, freshNonce(a, verifyTime), "1", "secret")
	c.Response = expectedText(MD5, "REGISTER", c, a.decoy)
	if got := a.Verify(verifyTime, "REGISTER", c, A1{}, 0); got != Wrong {
		t.Errorf("%v, want %v", got, Wrong)
	}
}

func TestChallengeForEachAlgorithm(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{SHA256, MD5}, verifyLifetime)
	values := challenges(a, verifyTime, "r", false)
	if len(values) != 2 || !strings.HasSuffix(values[0], `, algorithm=SHA-256, qop="auth"`) || !strings.HasSuffix(values[1], `, algorithm=MD5, qop="auth"`) {
		t.Fatalf("%q", values)
	}
	if values[0][:60] == values[1][:60] {
		t.Errorf("one nonce for two challenges: %q", values)
	}
}

// While there is room, nothing that is valid is forgotten: the answers are
// those of a table that keeps every nonce for ever.
func TestReplayCheckAgainstATableForEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lifetime = 10
		used := newUsedNonces(lifetime, 1000)
		now := uint32(1000)
		var issued []nonce
		highest := map[uint64]uint32{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Uint32Range(0, 4).Draw(t, "pause")
			if len(issued) == 0 || rapid.Bool().Draw(t, "new") {
				issued = append(issued, nonce{issued: now, number: uint64(len(issued))})
			}
			n := rapid.SampledFrom(issued).Draw(t, "nonce")
			if now >= n.issued+lifetime { // checked before by its age
				continue
			}
			count := rapid.Uint32Range(0, 5).Draw(t, "count")
			want := Right
			if last, seen := highest[n.number]; seen && count <= last {
				want = Replayed
			}
			if got := used.claim(now, n, count); got != want {
				t.Fatalf("nonce %+v, count %d at %d: %v, want %v", n, count, now, got, want)
			}
			highest[n.number] = max(count, highest[n.number])
		}
	})
}

// freshNonce returns a nonce as a challenge at that time holds it.
func freshNonce(a *Authenticator, now time.Time) string {
	_, rest, _ := strings.Cut(challenges(a, now, "r", false)[0], `nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	return nonce
}
