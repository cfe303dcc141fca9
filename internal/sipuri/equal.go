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
		u.equalParams(&other) &&
		equalHeaders(u.Headers, other.Headers)
}

func equalHosts(a, b string) bool {
	return strings.EqualFold(a, b) || CanonicalHost(a) == CanonicalHost(b)
}

// equalParams compares parameters, in any order.
func (u *URI) equalParams(other *URI) bool {
	if u.Params == other.Params {
		return true
	}
	var room, otherRoom [usualPairs]pair
	ours, theirs := u.params(room[:0]), other.params(otherRoom[:0])
	return paramsAgree(ours, theirs) && paramsAgree(theirs, ours)
}

// paramsAgree tells whether each parameter agrees with those of the other URI.
func paramsAgree(params, others []pair) bool {
	for i := range params {
		p := &params[i]
		other := find(others, p)
		if other == nil && countsAlone(p.name) || other != nil && !escapedEqualFold(p.value, other.value) {
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
	if a == b {
		return true
	}
	var roomA, roomB [usualPairs]pair
	ours, theirs := appendPairs(roomA[:0], a, "&"), appendPairs(roomB[:0], b, "&")
	return len(ours) == len(theirs) && headersIn(ours, theirs) && headersIn(theirs, ours)
}

// headersIn tells whether each header stands among the others with its value.
func headersIn(headers, others []pair) bool {
	for i := range headers {
		if !hasHeader(others, &headers[i]) {
			return false
		}
	}
	return true
}

func hasHeader(headers []pair, wanted *pair) bool {
	for i := range headers {
		if headers[i].named(wanted) && escapedEqual(headers[i].value, wanted.value) {
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
