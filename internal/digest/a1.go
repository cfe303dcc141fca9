// Package digest does the server's side of HTTP digest authentication as SIP
// uses it (RFC 3261 §22, RFC 7616, RFC 8760, RFC 2617 for older clients):
// challenges, nonces that need no table, and the verification of credentials.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Algorithm is a digest algorithm. The zero value is none.
type Algorithm uint8

// The algorithms that can be offered, named as RFC 7616 §6.1 registers them.
const (
	MD5 Algorithm = iota + 1
	SHA256
)

// String returns the name that stands on the wire.
func (a Algorithm) String() string {
	switch a {
	case MD5:
		return "MD5"
	case SHA256:
		return "SHA-256"
	}
	return "none"
}

// ParseAlgorithm reads "MD5" or "SHA-256", in any case.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch {
	case strings.EqualFold(name, "MD5"):
		return MD5, nil
	case strings.EqualFold(name, "SHA-256"):
		return SHA256, nil
	}
	return 0, fmt.Errorf("unknown digest algorithm %q: write MD5 or SHA-256", name)
}

// A1 is what a peer proves that it knows: the hashes of
// authname:realm:secret (RFC 7616 §3.4.2), so that the secret itself need not
// be kept. It is comparable; the zero value proves nothing.
type A1 struct {
	md5    [md5.Size]byte
	sha256 [sha256.Size]byte
	has    algorithms
}

// algorithms is a set of them, a bit for each, so that of many A1 each takes
// just a byte more than its hashes.
type algorithms uint8

// with returns the set and one more.
func (s algorithms) with(a Algorithm) algorithms { return s | 1<<a }

// NewA1 hashes a secret for both algorithms.
func NewA1(authname, realm, secret string) A1 {
	var space [128]byte
	text := append(append(append(space[:0], authname...), ':'), realm...)
	text = append(append(text, ':'), secret...)
	return A1{
		md5:    md5.Sum(text),
		sha256: sha256.Sum256(text),
		has:    algorithms(0).with(MD5).with(SHA256),
	}
}

// ParseA1 reads what password_digest holds: "MD5:hex" or "SHA-256:hex", or
// both behind each other with a comma.
func ParseA1(text string) (A1, error) {
	var a1 A1
	for part := range strings.SplitSeq(text, ",") {
		name, digits, found := strings.Cut(strings.TrimSpace(part), ":")
		if !found {
			return A1{}, fmt.Errorf("write MD5: or SHA-256: and the digest in hexadecimal")
		}
		algorithm, err := ParseAlgorithm(strings.TrimSpace(name))
		if err != nil {
			return A1{}, err
		}
		if err := a1.set(algorithm, strings.TrimSpace(digits)); err != nil {
			return A1{}, err
		}
	}
	return a1, nil
}

func (a *A1) set(algorithm Algorithm, digits string) error {
	hash := a.md5[:]
	if algorithm == SHA256 {
		hash = a.sha256[:]
	}
	if a.Has(algorithm) {
		return fmt.Errorf("two digests of the algorithm %s", algorithm)
	}
	if len(digits) != hex.EncodedLen(len(hash)) {
		return fmt.Errorf("a digest of the algorithm %s has %d hexadecimal digits, this one has %d",
			algorithm, hex.EncodedLen(len(hash)), len(digits))
	}
	if _, err := hex.Decode(hash, []byte(digits)); err != nil {
		return fmt.Errorf("the digest holds a character that is no hexadecimal digit")
	}
	a.has = a.has.with(algorithm)
	return nil
}

// Text returns what ParseA1 reads, with those of the algorithms that a has. It is
// as good as the secret to whoever sees it: it belongs into no log.
func (a A1) Text(algorithms ...Algorithm) string {
	var parts []string
	for _, algorithm := range algorithms {
		if a.Has(algorithm) {
			parts = append(parts, algorithm.String()+":"+string(a.appendHex(nil, algorithm)))
		}
	}
	return strings.Join(parts, ", ")
}

// Has tells whether the peer can answer with the algorithm.
func (a A1) Has(algorithm Algorithm) bool {
	return a.has&algorithms(0).with(algorithm) != 0
}

// appendHex appends the hash as it stands in the computation of a response.
func (a *A1) appendHex(room []byte, algorithm Algorithm) []byte {
	if algorithm == SHA256 {
		return hex.AppendEncode(room, a.sha256[:])
	}
	return hex.AppendEncode(room, a.md5[:])
}
