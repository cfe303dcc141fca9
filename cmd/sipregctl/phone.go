package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// settings are what a phone is configured with.
type settings struct {
	server    string // host:port
	transport string // udp or tcp
	bind      netip.Addr
	user      string // User ID, as the command line has it
	domain    string // as URIs have it
	authname  string
	secret    string
	contact   string // URI, or empty: made from the local address
	expires   uint32 // seconds
	userAgent string
	callID    string
	cseq      uint32 // of the first request
	noAuth    bool   // challenges are not answered

	// What differs from what a phone does, to see what the server does.
	realm     string
	digestURI string
	algorithm string

	timers timers
}

// timers are those of a non-INVITE client transaction (RFC 3261 §17.1.2.2).
type timers struct {
	t1, t2, f time.Duration
}

const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// phone registers as the settings say.
type phone struct {
	settings
	wire    *wire
	parser  *sip.Parser
	told    *transcript
	fromTag string
	proofs  []*proof // of the challenges met so far, one for each field
}

var errNoAnswer = errors.New("no answer")

// refusal is the end of a registration that did not succeed, in words.
type refusal struct {
	status   int // 0: none came
	sentence string
}

func (r *refusal) Error() string { return r.sentence }

const (
	mostRequests = 12 // of one registration
	mostStale    = 3  // answers that call a fresh nonce stale
)

// round is what a phone remembers from one request of a registration to the next.
type round struct {
	answered map[string]bool // field and realm of the challenges that were answered
	stale    int
}

// register goes on until the server is content or has refused (RFC 3261 §10.2).
// It returns the seconds granted, nil if the server does not say.
func (p *phone) register(ctx context.Context, expires uint32) (*uint32, error) {
	round := round{answered: map[string]bool{}}
	for range mostRequests {
		request, err := p.next(expires)
		if err != nil {
			return nil, err
		}
		reply, err := p.exchange(ctx, request)
		if ctx.Err() != nil {
			return nil, &refusal{0, "interrupted"}
		}
		if err != nil {
			return nil, &refusal{0, noWay(p.transport, p.server, err)}
		}
		switch {
		case reply.IsSuccess():
			return granted(reply, request)
		case reply.StatusCode == 401 || reply.StatusCode == 407:
			err = p.takeChallenge(reply, &round)
		case reply.StatusCode == 423:
			expires, err = longer(reply, expires)
		default:
			err = refused(reply)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, &refusal{0, "the server asks for one thing after the other and is never content"}
}

// next makes the next request.
func (p *phone) next(expires uint32) (*request, error) {
	r := &request{
		uri:       "sip:" + p.domain,
		user:      p.user,
		aor:       "sip:" + escapeUser(p.user) + "@" + p.domain,
		contact:   p.contactField(),
		expires:   expires,
		cseq:      p.cseq,
		branch:    newBranch(),
		proofs:    p.proofs,
		transport: p.transport,
		local:     p.wire.local(),
		fromTag:   p.fromTag,
		callID:    p.callID,
		userAgent: p.userAgent,
	}
	p.cseq++
	uri := p.digestURI
	if uri == "" {
		uri = r.uri // §22.4
	}
	for _, proof := range p.proofs {
		if err := proof.next(uri, p.authname, p.secret); err != nil {
			return nil, &refusal{0, "no answer to the challenge can be made: " + visible(err.Error())}
		}
	}
	return r, nil
}

func (p *phone) contactURI() string {
	switch {
	case p.contact != "":
		return p.contact
	case p.transport == "tcp":
		return fmt.Sprintf("sip:%s@%v;transport=tcp", escapeUser(p.user), p.wire.local())
	}
	return fmt.Sprintf("sip:%s@%v", escapeUser(p.user), p.wire.local())
}

func (p *phone) contactField() string {
	if uri := p.contactURI(); uri == "*" || strings.Contains(uri, "<") {
		return uri
	}
	return "<" + p.contactURI() + ">"
}

// exchange is a client transaction (RFC 3261 §17.1.2.2): it sends a request,
// over UDP again and again, until its final response is there.
func (p *phone) exchange(ctx context.Context, q *request) (*reply, error) {
	began := time.Now()
	end, again, interval := began.Add(p.timers.f), began, p.timers.t1
	stop := context.AfterFunc(ctx, func() { p.wire.close() })
	defer stop()
	text := q.text()
	for sent := 0; ; {
		if !again.Before(end) {
			again = end
		} else if sent == 0 || !time.Now().Before(again) {
			if err := p.wire.send(text, end); err != nil {
				return nil, err
			}
			p.told.sent(q, text, sent)
			sent++
			again = again.Add(interval) // Timer E
			interval = min(2*interval, p.timers.t2)
			if p.wire.stream != nil {
				again = end
			}
			continue
		}
		raw, err := p.wire.receive(again)
		if isTimeout(err) {
			if again.Equal(end) {
				return nil, errNoAnswer // Timer F
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		reply, err := parseReply(p.parser, raw)
		switch {
		case err != nil:
			p.told.ignored(raw, "no SIP response: "+err.Error())
		case !reply.answers(q):
			p.told.ignored(raw, "it answers another request")
		case reply.IsProvisional():
			p.told.received(reply, q, time.Since(began))
			interval = p.timers.t2
		default:
			p.told.received(reply, q, time.Since(began))
			return reply, nil
		}
	}
}

// takeChallenge prepares to answer a challenge, unless that is of no use.
func (p *phone) takeChallenge(r *reply, round *round) error {
	if p.noAuth {
		return &refusal{r.StatusCode, "the server wants a proof, as it should, and --no-auth says to give none"}
	}
	field, all := r.challenges()
	chosen, offered := choose(all, p.algorithm)
	switch {
	case len(all) == 0:
		return &refusal{r.StatusCode, "the server wants a proof, and sends no challenge that can be read"}
	case chosen == nil:
		return &refusal{r.StatusCode, "this phone knows none of the algorithms that the server offers: " + short(algorithms(all))}
	}
	switch key := field + " " + chosen.Realm; {
	case !round.answered[key]:
		round.answered[key] = true
	case !chosen.Stale:
		return &refusal{r.StatusCode, p.notAccepted(chosen, offered)}
	default:
		if round.stale++; round.stale == mostStale {
			return &refusal{r.StatusCode, "stale-nonce loop: the server calls each nonce stale that it has just given. " +
				"Several servers behind one address do not know each other's nonces, or its clock jumps"}
		}
	}
	p.proofs = slices.DeleteFunc(p.proofs, func(old *proof) bool { return old.field == field })
	p.proofs = append(p.proofs, newProof(field, chosen, offered, p.realm, p.algorithm))
	return nil
}

// notAccepted says what a second challenge means.
func (p *phone) notAccepted(c *digest.Challenge, offered bool) string {
	if p.realm != "" || p.digestURI != "" || !offered {
		return "the server does not accept a proof that differs from what it asked for, as it should"
	}
	return fmt.Sprintf(`the server does not accept the proof of Auth ID %s (%s, %s): it knows no such Auth ID, or another secret for it`,
		visible(p.authname), quoted(c.Realm), short(algorithmOf(c)))
}

// longer is the expiry that the server takes (RFC 3261 §10.2.8).
func longer(r *reply, expires uint32) (uint32, error) {
	if minimum, ok := r.seconds("Min-Expires"); ok && minimum > expires {
		return minimum, nil
	}
	return 0, refused(r)
}

func refused(r *reply) error {
	sentence := meaning(r.StatusCode)
	if seconds, ok := r.seconds("Retry-After"); ok {
		sentence += fmt.Sprintf(" (in %d s, it says)", seconds)
	}
	if r.IsRedirection() {
		for _, binding := range r.bindings() {
			sentence += ": " + short(binding.URI)
			break
		}
	}
	return &refusal{r.StatusCode, sentence}
}

// granted wants a 2xx to list the Contact, or not to list it once it is removed
// (RFC 3261 §10.3 step 8).
func granted(r *reply, q *request) (*uint32, error) {
	bindings, contact := r.bindings(), readBinding(q.contact).URI
	listed := slices.IndexFunc(bindings, func(b binding) bool { return contact == "*" || sameContact(b.URI, contact) })
	var seconds *uint32
	if expires, ok := r.seconds("Expires"); ok {
		seconds = &expires
	}
	if listed >= 0 && bindings[listed].Expires != nil {
		seconds = bindings[listed].Expires
	}
	gone := listed < 0 || seconds != nil && *seconds == 0
	switch {
	case q.expires == 0 && !gone:
		return nil, &refusal{r.StatusCode, "the server says yes, and lists the Contact all the same"}
	case q.expires > 0 && (len(bindings) == 0 || listed >= 0 && gone):
		return nil, &refusal{r.StatusCode, "the server says yes, but lists no binding of this phone: is it a registrar?"}
	}
	return seconds, nil
}
