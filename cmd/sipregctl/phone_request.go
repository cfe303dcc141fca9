package main

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
)

// request is one REGISTER.
type request struct {
	uri       string // Request-URI
	user      string // of the To
	aor       string // URI of From and To
	contact   string // value of the header field
	expires   uint32
	cseq      uint32
	branch    string
	proofs    []*proof
	transport string
	local     netip.AddrPort
	fromTag   string
	callID    string
	userAgent string
}

// text is the request as it goes out (RFC 3261 §10.2).
func (r *request) text() string {
	lines := []string{
		"REGISTER " + r.uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %v;branch=%s;rport", strings.ToUpper(r.transport), r.local, r.branch),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <%s>;tag=%s", r.aor, r.fromTag),
		fmt.Sprintf("To: <%s>", r.aor),
		"Call-ID: " + r.callID,
		fmt.Sprintf("CSeq: %d REGISTER", r.cseq),
		"Contact: " + r.contact,
		fmt.Sprintf("Expires: %d", r.expires),
	}
	for _, proof := range r.proofs {
		lines = append(lines, proof.field+": "+proof.value)
	}
	lines = append(lines, "User-Agent: "+r.userAgent, "Content-Length: 0")
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// newBranch names a transaction (§8.1.1.7).
func newBranch() string { return "z9hG4bK" + rand.Text() }

// escapeUser writes the user part of a URI: what may not stand there as it is
// becomes "%HH" (§25.1). An escape that is there stays.
func escapeUser(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/%"
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// bracketed writes a host as URIs have it.
func bracketed(host string) string {
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() {
		return "[" + host + "]"
	}
	return host
}
