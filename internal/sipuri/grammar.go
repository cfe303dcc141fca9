package sipuri

import (
	"net/netip"
	"strings"
)

// The character classes of RFC 3261 §25.1, one bit each.
const (
	classUser     = 1 << iota // user: unreserved / user-unreserved
	classPassword             // password
	classParam                // paramchar
	classHeader               // hname, hvalue and what joins them
	classOpaque               // uric of other schemes, "%" included
	classScheme
	classDigit
	className // of a label in a host name
)

var classes = func() (table [256]uint8) {
	set := func(class uint8, characters string) {
		for i := range len(characters) {
			table[characters[i]] |= class
		}
	}
	const (
		digits     = "0123456789"
		letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		unreserved = letters + digits + "-_.!~*'()"
	)
	// "#" is forgiven in a user part: feature codes such as *72# are dialled raw.
	set(classUser, unreserved+"&=+$,;?/#")
	set(classPassword, unreserved+"&=+$,")
	set(classParam, unreserved+"[]/:&+$")
	set(classHeader, unreserved+"[]/?:+$&=")
	set(classOpaque, unreserved+";/?:@&=+$,%[]#")
	set(classScheme, letters+digits+"+-.")
	set(classDigit, digits)
	set(className, letters+digits+"-_")
	return table
}()

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// allOf tells whether text holds just characters of the class.
func allOf(text string, class uint8) bool {
	for i := range len(text) {
		if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}

func isScheme(text string) bool {
	return text != "" && isLetter(text[0]) && allOf(text, classScheme)
}

// escapedText tells whether text holds just characters of the class and whole
// escapes.
func escapedText(text string, class uint8) bool {
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			if _, ok := escapeAt(text, i); !ok {
				return false
			}
			i += 2
		} else if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}

// escapeAt returns the character that "%HH" at i stands for.
func escapeAt(text string, i int) (character byte, ok bool) {
	if i+2 >= len(text) {
		return 0, false
	}
	high, ok1 := hexDigit(text[i+1])
	low, ok2 := hexDigit(text[i+2])
	return high<<4 | low, ok1 && ok2
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// hostLength returns how much of text is the host: up to the bracket that
// closes an IPv6 address, or up to the first of ":;?".
func hostLength(text string) int {
	if strings.HasPrefix(text, "[") {
		return strings.IndexByte(text, ']') + 1
	}
	for i := range len(text) {
		if c := text[i]; c == ':' || c == ';' || c == '?' {
			return i
		}
	}
	return len(text)
}

// parseAddr reads an address without brackets. RFC 3261's grammar allows three colons
// before an IPv4 address at the end, where two are meant: both are to be taken (RFC
// 5118 §4.10).
func parseAddr(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err == nil {
		return address, nil
	}
	before, last, found := strings.Cut(text, ":::")
	if v4, wrong := netip.ParseAddr(last); !found || wrong != nil || !v4.Is4() {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(before + "::" + last)
}

// HostAddr returns the address that a host is, if it is no name.
func HostAddr(host string) (address netip.Addr, isAddress bool) {
	if host == "" || isLetter(host[0]) {
		return netip.Addr{}, false
	}
	address, err := parseAddr(strings.Trim(host, "[]"))
	return address, err == nil
}

// IsHost tells whether text is a host of RFC 3261 §25: a name, an IPv4
// address, or an IPv6 address in brackets. Underscores are forgiven in names.
func IsHost(text string) bool {
	if strings.HasPrefix(text, "[") {
		if !strings.HasSuffix(text, "]") {
			return false
		}
		address, err := parseAddr(text[1 : len(text)-1])
		return err == nil && address.Is6() && address.Zone() == ""
	}
	if text == "" || len(text) > 255 {
		return false
	}
	before := byte('.') // a label begins and ends with neither a dot nor a hyphen
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.' || c == '-':
			if before == '.' || c == '.' && before == '-' {
				return false
			}
		case classes[c]&className == 0:
			return false
		}
		before = c
	}
	return before != '-'
}
