package message

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Certificate is what a phone has shown of itself by TLS, and what was verified. It is
// not changed once made.
type Certificate struct {
	Names   []string // each in the form of CanonicalName, at most MaxCertificateNames
	Expires time.Time
}

const (
	// MaxCertificateNames is how many names of a certificate count.
	MaxCertificateNames = 16
	// maxCertificateName is how many bytes a name has that counts.
	maxCertificateName = 255
)

// IsCertificateName tells whether a name may count. One that is too long or holds
// what cannot be written does not, rather than a part of it.
func IsCertificateName(name string) bool {
	return name != "" && len(name) <= maxCertificateName && utf8.ValidString(name) &&
		strings.IndexFunc(name, unicode.IsControl) < 0 && strings.TrimSpace(name) == name
}

// CanonicalName returns a name of a certificate as it is compared: without regard to
// the case of ASCII letters (RFC 5280 §7), and not of others, since letters of other
// alphabets would turn into ASCII ones.
func CanonicalName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
