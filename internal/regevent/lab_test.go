package regevent

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/peers/peerstest"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

var (
	begin   = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	aor     = sipuri.AOR{User: "2001"}
	here    = netip.MustParseAddrPort("192.0.2.1:5060")
	home    = netip.MustParseAddrPort("203.0.113.9:5060") // of who watches
	errGone = errors.New("no such flow")
)

// distant is a store that may be out of reach.
type distant struct {
	*location.Memory
	away bool
	near sipuri.AOR // which is not away even so
}

func (d *distant) Stale() bool { return d.away }

func (d *distant) StaleOf(aor sipuri.AOR) bool { return d.away && aor != d.near }

func (d *distant) Lookup(aor sipuri.AOR, now time.Time) ([]location.Binding, bool) {
	return d.Bindings(aor, now), d.away
}

const labPeers = `
[Kitchen]
authname = kitchen
secret = k
aorname = 2001

[Workshop]
authname = workshop
secret = w
aorname = 2002
`

// lab is a notifier with a clock, a network and a watcher that tests hold in their hands.
type lab struct {
	t testing.TB
	*Notifier
	registrar *registrar.Registrar
	layer     *transaction.Layer
	store     *distant
	now       time.Time
	sent      []notify
	answers   int    // what NOTIFYs are answered; 0: they are not
	says      string // of the answers: more header fields
	fails     error
	events    []journal.Event
	branch    int
}

// notify is a NOTIFY that was sent.
type notify struct {
	after time.Duration // since the beginning
	flow  message.Flow
	text  string
}

type setting func(*Options)

func permitting(networks ...string) setting {
	return func(o *Options) {
		for _, network := range networks {
			o.Permit = append(o.Permit, netip.MustParsePrefix(network))
		}
	}
}

func newLab(t testing.TB, settings ...setting) *lab {
	t.Helper()
	l := &lab{t: t, store: &distant{Memory: location.NewMemory(begin)}, now: begin, answers: 200}
	o := Options{
		Store: l.store, Journal: l, Send: l.send, Gone: errGone, Clock: l.clock,
		Random: rand.NewChaCha8([32]byte{1}), MaxSubscriptions: 100, PerAOR: 20, PerPeer: 20,
	}
	for _, set := range settings {
		set(&o)
	}
	l.Notifier = New(o)
	domains := peers.NewDomains(nil, "")
	l.registrar = registrar.New(registrar.Options{
		Domains: domains, Directory: l.load(labPeers), Location: l.store, Journal: l.Watching(l),
		Authenticator: digest.New([32]byte{1}, []digest.Algorithm{digest.MD5}, 300*time.Second),
		Here:          registrar.Here{Sockets: []registrar.Socket{{Transport: "udp", Address: here}}},
	})
	l.layer = transaction.NewLayer(l.Before(l.registrar, l.registrar), 1<<20).Answering(l.Clients())
	return l
}

func (l *lab) load(text string) *peers.Directory {
	l.t.Helper()
	return peerstest.Load(l.t, text, peers.Options{
		Domains: peers.NewDomains(nil, ""), Algorithms: []digest.Algorithm{digest.MD5}, MaxContacts: 2, RemoveExisting: true,
		MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 86400, QualifyFrequency: inifile.Auto, QualifyTimeout: 3,
	})
}

func (l *lab) clock() time.Time { return l.now }

func (l *lab) reload(text string) {
	l.registrar.Reload(l.load(text), l.clock)
	l.Reloaded()
}

func (l *lab) Record(e journal.Event) {
	e.AOR, e.Detail = e.AOR.Clone(), strings.Clone(e.Detail)
	l.events = append(l.events, e)
}

// send is the network. The watcher answers 20 ms later.
func (l *lab) send(flow message.Flow, data []byte) error {
	l.sent = append(l.sent, notify{l.now.Sub(begin), flow, string(data)})
	if l.fails == nil && l.answers > 0 {
		_, rest, _ := strings.Cut(string(data), "\r\n")
		head, _, _ := strings.Cut(rest, "Content-Type")
		answer := fmt.Sprintf("SIP/2.0 %d X\r\n%s%sContent-Length: 0\r\n\r\n", l.answers, head, l.says)
		l.layer.Receive(nil, []byte(answer), flow, l.now.Add(20*time.Millisecond))
	}
	return l.fails
}

// wait lets time go by in steps of a tick, and much of it in steps of a second.
func (l *lab) wait(long time.Duration) {
	for end := l.now.Add(long); l.now.Before(end); {
		step := tick
		if end.Sub(l.now) > 10*time.Second {
			step = time.Second
		}
		l.now = l.now.Add(step)
		l.store.Expire(l.now, l.registrar.Expired)
		l.Step(l.now)
	}
}

// take returns what was sent since it was last asked.
func (l *lab) take() []notify {
	sent := l.sent
	l.sent = nil
	return sent
}

// takeOne returns the only NOTIFY of that time.
func (l *lab) takeOne() notify {
	l.t.Helper()
	sent := l.take()
	if len(sent) != 1 {
		l.t.Fatalf("%d NOTIFYs: %+v", len(sent), sent)
	}
	return sent[0]
}

// told returns the kinds and reasons of events of subscriptions.
func (l *lab) told() (list []string) {
	for _, e := range l.events {
		if e.Kind == journal.Subscribed || e.Kind == journal.Unsubscribed {
			list = append(list, strings.TrimSpace(fmt.Sprintf("%v %v", e.Kind, e.Reason)))
		}
	}
	return list
}

var fields = regexp.MustCompile(`(?m)^([A-Za-z-]+): (.*)\r$`)

// field returns the value of a header field, empty for none.
func field(text, name string) string {
	for _, found := range fields.FindAllStringSubmatch(text, -1) {
		if strings.EqualFold(found[1], name) {
			return found[2]
		}
	}
	return ""
}

func (n *notify) field(name string) string { return field(n.text, name) }

// document reads what a NOTIFY holds, strictly: nothing may stand in it that is not known.
func (n *notify) document(t testing.TB) document {
	t.Helper()
	_, body, _ := strings.Cut(n.text, "\r\n\r\n")
	if got := n.field("Content-Length"); got != fmt.Sprint(len(body)) {
		t.Errorf("Content-Length is %s, and the body has %d bytes", got, len(body))
	}
	checkSchema(t, body)
	var d document
	if err := xml.Unmarshal([]byte(body), &d); err != nil {
		t.Fatalf("%v:\n%s", err, body)
	}
	return d
}

// said returns what a NOTIFY says of bindings, in short.
func (n *notify) said(t testing.TB) string {
	t.Helper()
	d := n.document(t)
	text := fmt.Sprintf("%d %s %s", d.Version, d.State, d.Registration.State)
	for _, c := range d.Registration.Contacts {
		text += fmt.Sprintf(", %s %s %s", c.URI, c.State, c.Event)
	}
	return text
}

// subscriber is who subscribes, as SIP has it.
type subscriber struct {
	*lab
	authname, secret string // empty: it has none
	to               string
	callID           string
	tag              string // of To, in the dialog
	target           string // Request-URI
	contact          string
	event            string
	cseq             int
	flow             message.Flow
	realm, nonce     string
	nc               int
}

func (l *lab) subscriber(authname, secret, user string) *subscriber {
	l.branch++
	return &subscriber{
		lab: l, authname: authname, secret: secret, to: "sip:" + user + "@example.com", callID: fmt.Sprintf("call-%d", l.branch),
		contact: "<sip:watcher@203.0.113.9:5060>", event: "reg", flow: message.Flow{Transport: "UDP", Source: home, Local: here},
	}
}

func (l *lab) kitchen() *subscriber { return l.subscriber("kitchen", "k", "2001") }

// text returns a SUBSCRIBE, without credentials as a rule.
func (s *subscriber) text(lines ...string) string {
	s.cseq++
	s.branch++
	target, tag := s.to, ""
	if s.tag != "" {
		target, tag = s.target, ";tag="+s.tag
	}
	all := []string{
		"SUBSCRIBE " + target + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s 203.0.113.9:5060;branch=z9hG4bK-%d;rport", s.flow.Transport, s.branch),
		"From: <" + s.to + ">;tag=from-" + s.callID,
		"To: <" + s.to + ">" + tag,
		"Call-ID: " + s.callID,
		fmt.Sprintf("CSeq: %d SUBSCRIBE", s.cseq),
		"Max-Forwards: 70", "User-Agent: Watcher of registrations/1.0", "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, MESSAGE",
		"Supported: replaces, path, gruu, outbound, eventlist",
	}
	if s.event != "" {
		all = append(all, "Event: "+s.event)
	}
	if s.contact != "" {
		all = append(all, "Contact: "+s.contact)
	}
	return strings.Join(append(all, lines...), "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

func (s *subscriber) receive(text string) string {
	return string(s.layer.Receive(nil, []byte(text), s.flow, s.now).Data)
}

// subscribe sends a SUBSCRIBE, with credentials if it has some, and returns the answer.
func (s *subscriber) subscribe(lines ...string) string {
	answer := s.receive(s.text(lines...))
	if strings.HasPrefix(answer, "SIP/2.0 401 ") && s.authname != "" {
		s.realm = regexp.MustCompile(`realm="([^"]*)"`).FindStringSubmatch(answer)[1]
		s.nonce, s.nc = regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(answer)[1], 0
		answer = s.receive(s.text(append(lines, s.authorization())...))
	}
	return answer
}

func (s *subscriber) authorization() string {
	s.nc++
	h := func(text string) string {
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	uri := s.to
	if s.tag != "" {
		uri = s.target
	}
	a1, a2, nc := h(s.authname+":"+s.realm+":"+s.secret), h("SUBSCRIBE:"+uri), fmt.Sprintf("%08x", s.nc)
	response := h(strings.Join([]string{a1, s.nonce, nc, "c", "auth", a2}, ":"))
	return fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=%s, cnonce="c"`,
		s.authname, s.realm, s.nonce, uri, response, nc)
}

// begin subscribes, which has to be granted, and goes on within the dialog.
func (s *subscriber) begin(lines ...string) string {
	s.t.Helper()
	answer := s.subscribe(lines...)
	wantStatus(s.t, answer, 200)
	_, s.tag, _ = strings.Cut(field(answer, "To"), ";tag=")
	s.target = strings.Trim(field(answer, "Contact"), "<>")
	return answer
}

func wantStatus(t testing.TB, answer string, status int) {
	t.Helper()
	if !strings.HasPrefix(answer, fmt.Sprintf("SIP/2.0 %d ", status)) {
		t.Errorf("want %d, got:\n%s", status, answer)
	}
}

// register has a phone of the kitchen register a Contact.
func (l *lab) register(contact string, lines ...string) {
	l.t.Helper()
	l.registerAs("kitchen", "k", "2001", "phone", contact, lines...)
}

func (l *lab) registerAs(authname, secret, user, callID, contact string, lines ...string) {
	l.t.Helper()
	phone := netip.MustParseAddrPort("198.51.100.7:5060")
	h := func(text string) string {
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	credentials := ""
	for range 2 {
		l.branch++
		text := strings.Join(append([]string{
			"REGISTER sip:example.com SIP/2.0",
			fmt.Sprintf("Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-r%d", l.branch),
			"From: <sip:" + user + "@example.com>;tag=r", "To: <sip:" + user + "@example.com>", "Call-ID: " + callID,
			fmt.Sprintf("CSeq: %d REGISTER", l.branch), "Contact: " + contact,
		}, lines...), "\r\n") + "\r\n" + credentials + "Content-Length: 0\r\n\r\n"
		answer := string(l.layer.Receive(nil, []byte(text), message.Flow{Transport: "UDP", Source: phone, Local: here}, l.now).Data)
		found := regexp.MustCompile(`realm="([^"]*)", nonce="([^"]*)"`).FindStringSubmatch(answer)
		if found == nil {
			wantStatus(l.t, answer, 200)
			return
		}
		response := h(strings.Join([]string{h(authname + ":" + found[1] + ":" + secret), found[2], "00000001", "c", "auth", h("REGISTER:sip:example.com")}, ":"))
		credentials = fmt.Sprintf("Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"sip:example.com\", response=\"%s\", qop=auth, nc=00000001, cnonce=\"c\"\r\n",
			authname, found[1], found[2], response)
	}
	l.t.Fatal("not registered")
}

const (
	phoneA = "<sip:a@198.51.100.7>"
	phoneB = "<sip:b@198.51.100.7>"
)

// schema is what RFC 3680 §5.4 says of the documents: of each element its attributes, with
// an exclamation mark those that have to be there, and what may stand in it, in order.
var schema = map[string]struct {
	attributes map[string]string // each with the values that it may have, as a regular expression
	children   []string
}{
	"reginfo":      {map[string]string{"xmlns": "urn:ietf:params:xml:ns:reginfo", "version!": `\d+`, "state!": "full|partial"}, []string{"registration"}},
	"registration": {map[string]string{"aor!": "sips?:.+", "id!": ".+", "state!": "init|active|terminated"}, []string{"contact"}},
	"contact": {map[string]string{
		"id!": ".+", "state!": "active|terminated", "expires": `\d+`, "retry-after": `\d+`, "q": `[01]?(\.\d{0,3})?`, "callid": ".+", "cseq": `\d+`,
		"event!":              "registered|created|refreshed|shortened|expired|deactivated|probation|unregistered|rejected",
		"duration-registered": `\d+`,
	}, []string{"uri", "display-name", "unknown-param"}},
	"uri":           {nil, nil},
	"unknown-param": {map[string]string{"name!": ".+"}, nil},
}

func checkSchema(t testing.TB, body string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(body))
	type open struct {
		name  string
		child int // the place of the last one
	}
	stack := []open{{"", 0}}
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, body)
		}
		switch token := token.(type) {
		case xml.StartElement:
			rule, known := schema[token.Name.Local]
			if !known || token.Name.Space != "urn:ietf:params:xml:ns:reginfo" {
				t.Fatalf("unknown element %v:\n%s", token.Name, body)
			}
			parent := &stack[len(stack)-1]
			if parent.name != "" {
				at := strings.Index(strings.Join(schema[parent.name].children, " "), token.Name.Local)
				if at < parent.child {
					t.Errorf("%s stands in %s, or not there:\n%s", token.Name.Local, parent.name, body)
				}
				parent.child = at
			}
			checkAttributes(t, token, rule.attributes)
			stack = append(stack, open{token.Name.Local, 0})
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

func checkAttributes(t testing.TB, element xml.StartElement, rules map[string]string) {
	t.Helper()
	given := map[string]bool{}
	for _, attribute := range element.Attr {
		name := attribute.Name.Local
		pattern, known := rules[name]
		if !known {
			pattern, known = rules[name+"!"]
		}
		if given[name] = true; !known || !regexp.MustCompile("^("+pattern+")$").MatchString(attribute.Value) {
			t.Errorf("%s %s=%q", element.Name.Local, name, attribute.Value)
		}
	}
	for name := range rules {
		if required, is := strings.CutSuffix(name, "!"); is && !given[required] {
			t.Errorf("%s has no %s", element.Name.Local, required)
		}
	}
}
