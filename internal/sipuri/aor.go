package sipuri

import "strings"

// AOR is an address-of-record in the canonical form that indexes bindings
// (RFC 3261 §10.3 step 5): escapes undone, all parameters removed, the domain
// in lower case. It is comparable. Domain is empty where the registrar serves
// one domain whatever host the phone used.
type AOR struct {
	User   string
	Domain string
}

// Clone returns an AOR whose texts are its own.
func (a AOR) Clone() AOR { return AOR{strings.Clone(a.User), strings.Clone(a.Domain)} }

// String returns user@domain, or just the user where there is no domain. The
// user part is unescaped, so the text is one for people and logs.
func (a AOR) String() string {
	if a.Domain == "" {
		return a.User
	}
	return a.User + "@" + a.Domain
}

// Canonical returns the AOR that a sip or sips URI names. Its port does not
// count: phones write it where the registrar does not listen on 5060.
func Canonical(u URI) AOR {
	return AOR{User: Unescape(u.User), Domain: CanonicalHost(u.Host)}
}

// Unescape replaces each whole "%HH" by the character it stands for.
func Unescape(text string) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if character, ok := escapeAt(text, i); ok && text[i] == '%' {
			plain = append(plain, character)
			i += 2
		} else {
			plain = append(plain, text[i])
		}
	}
	return string(plain)
}

// AppendEscaped appends text as the value of a URI parameter, with escapes for what may
// not stand there as it is.
func AppendEscaped(parameter []byte, text string) []byte {
	return appendEscaped(parameter, text, classParam, "")
}

// AppendEscapedHeader does so with the value of a header of a URI.
func AppendEscapedHeader(header []byte, text string) []byte {
	return appendEscaped(header, text, classHeader, "&=")
}

// AppendEscapedUser does so with the user part of a URI.
func AppendEscapedUser(uri []byte, text string) []byte {
	return appendEscaped(uri, text, classUser, "#")
}

// appendEscaped escapes what is not of the class, and others.
func appendEscaped(escaped []byte, text string, class uint8, others string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c != '%' && classes[c]&class != 0 && strings.IndexByte(others, c) < 0 {
			escaped = append(escaped, c)
		} else {
			escaped = append(escaped, '%', digits[c>>4], digits[c&15])
		}
	}
	return escaped
}

// CanonicalHost returns a host in the one form in which hosts are compared as
// text: lower case, no dot at the end, addresses as net/netip writes them, and
// IPv6 in brackets, whether it came with them or not.
func CanonicalHost(host string) string {
	if host != "" && isLetter(host[0]) && strings.IndexByte(host, ':') < 0 { // a name, as a rule
		return strings.TrimSuffix(strings.ToLower(host), ".")
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if address, err := parseAddr(bare); err == nil {
		if address.Is6() {
			return "[" + address.String() + "]"
		}
		return bare // net/netip takes it in no other form
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
