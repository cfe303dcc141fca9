package message

import (
	"net/netip"
	"strconv"
	"strings"

	"sipregd/internal/sipuri"
)

// Via is one value of the Via header field (RFC 3261 §20.42).
type Via struct {
	Transport string // in upper case: "UDP", "TCP", …
	Host      string // sent-by, an IPv6 address in brackets
	Port      uint16 // sent-by; 0: not written
	Branch    string
	RPort     bool // rport stands there (RFC 3581); a value that the sender gave it does not count

	text   string // as it came
	params string // the parameters, a part of text
}

// Cookie begins each branch that was made by RFC 3261's rules (§8.1.1.7).
const Cookie = "z9hG4bK"

// Cookie tells whether the branch was made by RFC 3261's rules (§8.1.1.7).
func (v *Via) Cookie() bool {
	return len(v.Branch) > len(Cookie) && strings.EqualFold(v.Branch[:len(Cookie)], Cookie)
}

// Text returns the value as it came.
func (v *Via) Text() string { return v.text }

// appendReceived appends the value as it stands in a response to a request from
// that source: with received where sent-by's host is another or rport was
// asked for, and rport filled in (RFC 3261 §18.2.1, RFC 3581 §4).
func (v *Via) appendReceived(text []byte, source netip.AddrPort) []byte {
	text = append(text, v.text[:len(v.text)-len(v.params)]...)
	c := cursor{text: v.params}
	for p := (params{}); p.next(&c); { // they were read before
		if !p.is("rport") && !p.is("received") {
			text = append(append(text, ';'), p.text...)
		}
	}
	if v.RPort {
		text = strconv.AppendUint(append(text, ";rport="...), uint64(source.Port()), 10)
	}
	if v.RPort || !v.sentFrom(source.Addr()) {
		text = source.Addr().Unmap().WithZone("").AppendTo(append(text, ";received="...))
	}
	return text
}

// IsElsewhere tells whether the host of sent-by is another address.
func (v *Via) IsElsewhere(source netip.Addr) bool {
	host, err := netip.ParseAddr(strings.Trim(v.Host, "[]"))
	return err == nil && host.Unmap() != source.Unmap().WithZone("")
}

// sentFrom tells whether the host of sent-by is the address.
func (v *Via) sentFrom(source netip.Addr) bool {
	host, err := netip.ParseAddr(strings.Trim(v.Host, "[]"))
	return err == nil && host.Unmap() == source.Unmap().WithZone("")
}

// ResponseAddr returns where a response over UDP goes: with rport back to
// where the request came from (RFC 3581 §4), else to that address at the port
// of sent-by (RFC 3261 §18.2.2). maddr is not followed: a registrar would
// send to whomever a stranger names.
func (v *Via) ResponseAddr(source netip.AddrPort) netip.AddrPort {
	if v.RPort {
		return source
	}
	port := v.Port
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Addr(), port)
}

// parseVias reads the comma-separated values of one Via header field into room.
func parseVias(room []Via, text string) ([]Via, error) {
	vias := room[:0]
	c := cursor{text: text}
	for {
		vias = append(vias, Via{})
		if err := c.via(&vias[len(vias)-1]); err != nil {
			return nil, err
		}
		if c.done() {
			return vias, nil
		}
		if !c.eat(',') {
			return nil, malformed("Malformed Via")
		}
		if len(vias) == MaxListValues {
			return nil, malformed("More Than 64 Via Values")
		}
	}
}

// via takes via-parm = sent-protocol LWS sent-by *( SEMI via-params ).
func (c *cursor) via(via *Via) error {
	c.blank()
	start := c.at
	if !c.sentProtocolAndBy(via) {
		return malformed("Malformed Via")
	}
	head := c.at
	p, seen := params{}, [3]bool{}
	for p.next(c) {
		if err := via.setParam(p.param, &seen); err != nil {
			return err
		}
	}
	via.text, via.params = c.text[start:c.at], c.text[head:c.at]
	c.blank()
	return p.err
}

func (c *cursor) sentProtocolAndBy(via *Via) bool {
	version, ok := c.sentProtocolAndHost(via)
	if !ok || version != "2.0" {
		return false
	}
	if !c.eat(':') {
		return true
	}
	port, err := sipuri.ParsePort(c.token())
	via.Port = port
	return err == nil
}

// sentProtocolAndHost takes a Via up to the host of sent-by, of any version.
func (c *cursor) sentProtocolAndHost(via *Via) (version string, ok bool) {
	if usual := "SIP/2.0/UDP "; strings.HasPrefix(c.text[c.at:], usual) {
		via.Transport = usual[len("SIP/2.0/") : len(usual)-1]
		c.at += len(usual)
		c.blank()
		via.Host = c.host()
		return "2.0", sipuri.IsHost(via.Host)
	}
	name := c.token()
	if !strings.EqualFold(name, "SIP") || !c.eat('/') {
		return "", false
	}
	if version = c.token(); !c.eat('/') {
		return "", false
	}
	via.Transport = strings.ToUpper(c.token()) // which copies nothing as a rule
	if via.Transport == "" || !c.blank() {
		return "", false
	}
	via.Host = c.host()
	return version, sipuri.IsHost(via.Host)
}

// host takes a name, an IPv4 address or an IPv6 address in brackets.
func (c *cursor) host() string {
	if !c.startsWith('[') {
		return c.while(classHost)
	}
	start := c.at
	c.while(classIPv6)
	if c.startsWith(']') {
		c.at++
	}
	return c.text[start:c.at]
}

func (v *Via) setParam(p param, seen *[3]bool) error {
	switch {
	case p.is("branch"):
		if seen[0] || !isMark(p.value) {
			return malformed("Malformed Via Branch")
		}
		seen[0], v.Branch = true, p.value
	case p.is("rport"):
		if seen[1] {
			return malformed("Malformed Via Rport")
		}
		seen[1], v.RPort = true, true
	case p.is("received"):
		if seen[2] {
			return malformed("Malformed Via Received")
		}
		seen[2] = true
	}
	return nil
}
