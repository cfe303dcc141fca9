package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// call is what a phone sends INVITE for, once it has registered.
type call struct {
	callee       *phone
	to           []byte // header field of the response, which its ACK has too (RFC 3261 §17.1.1.3)
	acknowledges bool   // the request is the ACK
}

// offer is a body as long as many are. Nobody reads it.
const offer = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n" +
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"

// callEachOther has each phone call the next one from now on, and register no more.
func (f *fleet) callEachOther() {
	f.deed = calling
	calls := make([]call, len(f.phones))
	for i := range f.phones {
		calls[i].callee = &f.phones[(i+1)%len(f.phones)]
		f.phones[i].call = &calls[i]
	}
}

// appendCall writes the INVITE, or the ACK to its response.
func (p *phone) appendCall(b []byte) []byte {
	method := p.method()
	b = append(append(append(append(b, method...), " sip:"...), p.call.callee.aor...), "@"+domain+" SIP/2.0\r\n"...)
	b = p.appendVia(b)
	b = strconv.AppendInt(p.appendFrom(b), int64(p.cseq), 10)
	b = append(b, "\r\nTo: "...)
	if p.call.acknowledges {
		b = append(b, p.call.to...)
	} else {
		b = append(append(append(b, "<sip:"...), p.call.callee.aor...), "@"+domain+">"...)
	}
	b = p.appendIdentity(append(b, "\r\n"...), method)
	if p.call.acknowledges {
		return append(b, "Content-Length: 0\r\n\r\n"...)
	}
	b = append(p.appendContact(append(b, "Contact: "...)), "\r\nUser-Agent: "+userAgent+"\r\nContent-Type: application/sdp\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(offer)), 10)
	return append(b, "\r\n\r\n"+offer...)
}

// receiveCall takes a response to INVITE. The one that is wanted says where the callee is.
func (p *phone) receiveCall(response []byte) (step, error) {
	var room [128]byte
	switch status := string(response[:min(len(response), 12)]); {
	case status == "SIP/2.0 100 ":
		return passedOver, nil
	case status == "SIP/2.0 302 " && bytes.Contains(response, p.call.callee.appendContact(room[:0])):
		p.waiting = false
		p.call.to = append(p.call.to[:0], toOf(response)...)
		return redirected, nil
	case status == "SIP/2.0 503 ":
		p.waiting = false
		return putOff, nil
	}
	p.waiting = false
	return passedOver, fmt.Errorf("%w to\n%s\n%s", errUnexpected, p.request(), response)
}

func toOf(response []byte) []byte {
	_, rest, _ := bytes.Cut(response, []byte("\r\nTo: "))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return value
}

// acknowledge sends the ACK to a redirection. Nothing answers that.
func (f *fleet) acknowledge(p *phone) {
	p.call.acknowledges = true
	f.put(p)
	p.call.acknowledges = false
}
