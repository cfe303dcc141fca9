package shared

import (
	"strings"

	"sipregd/internal/sipuri"
)

const (
	prefix = "b:{" // of the keys of AORs
	suffix = "}"
)

// keyOf returns the key under which the bindings of an AOR stand. Each AOR has one, and
// no other AOR has it.
func keyOf(aor sipuri.AOR) string {
	var space [128]byte
	key := append(space[:0], prefix...)
	key = appendEscaped(key, aor.User)
	if aor.Domain != "" {
		key = appendEscaped(append(key, '@'), aor.Domain)
	}
	return string(append(key, suffix...))
}

// aorOf undoes keyOf.
func aorOf(key string) (aor sipuri.AOR, ok bool) {
	inner, begins := strings.CutPrefix(key, prefix)
	inner, ends := strings.CutSuffix(inner, suffix)
	user, domain, _ := strings.Cut(inner, "@")
	aor = sipuri.AOR{User: sipuri.Unescape(user), Domain: sipuri.Unescape(domain)}
	return aor, begins && ends && keyOf(aor) == key
}

// appendEscaped writes what would end the AOR's part of a key, or is not printable, as %HH.
func appendEscaped(key []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case c <= ' ', c > '~', c == '%', c == '@', c == '{', c == '}':
			key = append(key, '%', digits[c>>4], digits[c&15])
		default:
			key = append(key, c)
		}
	}
	return key
}
