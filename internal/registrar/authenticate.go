package registrar

import (
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// claim is credentials for this realm and what their authname has to prove. For an
// authname that nobody has, all but the credentials is zero.
type claim struct {
	credentials *message.Credentials
	wrong       *message.Error // with the credentials; nil: they are complete
	peer        *peers.Peer
	a1          digest.A1
	only        digest.Algorithm // 0: any that is offered
}

// Step 3 (§22, RFC 7616). Whether an authname or an AOR exists is told neither
// by the response nor by the time it takes.
func (g *registration) authenticate() *message.Response {
	realm := g.domains.Realm(g.domain)
	c, found := g.claim(realm)
	if !found {
		if g.authenticateByCertificate() {
			g.tellProved()
			return nil
		}
		return g.challengeFirst(realm)
	}
	g.authname = c.authname()
	if c.wrong != nil { // RFC 7616 §3.4: 4xx
		return g.end(c.wrong.Status, c.wrong.Reason, journal.Malformed, c.wrong.Reason)
	}
	if !g.isOverThisRequest(c.credentials.URI) {
		return g.challengeAgain(realm, journal.WrongDigestURI, c.credentials.URI)
	}
	if !g.mayTry(c.credentials) {
		return g.challengeAgain(realm, journal.TooManyGuesses, "")
	}
	result := g.authenticator.Verify(g.now, g.request.Method, c.credentials, c.a1, c.only)
	if result == digest.Right {
		g.peer = c.peer
		if g.prove(c.credentials); !g.provesLater() {
			g.tellProved()
		}
		return nil
	}
	if result != digest.Stale && result != digest.Replayed { // in these two the secret is right
		g.tellFailed(c.credentials)
	}
	reason, detail := g.whyNot(&c, result)
	return g.challengeAgain(realm, reason, detail)
}

// claim returns what the phone claims to be in the realm, if anything. Credentials
// for other realms are somebody else's. Of several (RFC 8760 §2.4: one for each
// challenge) those are taken that may serve, else the first.
func (g *registration) claim(realm string) (first claim, found bool) {
	for i := range g.request.Digests {
		credentials := &g.request.Digests[i]
		if credentials.Realm != realm {
			continue
		}
		c := g.claimOf(credentials)
		if c.wrong == nil && g.authenticator.Takes(credentials, c.a1, c.only) {
			return c, true
		}
		if !found {
			first, found = c, true
		}
	}
	return first, found
}

func (g *registration) claimOf(credentials *message.Credentials) claim {
	c := claim{credentials: credentials, wrong: credentials.Check()}
	c.peer, c.a1 = g.snapshot.ByUsername(g.domain, credentials.Realm, credentials.Username)
	if c.peer != nil {
		c.only = c.peer.Algorithm
	}
	return c
}

// whyNot puts a verification that failed into words for the journal.
func (g *registration) whyNot(c *claim, result digest.Result) (reason journal.Reason, detail string) {
	elsewhere, sent, held := g.elsewhere(c.credentials.Username), "sent as "+c.credentials.Username, c.heldTo() // in any case: it takes time
	switch result {
	case digest.Stale:
		return journal.StaleNonce, ""
	case digest.Replayed:
		return journal.Replay, ""
	case digest.AlgorithmNotOffered:
		return journal.WrongAlgorithm, c.algorithm() + " is not in [registrar] algorithms"
	case digest.AlgorithmNotOfPeer:
		return journal.WrongAlgorithm, held
	case digest.QOPNotOffered:
		return journal.WrongAlgorithm, "qop " + c.credentials.QOP + " is not offered"
	}
	switch {
	case c.peer == nil:
		return journal.UnknownAuthname, elsewhere
	case !c.peer.HasSecret():
		return journal.WrongSecret, "this peer has certificate_name alone"
	case c.credentials.Username != c.peer.Authname:
		return journal.WrongSecret, sent
	}
	return journal.WrongSecret, ""
}

// authname returns the authname that is claimed: that of the peer, if it is somebody's.
func (c *claim) authname() string {
	if c.peer != nil {
		return c.peer.Authname
	}
	return c.credentials.Username
}

// algorithm returns the algorithm of the credentials: MD5 where they say none.
func (c *claim) algorithm() string {
	if c.credentials.Algorithm == "" {
		return digest.MD5.String()
	}
	return c.credentials.Algorithm
}

// heldTo says which algorithm the peer may answer with, why, and that the credentials
// are of another.
func (c *claim) heldTo() string {
	why, algorithm := "'s password_digest is of ", digest.SHA256
	switch {
	case c.only != 0:
		why, algorithm = " has algorithm = ", c.only
	case c.a1.Has(digest.MD5):
		algorithm = digest.MD5
	}
	return c.algorithm() + "; this peer" + why + algorithm.String()
}

// elsewhere says of an authname in which other domain somebody has it.
func (g *registration) elsewhere(authname string) string {
	peer, domain := g.snapshot.Elsewhere(g.domain, authname)
	if peer == nil {
		return ""
	}
	return peer.String() + " belongs to " + domain + "; the phone used " + g.domain
}

// isOverThisRequest compares the URI that the digest covers with the
// Request-URI. Proxies and phones change what stands around the host, so equal
// hosts, or two served here, are enough.
func (g *registration) isOverThisRequest(text string) bool {
	if text == g.request.URIText || strings.EqualFold(text, withoutBrackets(g.request.URIText)) {
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

// withoutBrackets returns a URI as some phones digest it whose host is an IPv6 address.
func withoutBrackets(uri string) string { return strings.NewReplacer("[", "", "]", "").Replace(uri) }

// challengeFirst asks for credentials. That a phone came without them is no
// failure; that it brought just those of another realm is taken down.
func (g *registration) challengeFirst(realm string) *message.Response {
	if len(g.request.Digests) > 0 {
		g.authname = g.request.Digests[0].Username
		return g.challengeAgain(realm, journal.WrongRealm, g.request.Digests[0].Realm+"; the realm here is "+realm)
	}
	event := g.event(journal.Challenged, journal.None)
	event.Detail = g.certificateInVain()
	g.journal.Record(event)
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
	response := g.request.Respond(401, "Unauthorized")
	var space [256]byte
	for i := range g.authenticator.Challenges() {
		response.WithBytes("WWW-Authenticate", g.authenticator.AppendChallenge(space[:0], i, g.now, realm, stale, g.request.Flow.Source.Addr()))
	}
	return response
}
