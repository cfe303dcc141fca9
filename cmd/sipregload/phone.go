package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// phone registers again and again. There may be a million of them, so that it
// keeps what its request is made from and not the request.
type phone struct {
	number  int32
	cseq    int32
	wire    *wire
	query   bool      // it asks for its binding and makes none
	bound   bool      // its binding is there
	waiting bool      // for the response to its request
	proving bool      // its request carries credentials
	sent    time.Time // at first
	names
	nonce []byte    // of the challenge; the realm is the same for all
	began time.Time // in an open loop, when it was due
	call  *call     // nil: it registers
}

const (
	domain    = "127.0.0.1"
	userAgent = "sipregload/1.0 (RFC 3261)" // as long as many are
)

// newHost makes a run's requests others than those of the run before, which a
// server may still remember (RFC 3261 §8.2.2.2).
func newHost() string {
	return strconv.FormatInt(time.Now().UnixNano(), 36) + ".invalid"
}

// begin starts a registration that was due: a REGISTER without credentials.
func (p *phone) begin(due, now time.Time) {
	p.proving, p.began = false, due
	p.next(now)
}

// next makes another request the one that is waited for.
func (p *phone) next(now time.Time) {
	p.cseq++
	p.waiting, p.sent = true, now
}

// appendRequest writes the request that is waited for.
func (p *phone) appendRequest(b []byte) []byte {
	if p.call != nil {
		return p.appendCall(b)
	}
	b = p.appendVia(append(b, "REGISTER sip:"+domain+" SIP/2.0\r\n"...))
	b = strconv.AppendInt(p.appendFrom(b), int64(p.cseq/2), 10)
	b = append(b, "\r\nTo: <sip:"...)
	b = p.appendIdentity(append(append(b, p.aor...), "@"+domain+">\r\n"...), p.method())
	if !p.query {
		b = append(p.appendContact(append(b, "Contact: "...)), "\r\nExpires: 3600\r\n"...)
	}
	b = append(b, "User-Agent: "+userAgent+"\r\n"...)
	if p.proving {
		b = p.appendAuthorization(b, p.wire.realm, p.nonce)
	}
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

// method is that of the request that is waited for, or of the ACK.
func (p *phone) method() string {
	switch {
	case p.call == nil:
		return "REGISTER"
	case p.call.acknowledges:
		return "ACK"
	}
	return "INVITE"
}

func (p *phone) appendVia(b []byte) []byte {
	b = append(append(b, "Via: SIP/2.0/"...), p.wire.transport...)
	b = append(append(append(b, ' '), p.wire.local...), ";branch=z9hG4bK"...)
	b = strconv.AppendInt(b, int64(p.number), 10)
	b = strconv.AppendInt(append(b, '-'), int64(p.cseq), 10)
	return append(b, ";rport\r\nMax-Forwards: 70\r\n"...)
}

// appendFrom writes all of From but the number that its tag ends in.
func (p *phone) appendFrom(b []byte) []byte {
	return append(append(append(b, "From: <sip:"...), p.aor...), "@"+domain+">;tag=t"...)
}

// appendIdentity writes Call-ID and CSeq.
func (p *phone) appendIdentity(b []byte, method string) []byte {
	b = strconv.AppendInt(append(b, "Call-ID: "...), int64(p.number), 10)
	b = append(append(append(b, '@'), p.wire.host...), "\r\nCSeq: "...)
	b = append(strconv.AppendInt(b, int64(p.cseq), 10), ' ')
	return append(append(b, method...), "\r\n"...)
}

func (p *phone) request() []byte { return p.appendRequest(nil) }

func (p *phone) appendContact(b []byte) []byte {
	b = append(append(b, "<sip:"...), p.aor...)
	b = append(append(append(b, '@'), p.wire.local...), ";transport="...)
	if p.wire.transport == "TCP" {
		return append(b, "tcp>"...)
	}
	return append(b, "udp>"...)
}

func contactURI(aor, hostport string) string { return "sip:" + aor + "@" + hostport + ";transport=udp" }

func callID(number int, host string) string { return strconv.Itoa(number) + "@" + host }

var (
	errUnexpected = errors.New("unexpected response")
	errNoAnswer   = errors.New("no answer")
)

// step is what a response means to a phone.
type step int

const (
	passedOver step = iota // it answers an earlier request
	toProve                // the next request is to be sent, with credentials
	registered             // the registration is complete
	redirected             // it was told where the callee is, and acknowledges that
	putOff                 // the server has too much to do
)

// receive takes a response.
func (p *phone) receive(response []byte, now time.Time) (step, error) {
	if !p.waiting || !p.answers(response) {
		return passedOver, nil
	}
	if p.call != nil {
		return p.receiveCall(response)
	}
	p.waiting = false
	switch status := string(response[:min(len(response), 12)]); {
	case status == "SIP/2.0 401 " && !p.proving:
		p.take(response)
		p.next(now)
		return toProve, nil
	case status == "SIP/2.0 200 " && p.proving:
		return registered, p.check(response)
	case status == "SIP/2.0 503 ":
		return putOff, nil
	}
	return passedOver, fmt.Errorf("%w to\n%s\n%s", errUnexpected, p.request(), response)
}

// answers tells whether a response is to the latest request.
func (p *phone) answers(response []byte) bool {
	var room [40]byte
	cseq := strconv.AppendInt(append(room[:0], "\r\nCSeq: "...), int64(p.cseq), 10)
	return bytes.Contains(response, append(append(append(cseq, ' '), p.method()...), "\r\n"...))
}

// take keeps what of a challenge credentials are made from.
func (p *phone) take(challenge []byte) {
	p.proving = true
	p.nonce = append(p.nonce[:0], quoted(challenge, "nonce=")...)
	if realm := quoted(challenge, "realm="); string(realm) != p.wire.realm {
		p.wire.realm = string(realm)
	}
}

// check wants the Contact listed where it was bound, and only there.
func (p *phone) check(response []byte) error {
	var room [128]byte
	p.bound = p.bound || !p.query
	if listed := bytes.Contains(response, p.appendContact(room[:0])); listed != p.bound {
		return fmt.Errorf("%w: the Contact is listed: %v, want %v:\n%s", errUnexpected, listed, p.bound, response)
	}
	return nil
}
