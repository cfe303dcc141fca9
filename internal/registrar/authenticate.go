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
func (a *Authentication) Authenticate() *message.Response {
	realm := a.domains.Realm(a.domain)
	c, found := a.claim(realm)
	if !found {
		if a.authenticateByCertificate() {
			a.tellProved()
			return nil
		}
		return a.challengeFirst(realm)
	}
	a.authname = c.authname()
	if c.wrong != nil { // RFC 7616 §3.4: 4xx
		return a.End(c.wrong.Status, c.wrong.Reason, journal.Malformed, c.wrong.Reason)
	}
	if !a.isOverThisRequest(c.credentials.URI) {
		return a.challengeAgain(realm, journal.WrongDigestURI, c.credentials.URI)
	}
	if !a.mayTry(c.credentials) {
		return a.challengeAgain(realm, journal.TooManyGuesses, "")
	}
	result, err := a.verify(&c)
	if result == digest.Right {
		if a.peer = c.peer; !a.provesLater {
			a.tellProved()
		}
		if err != nil {
			return a.EndWith(a.notStored(a.request), journal.StoreFailed, err.Error())
		}
		return nil
	}
	a.reached = a.isReached(c.credentials)
	if result != digest.Stale && result != digest.Replayed { // in these two the secret is right
		a.tellFailed(c.credentials)
	}
	reason, detail := a.whyNot(&c, result)
	return a.challengeAgain(realm, reason, detail)
}

// verify judges credentials. An error says that it is not known whether they have proved
// a request to another node.
func (a *Authentication) verify(c *claim) (digest.Result, error) {
	result := a.authenticator.Verify(a.now, a.request.Method, c.credentials, c.a1, c.only)
	if result != digest.Right {
		return result, nil
	}
	return a.prove(c)
}

// claim returns what the phone claims to be in the realm, if anything. Credentials
// for other realms are somebody else's. Of several (RFC 8760 §2.4: one for each
// challenge) those are taken that may serve, else the first.
func (a *Authentication) claim(realm string) (first claim, found bool) {
	for i := range a.request.Digests {
		credentials := &a.request.Digests[i]
		if credentials.Realm != realm {
			continue
		}
		c := a.claimOf(credentials)
		if c.wrong == nil && a.authenticator.Takes(credentials, c.a1, c.only) {
			return c, true
		}
		if !found {
			first, found = c, true
		}
	}
	return first, found
}

func (a *Authentication) claimOf(credentials *message.Credentials) claim {
	c := claim{credentials: credentials, wrong: credentials.Check()}
	c.peer, c.a1 = a.snapshot.ByUsername(a.domain, credentials.Realm, credentials.Username)
	if c.peer != nil {
		c.only = c.peer.Algorithm
	}
	return c
}

// whyNot puts a verification that failed into words for the journal.
func (a *Authentication) whyNot(c *claim, result digest.Result) (reason journal.Reason, detail string) {
	elsewhere, sent, held := a.elsewhere(c.credentials.Username), "sent as "+c.credentials.Username, c.heldTo() // in any case: it takes time
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
func (a *Authentication) elsewhere(authname string) string {
	peer, domain := a.snapshot.Elsewhere(a.domain, authname)
	if peer == nil {
		return ""
	}
	return peer.String() + " belongs to " + domain + "; the phone used " + a.domain
}

// isOverThisRequest compares the URI that the digest covers with the
// Request-URI. Proxies and phones change what stands around the host, so equal
// hosts, or two served here, are enough.
func (a *Authentication) isOverThisRequest(text string) bool {
	if text == a.request.URIText || strings.EqualFold(text, withoutBrackets(a.request.URIText)) {
		return true
	}
	uri, err := sipuri.Parse(text)
	if err != nil {
		if uri, err = sipuri.Parse("sip:" + text); err != nil {
			return false
		}
	}
	host, target := sipuri.CanonicalHost(uri.Host), sipuri.CanonicalHost(a.request.URI.Host)
	if host == target {
		return true
	}
	_, served := a.domains.Match(host)
	return served && a.domains.Primary() != ""
}

// withoutBrackets returns a URI as some phones digest it whose host is an IPv6 address.
func withoutBrackets(uri string) string { return strings.NewReplacer("[", "", "]", "").Replace(uri) }

// challengeFirst asks for credentials. That a phone came without them is no
// failure; that it brought just those of another realm is taken down.
func (a *Authentication) challengeFirst(realm string) *message.Response {
	if len(a.request.Digests) > 0 {
		a.authname = a.request.Digests[0].Username
		return a.challengeAgain(realm, journal.WrongRealm, a.request.Digests[0].Realm+"; the realm here is "+realm)
	}
	event := a.Event(journal.Challenged, journal.None)
	if event.Detail = a.certificateInVain(); event.Detail == "" && a.request.Method != "REGISTER" {
		event.Detail = journal.CallBy + a.request.Method
	}
	a.journal.Record(event)
	return a.challenge(realm, false)
}

// challengeAgain refuses credentials. stale=true lets a phone that knows the
// secret retry in silence: its digest was right, its nonce too old, not of
// this process, or used up.
func (a *Authentication) challengeAgain(realm string, reason journal.Reason, detail string) *message.Response {
	stale := reason == journal.StaleNonce || reason == journal.Replay
	return a.EndWith(a.challenge(realm, stale), reason, detail)
}

func (a *Authentication) challenge(realm string, stale bool) *message.Response {
	response := a.request.Respond(401, "Unauthorized")
	var space [256]byte
	for i := range a.authenticator.Challenges() {
		response.WithBytes("WWW-Authenticate", a.authenticator.AppendChallenge(space[:0], i, a.now, realm, stale, a.request.Flow.Source.Addr()))
	}
	return response
}
