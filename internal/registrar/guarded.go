package registrar

import "sipregd/internal/message"

// What follows tells the guard, where there is one, what becomes of credentials. It goes
// by the authname as it was sent, so that nothing depends on whether somebody has it.

// mayTry tells whether credentials are to be looked at.
func (a *Authentication) mayTry(credentials *message.Credentials) bool {
	source := a.request.Flow.Source.Addr()
	return a.guard == nil || !a.guard.HasFailed(source, a.now) ||
		a.guard.MayTry(source, credentials.Username, a.isReached(credentials), a.now)
}

// isReached tells whether the request surely comes from its source: it came on a stream,
// or answers a challenge that was sent there.
func (a *Authentication) isReached(credentials *message.Credentials) bool {
	flow := &a.request.Flow
	return flow.Reliable() || a.authenticator.GivenTo(credentials.Nonce, flow.Source.Addr())
}

func (a *Authentication) tellFailed(credentials *message.Credentials) {
	if a.guard != nil {
		a.guard.Failed(a.request.Flow.Source.Addr(), credentials.Username, a.reached, a.now)
	}
}

func (a *Authentication) tellProved() {
	if a.guard != nil {
		a.guard.Proved(a.request.Flow.Source.Addr(), a.now)
	}
}
