package registrar

import (
	"strings"
	"time"

	"sipregd/internal/sipuri"
)

// authenticateByCertificate takes what the phone has shown by TLS for a digest, where a
// peer of the domain says so that may bind the AOR. For another AOR the phone is asked for a
// digest, as it may have a secret of another peer. A digest goes before a certificate: who
// sends one means to be judged by it.
func (a *Authentication) authenticateByCertificate() bool {
	shown := a.request.Flow.Certificate
	if shown == nil || a.now.After(shown.Expires) {
		return false
	}
	aor := a.wantedAOR()
	peer := a.snapshot.ByCertificate(a.domain, shown.Names, aor)
	if peer == nil || !a.snapshot.MayBind(peer, aor) {
		return false
	}
	a.peer, a.authname = peer, peer.Authname
	return true
}

// wantedAOR returns which address-of-record the sender is to be able to bind: that of To
// for a REGISTER, for others his own, of From. Zero where that is none.
func (a *Authentication) wantedAOR() sipuri.AOR {
	uri := own(a.request)
	if !uri.IsSIP() {
		return sipuri.AOR{}
	}
	aor, served := a.snapshot.AOR(*uri)
	if !served {
		return sipuri.AOR{}
	}
	return aor
}

// maxNamesShown is how many bytes of a certificate's names the journal has.
const maxNamesShown = 300

// certificateInVain says why a certificate does not do. Empty: the phone has shown none.
func (a *Authentication) certificateInVain() string {
	shown := a.request.Flow.Certificate
	switch {
	case shown == nil:
		return ""
	case a.now.After(shown.Expires):
		return "the certificate has expired on " + shown.Expires.UTC().Format(time.DateTime)
	}
	if peer := a.snapshot.ByCertificate(a.domain, shown.Names, sipuri.AOR{}); peer != nil {
		return "the certificate is that of " + peer.String() + ", whose aorname is " + joined(peer.AORs)
	}
	text := "no peer has a name of the certificate: "
	for i, name := range shown.Names {
		if len(text)+len(name) > maxNamesShown {
			return text + "…"
		}
		if i > 0 {
			text += ", "
		}
		text += asListed(name)
	}
	return text
}

// asListed returns a name as certificate_name has it.
func asListed(name string) string {
	if strings.ContainsAny(name, ",=") {
		return `"` + name + `"`
	}
	return name
}
