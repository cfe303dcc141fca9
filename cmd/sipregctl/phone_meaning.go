package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// meaning says what a final response to a REGISTER means to a phone.
func meaning(status int) string {
	switch status {
	case 400:
		return "the server cannot read the request, or something in it contradicts itself"
	case 403:
		return "the server refuses this phone: as a rule it may not register this address, or not from here; some servers answer a wrong secret so"
	case 404:
		return "the server knows no such address"
	case 405, 501:
		return "the server registers nobody: is it the registrar?"
	case 407:
		return "a proxy wants a proof before it lets the request through"
	case 408, 504:
		return "a server in between got no answer from the registrar"
	case 413, 513:
		return "the request is larger than the server takes"
	case 414, 416:
		return "the server does not take the Request-URI"
	case 420, 421:
		return "phone and server need extensions that the other has not"
	case 423:
		return "the expiry is too brief, and the server does not say what it takes"
	case 482, 483:
		return "the request went round in a circle"
	case 500, 502:
		return "the server failed; some answer so to a CSeq that does not rise"
	case 503:
		return "the server or its store is overloaded or out of service: a phone tries again later, or elsewhere"
	}
	switch status / 100 {
	case 3:
		return "the server sends the phone elsewhere"
	case 4:
		return "the server does not take this request"
	case 5:
		return "the server failed"
	}
	return "nobody takes this request, there or elsewhere"
}

// noWay says why nothing came back.
func noWay(network, server string, err error) string {
	where := fmt.Sprintf("%s (%s)", visible(server), strings.ToUpper(network))
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the name of the server has no address: %s", visible(err.Error()))
	case errors.Is(err, syscall.ECONNREFUSED) && network == "udp":
		return "nothing listens at " + where + ": the machine is there and says so (ICMP port unreachable). Is the daemon running, and on this port?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + where + ", or a packet filter rejects the connection. Is the daemon running, on this port, with this transport?"
	case errors.Is(err, errNoAnswer), isTimeout(err):
		return "no answer from " + where + ": a packet filter drops the request or the answer, the server listens to another transport or port, " +
			"it answers from another address, or this host is banned there"
	case errors.Is(err, errFrame):
		return "what listens at " + where + " does not speak SIP: " + visible(err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return where + " closed the connection without an answer: it is full, does not speak SIP, or this host is banned there"
	}
	return "no way leads to " + where + ": " + visible(err.Error())
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
