package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Timers of a request over UDP (RFC 3261 §17.1.2.2).
const (
	t1     = 500 * time.Millisecond
	t2     = 4 * time.Second
	timerF = 16 * t1 // not 64*T1: a run is over by then
)

// phone registers again and again.
type phone struct {
	names
	number  int
	host    string // right of the @ in its Call-ID: one for each run
	local   string // host:port that it sends from
	cseq    int
	query   bool   // it asks for its binding and makes none
	bound   bool   // its binding is there
	request []byte // the last one sent, for retransmissions
	waiting bool   // for the response to it
	proving bool   // it carries credentials
	place   int    // among the flow's busy phones
	began   time.Time
	sent    time.Time     // at first
	again   time.Time     // when Timer E fires
	timerE  time.Duration // what it was set to
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

// begin starts a registration: a REGISTER without credentials.
func (p *phone) begin(now time.Time) []byte {
	p.proving, p.began = false, now
	return p.send(now, "")
}

// send writes the next request.
func (p *phone) send(now time.Time, authorization string) []byte {
	p.cseq++
	p.waiting, p.sent, p.timerE, p.again = true, now, t1, now.Add(t1)
	b := p.request[:0]
	b = append(b, "REGISTER sip:"+domain+" SIP/2.0\r\nVia: SIP/2.0/UDP "...)
	b = append(append(b, p.local...), ";branch=z9hG4bK"...)
	b = strconv.AppendInt(b, int64(p.number), 10)
	b = strconv.AppendInt(append(b, '-'), int64(p.cseq), 10)
	b = append(b, ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:"...)
	b = append(append(b, p.aor...), "@"+domain+">;tag=t"...)
	b = strconv.AppendInt(b, int64(p.cseq/2), 10)
	b = append(b, "\r\nTo: <sip:"...)
	b = append(append(b, p.aor...), "@"+domain+">\r\nCall-ID: "...)
	b = strconv.AppendInt(b, int64(p.number), 10)
	b = append(append(append(b, '@'), p.host...), "\r\nCSeq: "...)
	b = strconv.AppendInt(b, int64(p.cseq), 10)
	b = append(b, " REGISTER\r\n"...)
	if !p.query {
		b = append(append(append(b, "Contact: "...), p.contact()...), "\r\nExpires: 3600\r\n"...)
	}
	b = append(b, "User-Agent: "+userAgent+"\r\n"...)
	b = append(b, authorization...)
	p.request = append(b, "Content-Length: 0\r\n\r\n"...)
	return p.request
}

func (p *phone) contact() string { return "<" + contactURI(p.aor, p.local) + ">" }

func contactURI(aor, hostport string) string { return "sip:" + aor + "@" + hostport + ";transport=udp" }

func callID(number int, host string) string { return strconv.Itoa(number) + "@" + host }

var (
	errUnexpected = errors.New("unexpected response")
	errNoAnswer   = errors.New("no answer")
)

// receive takes a response. It returns the next request to send, or that the
// registration is complete. Responses to earlier requests are passed over.
func (p *phone) receive(response []byte, now time.Time) (next []byte, complete bool, err error) {
	cseq := append(strconv.AppendInt([]byte("\r\nCSeq: "), int64(p.cseq), 10), " REGISTER\r\n"...)
	if !p.waiting || !bytes.Contains(response, cseq) {
		return nil, false, nil
	}
	p.waiting = false
	switch status := string(response[:min(len(response), 12)]); {
	case status == "SIP/2.0 401 " && !p.proving:
		p.proving = true
		return p.send(now, p.authorization(response)), false, nil
	case status == "SIP/2.0 200 " && p.proving:
		p.bound = p.bound || !p.query
		if listed := bytes.Contains(response, []byte(p.contact())); listed != p.bound {
			return nil, false, fmt.Errorf("%w: the Contact is listed: %v, want %v:\n%s", errUnexpected, listed, p.bound, response)
		}
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("%w to\n%s\n%s", errUnexpected, p.request, response)
}

// resend returns the request where Timer E has fired, or that Timer F has.
func (p *phone) resend(now time.Time) ([]byte, error) {
	if !p.waiting || now.Before(p.again) {
		return nil, nil
	}
	if now.Sub(p.sent) >= timerF {
		p.waiting = false
		return nil, fmt.Errorf("%w to\n%s", errNoAnswer, p.request)
	}
	p.timerE = min(2*p.timerE, t2)
	p.again = now.Add(p.timerE)
	return p.request, nil
}
