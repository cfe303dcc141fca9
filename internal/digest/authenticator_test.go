package digest

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/message"
)

// The values of RFC 7616 §3.9.1 and, without qop, of RFC 2617's kind.
func TestRFC7616_3_9_1(t *testing.T) {
	a1 := NewA1("Mufasa", "http-auth@example.org", "Circle of Life")
	c := message.Credentials{
		Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", URI: "/dir/index.html",
		NC: "00000001", CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", QOP: "auth",
	}
	for algorithm, want := range map[Algorithm]string{
		MD5:    "8ca523f5e9506fed4657c9700eebdbec",
		SHA256: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		if got := expectedText(algorithm, "GET", &c, a1); got != want {
			t.Errorf("%v: %s, want %s", algorithm, got, want)
		}
	}
}

func TestParseA1(t *testing.T) {
	whole := NewA1("a", "r", "s")
	md5, sha := string(whole.appendHex(nil, MD5)), string(whole.appendHex(nil, SHA256))
	for _, text := range []string{"MD5:" + md5 + ", SHA-256:" + sha, "sha-256:" + strings.ToUpper(sha) + ",md5:" + md5} {
		if got, err := ParseA1(text); err != nil || got != whole {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", md5, "MD5:", "MD5:" + md5[1:], "MD5:" + md5 + "0", "MD5:g" + md5[1:],
		"MD5:" + md5 + ",MD5:" + md5, "SHA-512:" + sha, "MD5:" + sha} {
		if _, err := ParseA1(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestTextOfA1IsWhatParseA1Reads(t *testing.T) {
	whole := NewA1("a", "r", "s")
	if got, err := ParseA1(whole.Text(MD5, SHA256)); err != nil || got != whole {
		t.Errorf("%s: %v", whole.Text(MD5, SHA256), err)
	}
	half, err := ParseA1(whole.Text(SHA256))
	if err != nil || half.Has(MD5) || !half.Has(SHA256) {
		t.Errorf("%s: %v", whole.Text(SHA256), err)
	}
	if got := half.Text(MD5); got != "" {
		t.Errorf("a digest that it does not have: %s", got)
	}
}

func TestChallengeEscapesTheRealm(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, time.Minute)
	got := challenges(a, time.Unix(1, 0), `a "b" \c`, true)[0]
	if !strings.HasPrefix(got, `Digest realm="a \"b\" \\c", nonce="`) || !strings.HasSuffix(got, ", stale=true") {
		t.Error(got)
	}
}

func TestReadOfNonces(t *testing.T) {
	const now = 1_800_000_000
	ours, other := New([32]byte{1}, nil, time.Minute), New([32]byte{2}, nil, time.Minute)
	text := string(ours.mint.appendNonce(nil, now, phoneAddress))
	if n, known := ours.mint.read(text); !known || n.issued != now {
		t.Errorf("%+v, %v", n, known)
	}
	if _, known := other.mint.read(text); known {
		t.Error("a nonce of another key is taken")
	}
	for i := range len(text) {
		changed := []byte(text)
		changed[i] ^= 1
		if _, known := ours.mint.read(string(changed)); known {
			t.Errorf("a change of character %d is not noticed", i)
		}
	}
	for _, wrong := range []string{"", text[1:], text + "A", strings.Repeat("!", len(text))} {
		if _, known := ours.mint.read(wrong); known {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Whatever order counts come in and however little room there is: no nonce
// and count are ever let in twice, and counts of a nonce rise.
func TestNoCountIsLetInTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lifetime = 10
		used := newUsedNonces(lifetime, rapid.IntRange(1, 5).Draw(t, "capacity"))
		now := uint32(1000)
		highest := map[uint64]uint32{}
		issued := map[uint64]uint32{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.Uint32Range(0, 3).Draw(t, "pause")
			number := rapid.Uint64Range(1, 12).Draw(t, "nonce") * pageNonces / 2 // two to a page
			if at, known := issued[number]; !known || now > at+lifetime {
				if known { // a number does not come again
					continue
				}
				issued[number] = now
			}
			count := rapid.Uint32Range(1, 4).Draw(t, "count")
			result := used.claim(now, nonce{issued[number], number}, count)
			if result == Right && count <= highest[number] {
				t.Fatalf("nonce %d, count %d came after %d", number, count, highest[number])
			}
			if result == Right {
				highest[number] = count
			}
			if len(used.current) > used.capacity || len(used.previous) > used.capacity {
				t.Fatal("over the bound")
			}
		}
	})
}

// The clock is asked before the lock is taken: a second may go by, and others with it.
func TestALateClaimLetsNoReplayIn(t *testing.T) {
	used := newUsedNonces(300, 2)
	captured := nonce{issued: 1001, number: pageNonces}
	for _, claim := range []struct {
		now  uint32
		n    nonce
		want Result
	}{
		{1000, nonce{issued: 1000, number: 0}, Right},
		{1001, captured, Right},
		{1000, nonce{issued: 1000, number: 2 * pageNonces}, Right}, // the halves turn
		{1001, captured, Replayed},
	} {
		if got := used.claim(claim.now, claim.n, 1); got != claim.want {
			t.Errorf("nonce %d: %v, want %v", claim.n.number, got, claim.want)
		}
	}
}

func TestAFreshNonceIsLetInWhateverWentBefore(t *testing.T) {
	used := newUsedNonces(300, 2)
	for i := range uint64(100) {
		if got := used.claim(1000+uint32(i), nonce{1000 + uint32(i), i * pageNonces}, 1); got != Right {
			t.Fatalf("nonce %d: %v", i, got)
		}
	}
}

var phoneAddress = netip.MustParseAddr("192.0.2.7")

func TestANonceTellsWhomItWasGivenTo(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, time.Minute)
	for _, test := range []struct {
		given, comes string
		same         bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"2001:db8:1:2::7", "2001:db8:1:2:3::8", true},
		{"2001:db8:1:2::7", "2001:db8:1:3::7", false},
	} {
		given, comes := netip.MustParseAddr(test.given), netip.MustParseAddr(test.comes)
		said := 0
		for range 100 {
			nonce := string(a.mint.appendNonce(nil, 1, given))
			if n, ours := a.mint.read(nonce); !ours || n.issued != 1 {
				t.Fatal("it is not good any more")
			}
			if a.GivenTo(nonce, comes) {
				said++
			}
		}
		if test.same && said != 100 || !test.same && said > 2 {
			t.Errorf("given to %s, from %s: %d of 100 are taken for that", test.given, test.comes, said)
		}
	}
	theirs := New([32]byte{2}, []Algorithm{MD5}, time.Minute)
	if nonce := string(theirs.mint.appendNonce(nil, 1, phoneAddress)); a.GivenTo(nonce, phoneAddress) {
		t.Error("one of another process is taken for that")
	}
}

func challenges(a *Authenticator, now time.Time, realm string, stale bool) (values []string) {
	for i := range a.Challenges() {
		values = append(values, string(a.AppendChallenge(nil, i, now, realm, stale, phoneAddress)))
	}
	return values
}

func expectedText(algorithm Algorithm, method string, c *message.Credentials, a1 A1) string {
	return string(appendExpected(nil, algorithm, method, c, a1))
}

func TestAgeOfANonce(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, time.Minute)
	made := time.Date(2026, 11, 23, 12, 0, 0, 900e6, time.UTC)
	nonce := nonceOf(a, made)
	for _, after := range []time.Duration{0, 100 * time.Millisecond, time.Second, 59 * time.Second, time.Hour} {
		if age := a.Age(made.Add(after), nonce); age < after || age > after+2*time.Second {
			t.Errorf("%v after %v", age, after)
		}
	}
	if age := a.Age(made, nonceOf(New([32]byte{2}, nil, time.Minute), made)); age < time.Hour {
		t.Errorf("a nonce of another process is %v old", age)
	}
}

func nonceOf(a *Authenticator, now time.Time) string {
	return string(a.mint.appendNonce(nil, a.clock.seconds(now), phoneAddress))
}
