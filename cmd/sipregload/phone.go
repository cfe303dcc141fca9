package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// names are the three names of a peer and what proves them.
type names struct {
	authname, secret, aor string
}

// namesOfSipregd has three names that differ.
func namesOfSipregd(number int) names {
	n := strconv.Itoa(number)
	return names{authname: "a" + n, secret: "s" + n, aor: "1" + n}
}

// namesOfKamailio has one for all: its sample configuration wants that, and
// the secret follows from it.
func namesOfKamailio(number int) names {
	n := strconv.Itoa(number)
	return names{authname: "1" + n, secret: "s1" + n, aor: "1" + n}
}

// phone registers again and again.
type phone struct {
	names
	number    int
	local     string // host:port that it sends from
	cseq      int
	request   []byte // the last one sent, for retransmissions
	proving   bool   // the request carries credentials
	began     time.Time
	sent      time.Time
	tries     int
	completed int
}

const domain = "127.0.0.1"

// begin starts a registration: a REGISTER without credentials.
func (p *phone) begin(now time.Time) []byte {
	p.proving, p.began = false, now
	return p.send(now, "")
}

// send writes the next request.
func (p *phone) send(now time.Time, authorization string) []byte {
	p.cseq++
	p.sent, p.tries = now, 1
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
	b = append(b, "@load.invalid\r\nCSeq: "...)
	b = strconv.AppendInt(b, int64(p.cseq), 10)
	b = append(b, " REGISTER\r\nContact: <sip:"...)
	b = append(append(append(b, p.aor...), '@'), p.local...)
	b = append(b, ";transport=udp>\r\nExpires: 3600\r\nUser-Agent: sipregload\r\n"...)
	b = append(b, authorization...)
	p.request = append(b, "Content-Length: 0\r\n\r\n"...)
	return p.request
}

var errUnexpected = errors.New("unexpected response")

// receive takes a response. It returns the next request to send, or that the
// registration is complete. Responses to earlier requests are passed over.
func (p *phone) receive(response []byte, now time.Time) (next []byte, complete bool, err error) {
	cseq := append(strconv.AppendInt(append([]byte(nil), "CSeq: "...), int64(p.cseq), 10), " REGISTER\r\n"...)
	if !bytes.Contains(response, cseq) {
		return nil, false, nil
	}
	switch status := string(response[:min(len(response), 12)]); {
	case status == "SIP/2.0 401 " && !p.proving:
		p.proving = true
		return p.send(now, p.authorization(response)), false, nil
	case status == "SIP/2.0 200 " && p.proving:
		if !bytes.Contains(response, []byte("<sip:"+p.aor+"@"+p.local)) {
			return nil, false, fmt.Errorf("%w: the binding is not listed:\n%s", errUnexpected, response)
		}
		p.completed++
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("%w to\n%s\n%s", errUnexpected, p.request, response)
}

// authorization answers a challenge (RFC 7616 §3.4.1).
func (p *phone) authorization(challenge []byte) string {
	realm, nonce := quoted(challenge, "realm="), quoted(challenge, "nonce=")
	const uri, nc, cnonce = "sip:" + domain, "00000001", "0a4f113b"
	a1 := hash(p.authname + ":" + realm + ":" + p.secret)
	a2 := hash("REGISTER:" + uri)
	response := hash(a1 + ":" + nonce + ":" + nc + ":" + cnonce + ":auth:" + a2)
	return `Authorization: Digest username="` + p.authname + `", realm="` + realm + `", nonce="` + nonce +
		`", uri="` + uri + `", response="` + response + `", algorithm=MD5, qop=auth, nc=` + nc + `, cnonce="` + cnonce + "\"\r\n"
}

// quoted returns what stands in quotes behind the name.
func quoted(text []byte, name string) string {
	_, rest, _ := bytes.Cut(text, []byte(name+`"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

func hash(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
