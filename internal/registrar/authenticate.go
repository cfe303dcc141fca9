package registrar

import (
	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// Step 3 (§22, RFC 7616). Whether an authname or an AOR exists is told neither
// by the response nor by the time it takes.
func (g *registration) authenticate() *message.Response {
	realm := g.domains.Realm(g.domain)
	credentials := g.credentialsFor(realm)
	if credentials == nil {
		return g.challengeFirst(realm)
	}
	g.authname = credentials.Username
	if !g.isOverThisRequest(credentials.URI) {
		return g.challengeAgain(realm, journal.WrongDigestURI, credentials.URI)
	}
	peer := g.snapshot.ByAuthname(g.domain, credentials.Username)
	var a1 digest.A1 // nobody's
	var only digest.Algorithm
	if peer != nil {
		a1, _ = peer.A1(realm)
		only = peer.Algorithm
	}
	result := g.authenticator.Verify(g.now, g.request.Method, credentials, a1, only)
	switch {
	case result == digest.Right:
		g.peer = peer
		return nil
	case result == digest.Stale:
		return g.challengeAgain(realm, journal.StaleNonce, "")
	case result == digest.Replayed:
		return g.challengeAgain(realm, journal.Replay, "")
	case result == digest.OtherAlgorithm:
		return g.challengeAgain(realm, journal.WrongAlgorithm, credentials.Algorithm)
	case peer == nil:
		return g.challengeAgain(realm, journal.UnknownAuthname, "")
	}
	return g.challengeAgain(realm, journal.WrongSecret, "")
}

// credentialsFor returns the first credentials for the realm, or nil. Those
// for other realms are somebody else's.
func (g *registration) credentialsFor(realm string) *message.Credentials {
	for i := range g.request.Digests {
		if g.request.Digests[i].Realm == realm {
			return &g.request.Digests[i]
		}
	}
	return nil
}

// isOverThisRequest compares the URI that the digest covers with the
// Request-URI. Proxies and phones change what stands around the host, so equal
// hosts, or two served here, are enough.
func (g *registration) isOverThisRequest(text string) bool {
	if text == g.request.URIText {
		return true
	}
	uri, err := sipuri.Parse(text)
	if err != nil {
		if uri, err = sipuri.Parse("sip:" + text); err != nil {
			return false
		}
	}
	host, target := sipuri.CanonicalHost(uri.Host), sipuri.CanonicalHost(g.request.URI.Host)
	if host == target {
		return true
	}
	_, served := g.domains.Match(host)
	return served && g.domains.Primary() != ""
}

// challengeFirst asks for credentials. That a phone came without them is no
// failure; that it brought just those of another realm is taken down.
func (g *registration) challengeFirst(realm string) *message.Response {
	if len(g.request.Digests) > 0 {
		g.authname = g.request.Digests[0].Username
		return g.challengeAgain(realm, journal.WrongRealm, g.request.Digests[0].Realm)
	}
	g.journal.Record(g.event(journal.Challenged, ""))
	return g.challenge(realm, false)
}

// challengeAgain refuses credentials. stale=true lets a phone that knows the
// secret retry in silence: its digest was right, its nonce too old, not of
// this process, or used up.
func (g *registration) challengeAgain(realm string, reason journal.Reason, detail string) *message.Response {
	stale := reason == journal.StaleNonce || reason == journal.Replay
	return g.endWith(g.challenge(realm, stale), reason, detail)
}

func (g *registration) challenge(realm string, stale bool) *message.Response {
	response := message.NewResponse(401, "Unauthorized")
	for _, value := range g.authenticator.Challenge(g.now, realm, stale) {
		response.With("WWW-Authenticate", value)
	}
	return response
}
