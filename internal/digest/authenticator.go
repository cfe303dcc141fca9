package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sipregd/internal/message"
)

// Result says what came of a verification.
type Result uint8

const (
	Right               Result = iota // the secret is proved, with a nonce and count not used before
	Wrong                             // the digest does not fit
	Stale                             // the digest is right, the nonce too old or not one under this key
	Replayed                          // the digest is right, its nonce count was used before
	AlgorithmNotOffered               // to anybody
	AlgorithmNotOfPeer                // offered, but the peer is held to another, or has no digest of it
	QOPNotOffered
)

// Authenticator makes challenges and verifies what answers them. It may be
// used by many goroutines at once.
type Authenticator struct {
	algorithms []Algorithm // what is offered, in order
	lifetime   uint32      // of a nonce, in seconds
	clock      clock
	mint       mint
	begun      atomic.Uint32 // by clock; nonces of others issued up to then may have been used already
	used       *usedNonces
	decoy      A1
}

// New returns an Authenticator that offers the algorithms in that order. The
// key has to be random and new for each process; nonces live that long, in
// whole seconds.
func New(key [32]byte, algorithms []Algorithm, lifetime time.Duration) *Authenticator {
	// A start that strangers cannot guess hides how many challenges went out.
	start := sha256.Sum256(key[:])
	return newAuthenticator(key, binary.BigEndian.Uint64(start[:]), algorithms, lifetime)
}

// NewShared is New with a key that others have too, in this life and earlier ones: what
// one of them has challenged a phone with may be answered to another. start has to be
// random, so that no two give the same number to a nonce. What of others was used before
// now this process cannot know: such nonces are Stale.
func NewShared(key [32]byte, start uint64, now time.Time, algorithms []Algorithm, lifetime time.Duration) *Authenticator {
	a := newAuthenticator(key, start, algorithms, lifetime)
	a.begun.Store(a.clock.seconds(now))
	return a
}

// Share has nonces made by another key from now on, which others have too and which was
// not known before. Nonces of before are Stale.
func (a *Authenticator) Share(key [32]byte, now time.Time) {
	a.begun.Store(a.clock.seconds(now))
	a.mint.setKey(key)
}

func newAuthenticator(key [32]byte, start uint64, algorithms []Algorithm, lifetime time.Duration) *Authenticator {
	seconds := uint32(lifetime / time.Second)
	a := &Authenticator{
		algorithms: algorithms,
		lifetime:   seconds,
		used:       newUsedNonces(seconds, MaxUsedPages),
		decoy:      NewA1("", "", hex.EncodeToString(key[:])),
	}
	a.mint.blocks.New = func() any { return new(block) }
	a.mint.setKey(key)
	a.mint.first = start
	a.mint.last.Store(start)
	return a
}

// Challenges is how many challenges a phone is given the choice of: one for each
// algorithm that is offered (RFC 8760 §2.3).
func (a *Authenticator) Challenges() int { return len(a.algorithms) }

// UsedPages is how many pages of nonces are remembered, of twice MaxUsedPages at most.
func (a *Authenticator) UsedPages() int { return a.used.pages() }

// AppendChallenge appends the i-th of them as a value of WWW-Authenticate (RFC 7616
// §3.3), for the phone at source. stale says that just the nonce was refused.
func (a *Authenticator) AppendChallenge(room []byte, i int, now time.Time, realm string, stale bool, source netip.Addr) []byte {
	value := append(appendEscaped(append(room, `Digest realm="`...), realm), `", nonce="`...)
	value = append(a.mint.appendNonce(value, a.clock.seconds(now), source), `", algorithm=`...)
	value = append(append(value, a.algorithms[i].String()...), `, qop="auth"`...)
	if stale {
		value = append(value, ", stale=true"...)
	}
	return value
}

// appendEscaped appends what stands between the quotes of a quoted-string.
func appendEscaped(room []byte, text string) []byte {
	for i := range len(text) {
		if text[i] == '\\' || text[i] == '"' {
			room = append(room, '\\')
		}
		room = append(room, text[i])
	}
	return room
}

// Verify checks credentials that a peer sent with a request of that method. They
// are complete by Credentials.Check. The zero A1 stands for an authname that
// nobody has: it takes as long as a wrong secret and is Wrong. only holds the peer
// to one algorithm; 0: any that is offered.
func (a *Authenticator) Verify(now time.Time, method string, c *message.Credentials, a1 A1, only Algorithm) Result {
	algorithm, known := a.algorithmOf(c), a1
	if !a1.Has(algorithm) {
		known = a.decoy
	}
	var space [2 * sha256.Size]byte
	fits := equalDigests(c.Response, appendExpected(space[:0], algorithm, method, c, known))
	switch unfit := a.kind(c, a1, only); {
	case unfit != Right:
		return unfit
	case !fits || a1 == A1{}:
		return Wrong
	}
	return a.checkNonce(a.clock.seconds(now), c)
}

// Takes tells whether credentials are of a kind that was offered and that the peer
// may answer with: of several, those are to be verified.
func (a *Authenticator) Takes(c *message.Credentials, a1 A1, only Algorithm) bool {
	return a.kind(c, a1, only) == Right
}

// kind judges the algorithm and qop of credentials, before any digest.
func (a *Authenticator) kind(c *message.Credentials, a1 A1, only Algorithm) Result {
	algorithm, nobody := a.algorithmOf(c), a1 == A1{}
	switch {
	case algorithm == 0:
		return AlgorithmNotOffered
	case only != 0 && algorithm != only, !nobody && !a1.Has(algorithm):
		return AlgorithmNotOfPeer
	case !isAuth(c.QOP):
		return QOPNotOffered
	}
	return Right
}

// algorithmOf returns the algorithm of the credentials where it was offered,
// else 0. None said means MD5 (RFC 7616 §3.4).
func (a *Authenticator) algorithmOf(c *message.Credentials) Algorithm {
	algorithm := MD5
	if c.Algorithm != "" {
		algorithm, _ = ParseAlgorithm(c.Algorithm)
	}
	for _, offered := range a.algorithms {
		if algorithm == offered {
			return algorithm
		}
	}
	return 0
}

func isAuth(qop string) bool { return qop == "" || strings.EqualFold(qop, "auth") }

// checkNonce judges the nonce of a right digest. Credentials without qop have
// no count: their nonce is good for one use.
func (a *Authenticator) checkNonce(now uint32, c *message.Credentials) Result {
	n, ours := a.mint.read(c.Nonce)
	if !ours || n.age(now) > a.lifetime || n.issued <= a.begun.Load() && !a.mint.hasMade(n) {
		return Stale
	}
	return a.used.claim(now, n, Count(c))
}

// Count returns the nonce count of credentials, which Credentials.Check has looked at.
// Without qop there is none, and the nonce is good for one use: nothing is above it.
func Count(c *message.Credentials) uint32 {
	if c.QOP == "" {
		return math.MaxUint32
	}
	count, _ := strconv.ParseUint(c.NC, 16, 32)
	return uint32(count)
}

// Numbers returns when a nonce of ours was given out, in seconds of a clock, and its
// number, which no other under this key has.
func (a *Authenticator) Numbers(nonce string) (issued uint32, number uint64) {
	n, _ := a.mint.read(nonce)
	return n.issued, n.number
}

// HasMade tells whether a nonce was given out by this process, which then knows each of
// its uses here.
func (a *Authenticator) HasMade(nonce string) bool {
	n, ours := a.mint.read(nonce)
	return ours && a.mint.hasMade(n)
}

// Age returns how long ago a nonce was given out, at most: it is kept in seconds. One
// that is not under this key is as old as can be.
func (a *Authenticator) Age(now time.Time, nonce string) time.Duration {
	n, ours := a.mint.read(nonce)
	if !ours {
		return math.MaxInt64
	}
	return time.Duration(n.age(a.clock.seconds(now))+1) * time.Second
}

// GivenTo tells whether a nonce was given out to a source, an IPv4 address or a /64 of
// IPv6: who answers it has received it there, or next to it. A guess of what cannot be
// known is taken for that once in 65,536 times.
func (a *Authenticator) GivenTo(nonce string, source netip.Addr) bool {
	return a.mint.givenTo(nonce, source)
}

// appendExpected computes the response that fits (RFC 7616 §3.4.1).
func appendExpected(room []byte, algorithm Algorithm, method string, c *message.Credentials, a1 A1) []byte {
	var space [512]byte
	var a2 [2 * sha256.Size]byte
	text := append(append(append(space[:0], method...), ':'), c.URI...)
	hashOfA2 := appendHash(a2[:0], algorithm, text)
	text = append(append(a1.appendHex(space[:0], algorithm), ':'), c.Nonce...)
	if c.QOP != "" { // empty: RFC 2069
		text = append(append(append(text, ':'), c.NC...), ':')
		text = append(append(append(text, c.CNonce...), ':'), c.QOP...)
	}
	return appendHash(room, algorithm, append(append(text, ':'), hashOfA2...))
}

// appendHash appends the hash in hexadecimal digits.
func appendHash(room []byte, algorithm Algorithm, text []byte) []byte {
	if algorithm == SHA256 {
		sum := sha256.Sum256(text)
		return hex.AppendEncode(room, sum[:])
	}
	sum := md5.Sum(text)
	return hex.AppendEncode(room, sum[:])
}

// equalDigests compares in constant time, forgiving upper case digits.
func equalDigests(given string, expected []byte) bool {
	return subtle.ConstantTimeCompare([]byte(given), expected) == 1 ||
		subtle.ConstantTimeCompare([]byte(strings.ToLower(given)), expected) == 1
}
