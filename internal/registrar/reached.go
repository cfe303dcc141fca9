package registrar

import (
	"sipregd/internal/journal"
	"sipregd/internal/message"
)

// AuthenticateHere is Authenticate for what more may be sent for than one answer: over UDP
// the nonce has to be one that was given to where the request seems to come from. Else a
// peer could have all that sent to somebody else, whose address it writes into a datagram.
func (a *Authentication) AuthenticateHere() *message.Response {
	if end := a.Authenticate(); end != nil || a.request.Flow.Reliable() {
		return end
	}
	if a.authenticator.GivenTo(a.nonce, a.request.Flow.Source.Addr()) {
		return nil
	}
	a.peer = nil // so that the answer is one to a stranger
	return a.challengeAgain(a.domains.Realm(a.domain), journal.StaleNonce, "the nonce was given to another address")
}
