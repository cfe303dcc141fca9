package registrar_test

import (
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/peers/peerstest"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

// lab is a registrar behind its transaction layer, with a clock that the test
// moves and a journal that the test reads. Messages go in and out as bytes.
type lab struct {
	t         testing.TB
	layer     *transaction.Layer
	registrar *registrar.Registrar
	store     *location.Memory
	options   peers.Options
	now       time.Time
	transport string // that messages come by
	stream    uint64 // the connection that they come on, 0: none
	source    netip.AddrPort
	// certificate is what the stream that messages come by has shown, if anything.
	certificate *message.Certificate
	events      []journal.Event
	// beforeUpdate, where it is set, happens once a request has been
	// authorized and before its bindings are changed.
	beforeUpdate func()
	walks        int   // through all bindings
	updateFails  error // what the store returns instead of changing anything
	branch       int
}

// setting changes what a lab is made of.
type setting func(*setup)

type setup struct {
	peers   string
	domains []string
	realm   string

	serviceRoute string
	algorithms   []digest.Algorithm
	journal      journal.Journal // nil: the lab itself
	here         registrar.Here
	store        *location.Memory // nil: an empty one

	others  registrar.Others
	shorten func(time.Time) float64

	retryAfter func() int
	// wrap returns what the registrar uses instead of the store, if anything.
	wrap func(interrupted) registrar.Location

	authenticator *digest.Authenticator // nil: one of its own
}

func withStore(store *location.Memory) setting { return func(s *setup) { s.store = store } }
func withHere(here registrar.Here) setting     { return func(s *setup) { s.here = here } }
func withServiceRoute(text string) setting     { return func(s *setup) { s.serviceRoute = text } }
func withJournal(j journal.Journal) setting    { return func(s *setup) { s.journal = j } }
func withDomains(names ...string) setting      { return func(s *setup) { s.domains = names } }
func withRealm(realm string) setting           { return func(s *setup) { s.realm = realm } }
func withPeers(text string) setting            { return func(s *setup) { s.peers = text } }
func withAlgorithms(list ...digest.Algorithm) setting {
	return func(s *setup) { s.algorithms = list }
}

// Three names that have nothing to do with each other, and a second peer.
const labPeers = `
[Kitchen, 1st floor]
authname = 7f3a9c
secret = any;text#at all
aorname = 2001

[Workshop]
authname = workshop
secret = w
aorname = 2001, 2002
`

func newLab(t testing.TB, settings ...setting) *lab {
	t.Helper()
	s := setup{peers: labPeers, algorithms: []digest.Algorithm{digest.MD5}}
	for _, set := range settings {
		set(&s)
	}
	l := &lab{t: t, transport: "UDP", now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), store: location.NewMemory(time.Now()),
		source: netip.MustParseAddrPort("192.0.2.7:5060")}
	if s.store != nil {
		l.store = s.store
	}
	domains := peers.NewDomains(s.domains, s.realm)
	l.options = peers.Options{
		Domains: domains, Algorithms: s.algorithms, MaxContacts: 10, RemoveExisting: true,
		MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 7200,
		ClientCertificates: true,
	}
	if s.authenticator == nil {
		s.authenticator = digest.New([32]byte{1}, s.algorithms, 300*time.Second)
	}
	if s.journal == nil {
		s.journal = l
	}
	var bindings registrar.Location = interrupted{l.store, l}
	if s.wrap != nil {
		bindings = s.wrap(interrupted{l.store, l})
	}
	l.registrar = registrar.New(registrar.Options{
		Domains: domains, Directory: l.load(s.peers), Authenticator: s.authenticator,
		Location: bindings, Journal: s.journal, Others: s.others, Shorten: s.shorten, RetryAfter: s.retryAfter,
		DisconnectGrace: 32 * time.Second, ServiceRoute: s.serviceRoute, FlowTimer: 120, GRUUKey: [32]byte{2}, Here: s.here,
	})
	l.layer = transaction.NewLayer(l.registrar, 64<<20)
	return l
}

// interrupted is a store before which something else may happen.
type interrupted struct {
	*location.Memory
	lab *lab
}

func (i interrupted) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	i.lab.walks++
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		for range 2 { // as Redis may yield AORs
			for aor, bindings := range i.Memory.All() {
				if !yield(aor, bindings) {
					return
				}
			}
		}
	}
}

func (i interrupted) Update(aor sipuri.AOR, now time.Time, change func([]location.Binding) ([]location.Binding, error),
	made func(expired []location.Binding)) error {
	if first := i.lab.beforeUpdate; first != nil {
		i.lab.beforeUpdate = nil
		first()
	}
	if i.lab.updateFails != nil {
		return i.lab.updateFails
	}
	var texts []byte
	defer func() { overwrite(texts) }()
	return i.Memory.Update(aor, now, func(current []location.Binding) ([]location.Binding, error) {
		i.lab.runInVain(change, current)
		current, texts = lend(current)
		return change(current)
	}, made)
}

// runInVain has a change worked out from what another node was quicker to change: from
// nothing, and from what is there no more.
func (l *lab) runInVain(change func([]location.Binding) ([]location.Binding, error), current []location.Binding) {
	other := location.Binding{ID: 1, Contact: "sip:other@192.0.2.99", Authname: "other", CallID: "other", Expires: l.now.Add(time.Hour), Changed: l.now}
	for _, seen := range [][]location.Binding{nil, append(slices.Clone(current), other)} {
		_, _ = change(seen)
	}
}

// lend returns bindings whose texts stand in a place that can be overwritten.
func lend(bindings []location.Binding) (lent []location.Binding, texts []byte) {
	lent, texts = slices.Clone(bindings), make([]byte, 0, 1<<16)
	for i := range lent {
		b := &lent[i]
		for _, text := range [...]*string{
			&b.Contact, &b.Params, &b.Q, &b.CallID, &b.Domain, &b.Authname, &b.Label, &b.UserAgent, &b.Transport, &b.Path, &b.Node,
		} {
			at := len(texts)
			texts = append(texts, *text...)
			*text = unsafe.String(unsafe.SliceData(texts[at:]), len(*text))
		}
	}
	return lent, texts
}

// overwrite does what becomes of memory that is used again.
func overwrite(texts []byte) {
	for i := range texts {
		texts[i] = '#'
	}
}

// Record makes the lab the registrar's journal. The texts of an event are good until
// it returns.
func (l *lab) Record(e journal.Event) {
	for _, text := range [...]*string{
		&e.Transport, &e.Authname, &e.Label, &e.AOR.User, &e.AOR.Domain, &e.Contact, &e.UserAgent, &e.CallID, &e.Detail,
	} {
		*text = strings.Clone(*text)
	}
	l.events = append(l.events, e)
}

func (l *lab) load(text string) *peers.Directory {
	l.t.Helper()
	return peerstest.Load(l.t, text, l.options)
}

func (l *lab) reload(text string) {
	l.registrar.Reload(l.load(text), func() time.Time { return l.now })
}

func (l *lab) pass(d time.Duration) { l.now = l.now.Add(d) }

// send passes a message in and returns what comes out, nil for silence.
func (l *lab) send(text string) *response {
	l.t.Helper()
	return l.sendFrom(l.source, text)
}

func (l *lab) sendFrom(source netip.AddrPort, text string) *response {
	l.t.Helper()
	data := l.receiveFrom(source, text)
	if len(data) == 0 {
		return nil
	}
	return parseResponse(l.t, string(data))
}

func (l *lab) receive(text string) []byte {
	return l.receiveFrom(l.source, text)
}

func (l *lab) receiveFrom(source netip.AddrPort, text string) []byte {
	flow := message.Flow{Transport: l.transport, Source: source, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Stream: l.stream, Certificate: l.certificate}
	data := []byte(text)
	answer := l.layer.Receive(nil, data, flow, l.now).Data
	overwrite(data) // the next message comes in the same place
	return answer
}

// lastEvent returns the newest entry of the journal.
func (l *lab) lastEvent() journal.Event {
	l.t.Helper()
	if len(l.events) == 0 {
		l.t.Fatal("nothing was taken down")
	}
	return l.events[len(l.events)-1]
}

// response is a response as a phone reads it.
type response struct {
	t       testing.TB
	text    string
	status  int
	reason  string
	headers [][2]string
}

func parseResponse(t testing.TB, text string) *response {
	t.Helper()
	head, body, found := strings.Cut(text, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	parts := strings.SplitN(lines[0], " ", 3)
	if !found || body != "" || len(parts) != 3 || parts[0] != "SIP/2.0" {
		t.Fatalf("no response: %q", text)
	}
	status, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatalf("no status: %q", text)
	}
	r := &response{t: t, text: text, status: status, reason: parts[2]}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("no header field: %q", line)
		}
		r.headers = append(r.headers, [2]string{name, value})
	}
	return r
}

// all returns the values of a header field.
func (r *response) all(name string) []string {
	var values []string
	for _, header := range r.headers {
		if header[0] == name {
			values = append(values, header[1])
		}
	}
	return values
}

// one returns the value of a header field that has to stand once.
func (r *response) one(name string) string {
	r.t.Helper()
	values := r.all(name)
	if len(values) != 1 {
		r.t.Fatalf("%d times %s in\n%s", len(values), name, r.text)
	}
	return values[0]
}

// want checks the status.
func (r *response) want(status int) *response {
	r.t.Helper()
	if r == nil {
		panic("no response where one has to come")
	}
	if r.status != status {
		r.t.Fatalf("got %d %s, want %d", r.status, r.reason, status)
	}
	return r
}

// wantContacts checks the list of bindings, in order; each is "URI expires".
func (r *response) wantContacts(want ...string) *response {
	r.t.Helper()
	var got []string
	for _, value := range r.all("Contact") {
		parts := contactPattern.FindStringSubmatch(value)
		if parts == nil {
			r.t.Fatalf("no Contact with an expiry: %s", value)
		}
		got = append(got, parts[1]+" "+parts[2])
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Fatalf("Contacts %q, want %q", got, want)
	}
	return r
}

var contactPattern = regexp.MustCompile(`^<([^>]+)>.*;expires=(\d+)`)

// challenge returns a parameter of the (first) challenge.
func (r *response) challenge(name string) string {
	r.t.Helper()
	value := r.all("WWW-Authenticate")
	if len(value) == 0 {
		r.t.Fatalf("no challenge in\n%s", r.text)
	}
	parts := regexp.MustCompile(`[ ,]` + name + `="?([^",]*)`).FindStringSubmatch(value[0])
	if parts == nil {
		return ""
	}
	return parts[1]
}

// phone sends REGISTERs as a phone would.
type phone struct {
	lab            *lab
	authname       string
	secret         string
	to             string // address-of-record
	from           string // empty: as to
	scheme, domain string // of the Request-URI
	digestURI      string // empty: the Request-URI
	callID         string
	cseq           int
	nonce          string
	realm          string
	nc             int
	noQOP          bool
	algorithm      string // empty: MD5, and not said
	method         string // empty: REGISTER
}

func (l *lab) phone(authname, secret, aor string) *phone {
	l.branch++
	return &phone{lab: l, authname: authname, secret: secret, to: "sip:" + aor + "@registrar.example",
		scheme: "sip", domain: "registrar.example", callID: fmt.Sprintf("call-%d", l.branch), realm: "sipregd"}
}

func (l *lab) kitchen() *phone { return l.phone("7f3a9c", "any;text#at all", "2001") }

// register does what a phone does: it asks, is challenged, and answers. The
// answer to its second request is returned.
func (p *phone) register(lines ...string) *response {
	p.lab.t.Helper()
	p.challenge()
	return p.authenticated(lines...)
}

func (p *phone) challenge() *response {
	p.lab.t.Helper()
	first := p.lab.send(p.request()).want(401)
	p.nonce, p.realm, p.nc = first.challenge("nonce"), first.challenge("realm"), 0
	return first
}

// authenticated sends a request with credentials over the last nonce.
func (p *phone) authenticated(lines ...string) *response {
	p.lab.t.Helper()
	p.nc++
	return p.lab.send(p.request(append([]string{p.authorization()}, lines...)...))
}

// request writes a REGISTER with those header lines and the next CSeq.
func (p *phone) request(lines ...string) string {
	p.cseq++
	p.lab.branch++
	from := p.from
	if from == "" {
		from = p.to
	}
	head := []string{
		p.methodOr() + " " + p.scheme + ":" + p.domain + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-%d;rport", p.lab.branch),
		"From: <" + from + ">;tag=f-" + p.callID,
		"To: <" + p.to + ">",
		"Call-ID: " + p.callID,
		fmt.Sprintf("CSeq: %d %s", p.cseq, p.methodOr()),
		"Max-Forwards: 70",
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

func (p *phone) methodOr() string { return cmp.Or(p.method, "REGISTER") }

// authorization computes the digest by RFC 7616 §3.4.1, in a way of its own.
func (p *phone) authorization() string {
	uri := p.digestURI
	if uri == "" {
		uri = p.scheme + ":" + p.domain
	}
	h := func(text string) string {
		if p.algorithm == "SHA-256" {
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	a1 := h(p.authname + ":" + p.realm + ":" + p.secret)
	a2 := h(p.methodOr() + ":" + uri)
	fields := fmt.Sprintf(`username="%s", realm="%s", nonce="%s", uri="%s"`, p.authname, p.realm, p.nonce, uri)
	if p.algorithm != "" {
		fields += ", algorithm=" + p.algorithm
	}
	if p.noQOP {
		return fmt.Sprintf(`Authorization: Digest %s, response="%s"`, fields, h(a1+":"+p.nonce+":"+a2))
	}
	nc := fmt.Sprintf("%08x", p.nc)
	response := h(strings.Join([]string{a1, p.nonce, nc, "c0ffee", "auth", a2}, ":"))
	return fmt.Sprintf(`Authorization: Digest %s, response="%s", qop=auth, nc=%s, cnonce="c0ffee"`, fields, response, nc)
}
