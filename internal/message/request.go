// Package message reads SIP requests as a registrar needs them and writes the
// responses. sipgo splits a message into header fields; the grammar of those
// that a registrar reads is here, exact to RFC 3261 §25, linear in time and
// forgiving where phones need it. Sizes and counts are bounded before anything
// is parsed.
package message

import (
	"bytes"
	"net/netip"
	"strings"
	"sync"

	"sipregd/internal/sipuri"

	"github.com/emiago/sipgo/sip"
)

// Flow says by which way a message came in, and so where its answer goes.
type Flow struct {
	Transport string // "UDP", "TCP", "TLS", "WS" or "WSS"
	Source    netip.AddrPort
	Local     netip.AddrPort // the address that the message came to
	Stream    uint64         // the connection, nobody else's ever; 0: over UDP

	Certificate *Certificate // of the phone, one for all messages of a stream; nil: none
}

// Reliable tells whether the transport itself repeats what is lost.
func (f Flow) Reliable() bool { return f.Transport != "UDP" }

// Secure tells whether nobody on the way can read or change what it carries, as
// a sips: URI asks for (RFC 3261 §26.2.2).
func (f Flow) Secure() bool { return f.Transport == "TLS" || f.Transport == "WSS" }

// Request is a request as a registrar reads it. One that Parse gave back with
// an error holds just what an answer needs, as far as it could be read.
type Request struct {
	Flow   Flow
	Length int // bytes that came, those that are ignored too

	Method       string
	URI          sipuri.URI // the Request-URI
	URIText      string     // as it was written
	Vias         []Via      // the topmost first
	From         Address
	To           Address
	CallID       string
	CSeq         CSeq
	Contacts     Contacts
	Expires      Expires
	Digests      []Credentials // Authorization, without other schemes and what answers no challenge
	Require      []string
	Supported    Extensions
	Path         Path
	UserAgent    string
	Event        Event  // of a SUBSCRIBE alone, as are the next two
	Accept       string // its values with commas; empty: it says none
	RecordRoute  string // the proxies that want to see what follows, in order, with commas
	HasBody      bool
	BodyForgiven bool // Content-Disposition says handling=optional

	// AnswerTag is the tag that To gets in the answer where it has none yet, as TagText
	// writes it.
	AnswerTag uint64

	contactFields int          // header fields of that name, empty ones too
	copied        []headerText // of a request that did not parse: what an answer copies
	response      Response     // see Respond
	lastLine      string       // the last start-line that was plain
	lastStart     requestLine  // what it says
}

// reset makes room for another request where one was.
func (r *Request) reset(flow Flow, length int) {
	vias, contacts, digests, require := r.Vias[:0], r.Contacts.Values[:0], r.Digests[:0], r.Require[:0]
	own, lastLine, lastStart := r.response.own[:0], r.lastLine, r.lastStart
	*r = Request{}
	r.Flow, r.Length, r.Vias, r.Contacts.Values, r.Digests, r.Require = flow, length, vias, contacts, digests, require
	r.response.own, r.lastLine, r.lastStart = own, lastLine, lastStart
}

// Parser reads requests. It may be used by many goroutines at once.
type Parser struct {
	sip      *sip.Parser
	requests sync.Pool // of *Request that are used no more
}

// NewParser makes sipgo's parser read header fields by this package's grammar.
func NewParser() *Parser {
	return &Parser{
		sip:      sip.NewParser(sip.WithHeadersParsers(headerReaders())),
		requests: sync.Pool{New: func() any { return new(Request) }},
	}
}

// Release gives a request back, nil too. Neither it nor its response may be used
// any more.
func (p *Parser) Release(request *Request) {
	if request != nil {
		p.requests.Put(request)
	}
}

// Parse reads one message from a datagram, or one that Frame has cut from a
// stream. Line ends before it (RFC 3261 §7.5) and bytes behind Content-Length (§18.3)
// are ignored. The texts of the request are parts of data as a rule: they are good
// until data changes.
//
// ErrNotSIP and ErrResponse have no answer. An *Error has one: the request
// beside it then holds what could be read. Over UDP, where the source may be
// forged, what shows no way back is ErrNotSIP: an answer has more bytes than it.
func (p *Parser) Parse(data []byte, flow Flow) (*Request, error) {
	length := len(data)
	data = bytes.TrimLeft(data, "\r\n")
	request := p.requests.Get().(*Request)
	if request.reset(flow, length); request.parsePlain(data) {
		return request, nil
	}
	request.reset(flow, length)
	err := p.parseAny(request, data)
	if err == ErrNotSIP || err == ErrResponse {
		p.Release(request)
		return nil, err
	}
	return request, err
}

// parseAny reads a request in whatever form, with sipgo.
func (p *Parser) parseAny(request *Request, data []byte) error {
	line, err := parseStartLine(data)
	if err == ErrNotSIP || err == ErrResponse {
		return err
	}
	request.Method, request.URI, request.URIText = line.method, line.uri, line.text
	if err == nil {
		err = p.parse(request, data)
	}
	if err == nil {
		return nil
	}
	salvage(request, data)
	if !request.Flow.Reliable() && !(hasThreeParts(data) && request.showsWayBack()) {
		return ErrNotSIP
	}
	return err
}

func (p *Parser) parse(request *Request, data []byte) error {
	o, err := sketch(data)
	if err != nil {
		return err
	}
	if o.bodyAt == 0 {
		return malformed("No Empty Line Behind The Header Section")
	}
	if o.contentLength > len(data)-o.bodyAt {
		return malformed("Body Shorter Than Content-Length")
	}
	parsed, err := p.sip.ParseSIP(o.forSipgo(data))
	if _, ours := err.(*Error); ours {
		return err
	}
	if err != nil { // a line that is no header field
		return malformed("Malformed Header Field")
	}
	message := parsed.(*sip.Request)
	request.HasBody = o.contentLength > 0 || o.contentLength < 0 && !isPadding(data[o.bodyAt:])
	for _, header := range message.Headers() {
		if err := request.take(header); err != nil {
			return err
		}
	}
	return request.checkMandatory()
}

// take stores what a header field says. One that must stand once and stands
// twice is an error, never last-one-wins (RFC 3261 §7.3.1).
func (r *Request) take(header sip.Header) error {
	switch h := header.(type) {
	case field[[]Via]:
		return appendBounded(&r.Vias, h.value, "Via Values")
	case field[fromValue]:
		return once(&r.From, Address(h.value), r.From.text != "", "From")
	case field[toValue]:
		return once(&r.To, Address(h.value), r.To.text != "", "To")
	case field[callIDValue]:
		return once(&r.CallID, string(h.value), r.CallID != "", "Call-ID")
	case field[CSeq]:
		return once(&r.CSeq, h.value, r.CSeq.text != "", "CSeq")
	case field[Contacts]:
		return r.takeContacts(h.value)
	case field[expiresValue]:
		return once(&r.Expires, Expires(h.value), r.Expires.Present, "Expires")
	case field[Credentials]:
		return r.takeCredentials(h.value)
	case field[requireValue]:
		return appendBounded(&r.Require, h.value, "Option Tags")
	case field[supportedValue]:
		r.Supported |= extensionsOf(h.value)
		return nil
	case field[Path]:
		return r.takePath(h.value)
	case field[proxyRequireValue]:
		return nil // read for its grammar; a registrar is no proxy
	}
	return r.takeText(header.Name(), header.Value())
}

// takeText stores header fields that are no more than text here.
func (r *Request) takeText(name, value string) error {
	switch {
	case strings.IndexByte(value, 0) >= 0: // quotes open nothing here
		return malformed("Control Character In Header Section")
	case r.Method == "SUBSCRIBE" && isOfSubscription(name):
		return r.takeSubscription(name, value)
	case strings.EqualFold(name, "User-Agent"):
		r.UserAgent = value
	case strings.EqualFold(name, "Content-Disposition"):
		r.BodyForgiven = strings.Contains(strings.ToLower(strings.ReplaceAll(value, " ", "")), "handling=optional")
	}
	return nil
}

// takeContacts joins Contact header fields. "*" stands alone (§10.2.2), without
// an empty one too: what deletes is not guessed at.
func (r *Request) takeContacts(more Contacts) error {
	if r.contactFields++; r.contactFields > 1 && (r.Contacts.Star || more.Star) {
		return malformed("Contact * Beside Another Contact")
	}
	r.Contacts.Star = more.Star
	return appendBounded(&r.Contacts.Values, more.Values, "Contacts")
}

// takeAuthorization takes an Authorization header field.
func (r *Request) takeAuthorization(text string) error {
	c, err := parseCredentials(text)
	if err != nil {
		return err
	}
	return r.takeCredentials(c)
}

func (r *Request) takeCredentials(c Credentials) error {
	if !c.answersChallenge() {
		return nil
	}
	if len(r.Digests) == MaxListValues {
		return malformed("More Than 64 Authorization Header Fields")
	}
	r.Digests = append(r.Digests, c)
	return nil
}

func once[T any](place *T, value T, taken bool, name string) error {
	if taken {
		return malformed(name + " Given Twice")
	}
	*place = value
	return nil
}

func appendBounded[T any](list *[]T, more []T, what string) error {
	if len(*list)+len(more) > MaxListValues {
		return malformed("More Than 64 " + what)
	}
	*list = append(*list, more...)
	return nil
}

// checkMandatory names the first header field that every request has to have
// (§8.1.1) and this one has not, and compares the methods (§20.16). A missing
// Max-Forwards is forgiven: nothing is forwarded here.
func (r *Request) checkMandatory() error {
	if len(r.Vias) > 0 && r.From.text != "" && r.To.text != "" && r.CallID != "" && r.CSeq.text != "" && r.CSeq.Method == r.Method {
		return nil
	}
	mandatory := [...]struct {
		name  string
		there bool
	}{
		{"Via", len(r.Vias) > 0}, {"From", r.From.text != ""}, {"To", r.To.text != ""},
		{"Call-ID", r.CallID != ""}, {"CSeq", r.CSeq.text != ""},
	}
	for i := range mandatory {
		if header := &mandatory[i]; !header.there {
			return malformed("Missing " + header.name)
		}
	}
	if r.CSeq.Method != r.Method {
		return malformed("CSeq Method Differs From Request")
	}
	return nil
}
