package sipuri

import "strings"

// Equal compares two URIs by RFC 3261 §19.1.4. URIs of other schemes are
// equal where they are the same to the letter, schemes aside.
func (u URI) Equal(other URI) bool {
	if u.Scheme != other.Scheme { // sip and sips are never equal
		return false
	}
	if !u.IsSIP() {
		return u.Opaque == other.Opaque
	}
	return escapedEqual(u.User, other.User) && // case-sensitive
		escapedEqual(u.Password, other.Password) &&
		u.Port == other.Port && // an absent port differs from 5060 written out
		equalHosts(u.Host, other.Host) &&
		u.paramsMatch(other) && other.paramsMatch(u) &&
		equalHeaders(u.Headers, other.Headers)
}

func equalHosts(a, b string) bool {
	return strings.EqualFold(a, b) || CanonicalHost(a) == CanonicalHost(b)
}

// paramsMatch tells whether each parameter of u agrees with other's.
func (u URI) paramsMatch(other URI) bool {
	for name, value := range u.AllParams() {
		theirs, found := other.Param(name)
		if found && !escapedEqualFold(value, theirs) {
			return false
		}
		if !found && countsAlone(name) {
			return false
		}
	}
	return true
}

// countsAlone names the parameters that make URIs differ when they stand in
// just one of them. All others are ignored then.
func countsAlone(name string) bool {
	for _, counting := range [...]string{"user", "ttl", "method", "maddr", "transport"} {
		if escapedEqualFold(name, counting) {
			return true
		}
	}
	return false
}

// equalHeaders compares header components, which count and have to match in
// any order.
func equalHeaders(a, b string) bool {
	return a == b || (strings.Count(a, "&") == strings.Count(b, "&") && headersIn(a, b) && headersIn(b, a))
}

// headersIn tells whether each header of a stands in b with the same value.
func headersIn(a, b string) bool {
	for header := range strings.SplitSeq(a, "&") {
		name, value, _ := strings.Cut(header, "=")
		if !hasHeader(b, name, value) {
			return false
		}
	}
	return true
}

func hasHeader(headers, name, value string) bool {
	for header := range strings.SplitSeq(headers, "&") {
		n, v, _ := strings.Cut(header, "=")
		if escapedEqualFold(n, name) && escapedEqual(v, value) {
			return true
		}
	}
	return false
}

// escapedEqual compares with regard to case. A character and its escape are
// equal where the character needs no escape (RFC 2396 unreserved).
func escapedEqual(a, b string) bool {
	return a == b || compareEscaped(a, b, func(c byte) byte { return c })
}

// escapedEqualFold is escapedEqual without regard to the case of letters.
func escapedEqualFold(a, b string) bool {
	return a == b || compareEscaped(a, b, lower)
}

func compareEscaped(a, b string, fold func(byte) byte) bool {
	for a != "" && b != "" {
		var x, y byte
		var xReserved, yReserved bool
		x, xReserved, a = nextCharacter(a)
		y, yReserved, b = nextCharacter(b)
		if fold(x) != fold(y) || xReserved != yReserved {
			return false
		}
	}
	return a == b
}

// nextCharacter takes one character or escape off text. An escaped reserved
// character is marked, as it differs from the plain one.
func nextCharacter(text string) (character byte, escapedReserved bool, rest string) {
	if text[0] != '%' {
		return text[0], false, text[1:]
	}
	character, ok := escapeAt(text, 0)
	if !ok {
		return text[0], false, text[1:]
	}
	return character, !isUnreserved(character), text[3:]
}

func isUnreserved(c byte) bool {
	return isDigit(c) || isLetter(c) || strings.IndexByte("-_.!~*'()", c) >= 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
