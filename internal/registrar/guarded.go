package registrar

import "sipregd/internal/message"

// What follows tells the guard, where there is one, what becomes of credentials. It goes
// by the authname as it was sent, so that nothing depends on whether somebody has it.

// mayTry tells whether credentials are to be looked at.
func (g *registration) mayTry(credentials *message.Credentials) bool {
	source := g.request.Flow.Source.Addr()
	return g.guard == nil || !g.guard.HasFailed(source, g.now) ||
		g.guard.MayTry(source, credentials.Username, g.isReached(credentials), g.now)
}

// isReached tells whether the request surely comes from its source: it came on a stream,
// or answers a challenge that was sent there.
func (g *registration) isReached(credentials *message.Credentials) bool {
	flow := &g.request.Flow
	return flow.Reliable() || g.authenticator.GivenTo(credentials.Nonce, flow.Source.Addr())
}

func (g *registration) tellFailed(credentials *message.Credentials) {
	if g.guard != nil {
		g.guard.Failed(g.request.Flow.Source.Addr(), credentials.Username, g.isReached(credentials), g.now)
	}
}

func (g *registration) tellProved() {
	if g.guard != nil {
		g.guard.Proved(g.request.Flow.Source.Addr(), g.now)
	}
}
