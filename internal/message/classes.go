package message

import "strings"

// The character classes of the grammar, one bit each.
const (
	classToken   = 1 << iota // token (RFC 3261 §25.1)
	classValue               // of a parameter's value without quotes
	classMark                // of tags and branches
	classVisible             // all that prints, blanks aside
	classDisplay             // of a display name outside of quotes: what does not end it
	classBareURI             // of a URI without brackets
	classHost                // of a host name or an IPv4 address
	classIPv6                // between the brackets of an IPv6 address
)

var classes = func() (table [256]uint8) {
	set := func(class uint8, is func(c byte) bool) {
		for c := range table {
			if is(byte(c)) {
				table[c] |= class
			}
		}
	}
	none := func(of string, c byte) bool { return strings.IndexByte(of, c) < 0 }
	isToken := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || !none("-.!%*_+`'~", c)
	}
	isValue := func(c byte) bool { return c > ' ' && c != 0x7f && none(`;,"<>`, c) }
	set(classToken, isToken)
	set(classValue, isValue)
	set(classMark, func(c byte) bool { return c > ' ' && c < 0x7f && none(`"\,;<>`, c) })
	set(classVisible, func(c byte) bool { return c > ' ' && c < 0x7f })
	set(classDisplay, func(c byte) bool { return none(`<,;"`, c) })
	set(classBareURI, func(c byte) bool { return c > ' ' && none(";,", c) })
	set(classHost, func(c byte) bool { return isToken(c) && c != '%' })
	set(classIPv6, func(c byte) bool { return isValue(c) && c != ']' })
	return table
}()

// allOf tells whether text holds just characters of the class.
func allOf(text string, class uint8) bool {
	for i := range len(text) {
		if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}
