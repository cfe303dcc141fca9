package main

import (
	"strings"

	"github.com/icholy/digest"
)

// proof is what a phone answers a challenge with.
type proof struct {
	field    string           // Authorization or Proxy-Authorization
	answered digest.Challenge // as it is answered, which may differ from what came
	authname string           // in the latest request
	offered  bool             // the algorithm is one that was offered
	count    int              // of the requests with this nonce
	value    string           // of the header field in the latest request
}

// challenges are those of a response that can be read, in their order.
func (r *reply) challenges() (field string, all []*digest.Challenge) {
	name, field := "WWW-Authenticate", "Authorization"
	if r.StatusCode == 407 {
		name, field = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, value := range r.values(name) {
		challenge, err := digest.ParseChallenge(value)
		if err != nil {
			continue
		}
		for i, qop := range challenge.QOP {
			challenge.QOP[i] = strings.TrimSpace(qop)
		}
		all = append(all, challenge)
	}
	return field, all
}

// choose takes the first challenge that the phone knows (RFC 8760 §2.4), or
// the one with that algorithm. Where none has it, the first is answered with it
// all the same, to try what happens.
func choose(all []*digest.Challenge, algorithm string) (chosen *digest.Challenge, offered bool) {
	for _, challenge := range all {
		if digest.CanDigest(challenge) && (algorithm == "" || strings.EqualFold(algorithm, algorithmOf(challenge))) {
			return challenge, true
		}
	}
	if algorithm != "" && len(all) > 0 {
		return all[0], false
	}
	return nil, false
}

// algorithmOf is the algorithm of a challenge, MD5 if it names none
// (RFC 7616 §3.3).
func algorithmOf(challenge *digest.Challenge) string {
	if challenge.Algorithm == "" {
		return "MD5"
	}
	return challenge.Algorithm
}

func algorithms(all []*digest.Challenge) string {
	var names []string
	for _, challenge := range all {
		names = append(names, algorithmOf(challenge))
	}
	return strings.Join(names, ", ")
}

// newProof prepares to answer a challenge, in another realm than its own if one
// is given, and in that algorithm if it does not offer it.
func newProof(field string, challenge *digest.Challenge, offered bool, realm, algorithm string) *proof {
	p := &proof{field: field, answered: *challenge, offered: offered}
	if realm != "" {
		p.answered.Realm = realm
	}
	if !offered {
		p.answered.Algorithm = algorithm
	}
	return p
}

// next makes the credentials for one more request.
func (p *proof) next(uri, authname, secret string) error {
	p.count++
	credentials, err := digest.Digest(&p.answered, digest.Options{
		Method: "REGISTER", URI: uri, Username: authname, Password: secret, Count: p.count,
	})
	if err != nil {
		return err
	}
	p.authname, p.value = authname, credentials.String()
	return nil
}
