package diagnosis

import (
	"fmt"
	"strings"

	"sipregd/internal/journal"
)

// tlsCures are what helps where TLS did not come about, by what its error holds.
var tlsCures = []struct{ text, cure string }{
	{"its client certificate", "Have the phone's certificate signed by one in [listen] client_ca and renewed in time, or take it out of the phone."},
	{"begun and not finished", "Look whether the phone waits for somebody to choose a certificate: give the phones that have one a port of their own, [listen] mutual_tls."},
	{"protocol version", "The phone's TLS is too old: it takes 1.2 or newer. Look for newer firmware, or set its transport to UDP or TCP."},
	{"unsupported versions", "The phone's TLS is too old: it takes 1.2 or newer. Look for newer firmware, or set its transport to UDP or TCP."},
	{"first record does not look", "The phone does not speak TLS, and this port does: set the phone's transport to TLS, or its port to that of TCP."},
	{"remote error", "The phone does not take this server's certificate: have it trust whoever signed that, and use a host name that is in it."},
}

// tlsFailed explains that nothing could be said, as there is no TLS to say it by.
func (x explainer) tlsFailed() (cause, cure string) {
	cause = fmt.Sprintf("No %s with %v: %s.", printable(x.event.Transport), x.event.Source.Addr(), printable(x.event.Detail))
	for _, known := range tlsCures {
		if strings.Contains(x.event.Detail, known.text) {
			return cause, known.cure
		}
	}
	return cause, journal.TLSFailed.Advice()
}
