package regevent

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// §4.2.1 of RFC 6665, and §4 of RFC 3680.
func TestSubscribe(t *testing.T) {
	for _, test := range []struct {
		name   string
		alter  func(s *subscriber)
		lines  []string
		status int
		field  string // of the answer
		want   string
	}{
		{"granted", nil, nil, 200, "Expires", "3761"},
		{"for some time", nil, []string{"Expires: 600"}, 200, "Expires", "600"},
		{"for too long", nil, []string{"Expires: 600000"}, 200, "Expires", "7200"},
		{"for too short", nil, []string{"Expires: 59"}, 423, "Min-Expires", "60"},
		{"malformed time", nil, []string{"Expires: soon"}, 200, "Expires", "3761"},
		{"once", nil, []string{"Expires: 0"}, 200, "Expires", "0"},
		{"a Contact to subscribe anew to", nil, nil, 200, "Contact", "<sip:192.0.2.1:5060>"},
		{"routes are copied", nil, []string{"Record-Route: <sip:203.0.113.2;lr>", "Record-Route: <sip:203.0.113.3;lr>"}, 200,
			"Record-Route", "<sip:203.0.113.2;lr>, <sip:203.0.113.3;lr>"},
		{"the documents are wanted", nil, []string{"Accept: text/plain, Application/Reginfo+XML;q=0.5"}, 200, "", ""},
		{"all is wanted", nil, []string{"Accept: */*"}, 200, "", ""},
		{"others are wanted", nil, []string{"Accept: application/pidf+xml"}, 406, "Accept", "application/reginfo+xml"},
		{"another package", func(s *subscriber) { s.event = "presence" }, nil, 489, "Allow-Events", "reg"},
		{"a package that begins so", func(s *subscriber) { s.event = "reg.winfo" }, nil, 489, "Allow-Events", "reg"},
		{"no package", func(s *subscriber) { s.event = "" }, nil, 489, "Allow-Events", "reg"},
		{"malformed package", func(s *subscriber) { s.event = "reg;id=" }, nil, 400, "", ""},
		{"the short name", func(s *subscriber) { s.event = "" }, []string{"o: reg;id=7"}, 200, "", ""},
		{"an extension", nil, []string{"Require: eventlist"}, 420, "Unsupported", "eventlist"},
		{"no Contact", func(s *subscriber) { s.contact = "" }, nil, 400, "", ""},
		{"two Contacts", func(s *subscriber) { s.contact = "<sip:a@203.0.113.9>, <sip:b@203.0.113.9>" }, nil, 400, "", ""},
		{"a star", func(s *subscriber) { s.contact = "*" }, nil, 400, "", ""},
		{"another scheme", func(s *subscriber) { s.contact = "<tel:+15550100>" }, nil, 400, "", ""},
		{"a Contact that leads here", func(s *subscriber) { s.contact = "<sip:a@192.0.2.1>" }, nil, 403, "", ""},
		{"a Contact of loopback", func(s *subscriber) { s.contact = "<sip:a@127.0.0.1>" }, nil, 403, "", ""},
		{"a secure address, by a way that is not", func(s *subscriber) { s.to = "sips:2001@example.com" }, nil, 403, "", ""},
		{"a secure Contact, by a way that is not", func(s *subscriber) { s.contact = "<sips:a@203.0.113.9>" }, nil, 403, "", ""},
		{"a route of many", nil, []string{"Record-Route: <sip:224.0.0.1;lr>"}, 403, "", ""},
		{"a malformed route", nil, []string{"Record-Route: <sip:203.0.113.2;lr"}, 400, "", ""},
		{"another's address", func(s *subscriber) { s.to = "sip:2002@example.com" }, nil, 403, "", ""},
		{"nobody's address", func(s *subscriber) { s.to = "sip:nobody@example.com" }, nil, 403, "", ""},
		{"a wrong secret", func(s *subscriber) { s.secret = "x" }, nil, 401, "", ""},
		{"no credentials", func(s *subscriber) { s.authname = "" }, nil, 401, "", ""},
		{"no credentials, for nobody's address", func(s *subscriber) { s.authname, s.to = "", "sip:nobody@example.com" }, nil, 401, "", ""},
		{"a dialog of nobody", func(s *subscriber) { s.tag, s.target = "x", "sip:192.0.2.1" }, nil, 481, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			s := l.kitchen()
			if test.alter != nil {
				test.alter(s)
			}
			answer := s.subscribe(test.lines...)
			wantStatus(t, answer, test.status)
			if got := field(answer, test.field); got != test.want {
				t.Errorf("%s is %q", test.field, got)
			}
			l.wait(time.Second)
			if sent := len(l.sent); sent != 0 != (test.status == 200) {
				t.Errorf("%d NOTIFYs", sent)
			}
		})
	}
}

// A dialog that began with a sips: URI is by such URIs alone (RFC 3261 §12.1.1).
func TestSecureDialogs(t *testing.T) {
	const secure, open = "<sips:192.0.2.1:5060>", "<sip:192.0.2.1:5060;transport=tls>"
	for _, test := range []struct {
		name, transport, to, contact, route string
		want                                string
	}{
		{"a secure address", "TLS", "sips:2001@example.com", "<sip:w@203.0.113.9>", "", secure},
		{"a secure Contact", "TLS", "sip:2001@example.com", "<sips:w@203.0.113.9>", "", secure},
		{"a secure route", "TLS", "sip:2001@example.com", "<sip:w@203.0.113.9>", "<sips:203.0.113.2;lr>", secure},
		{"a secure Contact behind a route that is not", "TLS", "sip:2001@example.com", "<sips:w@203.0.113.9>",
			"<sip:203.0.113.2;lr>, <sips:203.0.113.3;lr>", open},
		{"nothing secure", "TLS", "sip:2001@example.com", "<sip:w@203.0.113.9>", "", open},
		{"by WebSocket", "WSS", "sips:2001@example.com", "<sips:w@203.0.113.9>", "", "<sips:192.0.2.1:5060;transport=ws>"},
		{"by what ends TLS before it", "TCP", "sip:2001@example.com", "<sip:w@203.0.113.9>", "<sips:203.0.113.2;lr>", "<sips:192.0.2.1:5060;transport=tcp>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			s := l.kitchen()
			s.flow.Transport, s.flow.Stream, s.to, s.contact = test.transport, 7, test.to, test.contact
			var lines []string
			if test.route != "" {
				lines = append(lines, "Record-Route: "+test.route)
			}
			if got := field(s.begin(lines...), "Contact"); got != test.want {
				t.Errorf("subscribed: %s", got)
			}
			l.wait(time.Second)
			if n := l.takeOne(); n.field("Contact") != test.want {
				t.Errorf("told: %s", n.field("Contact"))
			}
			s.contact = "<sip:w@203.0.113.9>"
			if got := field(s.subscribe(), "Contact"); got != test.want {
				t.Errorf("refreshed: %s", got)
			}
			l.wait(time.Second)
			if n := l.takeOne(); n.field("Contact") != test.want {
				t.Errorf("told then: %s", n.field("Contact"))
			}
		})
	}
}

// A PBX or a proxy whose network is permitted watches all without credentials.
func TestPermittedNetworks(t *testing.T) {
	for _, test := range []struct {
		name, network string
		status        int
	}{
		{"permitted", "203.0.113.0/24", 200},
		{"another", "192.0.2.0/24", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, permitting(test.network))
			for _, user := range []string{"2001", "2002"} {
				wantStatus(t, l.subscriber("", "", user).subscribe(), test.status)
			}
		})
	}
}

// A request that comes again, as its answer was lost, makes no other subscription, and no
// other NOTIFY.
func TestRetransmissions(t *testing.T) {
	for _, network := range []string{"203.0.113.0/24", "192.0.2.0/24"} { // without credentials, and with
		l := newLab(t, permitting(network))
		s := l.kitchen()
		s.begin()
		s.tag, s.cseq, s.branch = "", s.cseq-1, s.branch-1
		text := s.text()
		if s.nonce != "" {
			s.cseq, s.branch, s.nc = s.cseq-1, s.branch-1, 0
			text = s.text(s.authorization())
		}
		wantStatus(t, s.receive(text), 200)
		l.wait(time.Second)
		if n := l.Counts(); n.Subscriptions != 1 || n.Notified != 1 {
			t.Errorf("got %+v", n)
		}
	}
}

func TestRefresh(t *testing.T) {
	l := newLab(t)
	s := l.kitchen()
	s.begin("Expires: 600")
	l.wait(300 * time.Second)
	l.take()

	answer := s.subscribe("Expires: 700")
	wantStatus(t, answer, 200)
	if _, tag, _ := strings.Cut(field(answer, "To"), ";tag="); tag != s.tag {
		t.Errorf("the tag is %q, and was %q", tag, s.tag)
	}
	l.wait(time.Second)
	if n := l.takeOne(); n.field("CSeq") != "2 NOTIFY" || n.said(t) != "1 full init" || n.field("Subscription-State") != "active;expires=700" {
		t.Errorf("got:\n%s", n.text)
	}
	l.wait(690 * time.Second)
	if sent := l.take(); len(sent) > 0 {
		t.Errorf("sent %+v", sent)
	}
	l.wait(20 * time.Second)
	if n := l.takeOne(); n.field("Subscription-State") != "terminated;reason=timeout" {
		t.Errorf("got:\n%s", n.text)
	}
	if l.Counts().Subscriptions != 0 {
		t.Error("it is still there")
	}
	wantStatus(t, s.subscribe(), 481)
}

// §12.2.2: what is older than another request of the dialog is not carried out.
func TestOldRequests(t *testing.T) {
	l := newLab(t, permitting("203.0.113.0/24"))
	s := l.kitchen()
	s.cseq = 10
	s.begin()
	s.cseq -= 2
	answer := s.subscribe("Expires: 0")
	wantStatus(t, answer, 500)
	if field(answer, "Retry-After") == "" {
		t.Error("no Retry-After")
	}
	l.wait(time.Second)
	if n := l.takeOne(); !strings.HasPrefix(n.field("Subscription-State"), "active") {
		t.Errorf("got:\n%s", n.text)
	}
}

func TestUnsubscribe(t *testing.T) {
	l := newLab(t)
	s := l.kitchen()
	s.begin()
	l.wait(time.Second)
	l.take()
	s.contact = "" // which stays what it is
	wantStatus(t, s.subscribe("Expires: 0"), 200)
	l.wait(time.Second)
	if n := l.takeOne(); n.field("Subscription-State") != "terminated;reason=timeout" || n.said(t) != "1 full init" {
		t.Errorf("got:\n%s", n.text)
	}
	if n := l.Counts(); n.Subscriptions != 0 || l.changes.watched.Load() != 0 {
		t.Errorf("got %+v", n)
	}
	l.register(phoneA)
	if l.wait(time.Minute); len(l.sent) > 0 {
		t.Errorf("sent %+v", l.sent)
	}
	if got := strings.Join(l.told(), ", "); got != "subscribed, unsubscribed" {
		t.Errorf("told %s", got)
	}
}

// Another's dialog is nobody's business, even for who watches the same.
func TestOthersDialogs(t *testing.T) {
	l := newLab(t, permitting("203.0.113.77/32"))
	s := l.kitchen()
	s.begin()
	s.authname, s.secret = "workshop", "w"
	wantStatus(t, s.subscribe("Expires: 0"), 403)
	s.flow.Source = netip.MustParseAddrPort("203.0.113.77:5060")
	wantStatus(t, s.subscribe("Expires: 0"), 403)
	s.authname, s.secret, s.flow.Source, s.event = "kitchen", "k", home, "reg;id=2"
	wantStatus(t, s.subscribe("Expires: 0"), 403)
	l.wait(time.Second)
	if n := l.takeOne(); !strings.HasPrefix(n.field("Subscription-State"), "active") {
		t.Errorf("got:\n%s", n.text)
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name    string
		setting setting
		users   []string
		detail  string
	}{
		{"in all", func(o *Options) { o.MaxSubscriptions = 2 }, []string{"2001", "2002", "2001"}, "max_subscriptions is 2"},
		{"of an address", func(o *Options) { o.PerAOR = 2 }, []string{"2001", "2001", "2001"}, "subscriptions_per_aor is 2"},
		{"of a peer", func(o *Options) { o.PerPeer = 2 }, []string{"2001", "2001", "2001"}, "subscriptions_per_peer is 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, test.setting)
			secrets := map[string]string{"2001": "k", "2002": "w"}
			names := map[string]string{"2001": "kitchen", "2002": "workshop"}
			for i, user := range test.users {
				s := l.subscriber(names[user], secrets[user], user)
				if i < 2 {
					s.begin("Expires: 600")
					continue
				}
				answer := s.subscribe()
				wantStatus(t, answer, 503)
				if e := l.events[len(l.events)-1]; field(answer, "Retry-After") == "" || e.Detail != test.detail {
					t.Errorf("told %q", e.Detail)
				}
			}
			l.wait(602 * time.Second)
			s := l.kitchen()
			s.begin() // those before have ended
			l.wait(time.Minute)
		})
	}
}

// What is done is said.
func TestOptionsTellsOfIt(t *testing.T) {
	l := newLab(t)
	l.registrar.Allowing("SUBSCRIBE")
	s := l.subscriber("", "", "2001")
	answer := s.receive(strings.ReplaceAll(s.text(), "SUBSCRIBE", "OPTIONS"))
	wantStatus(t, answer, 200)
	if field(answer, "Allow-Events") != "reg" || !strings.Contains(field(answer, "Allow"), "SUBSCRIBE") {
		t.Errorf("got:\n%s", answer)
	}
	s = l.subscriber("", "", "2001")
	wantStatus(t, s.receive(strings.ReplaceAll(s.text(), "SUBSCRIBE", "PUBLISH")), 405)
}

// What a reload takes away while a SUBSCRIBE is answered is not let in.
func TestAReloadMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name, peers string
		want        bool
	}{
		{"the same peers", labPeers, true},
		{"another secret", strings.Replace(labPeers, "secret = k", "secret = other", 1), false},
	} {
		l := newLab(t)
		s := &subscription{aor: aor, watcher: watcher{"", "kitchen"}, judged: l.registrar.Directory(), expires: l.now.Add(time.Hour)}
		l.registrar.Reload(l.load(test.peers), l.clock)
		if got, why := (&attempt{Notifier: l.Notifier, now: l.now}).admit(s); got != test.want || why != "" || (l.Counts().Subscriptions == 1) != test.want {
			t.Errorf("%s: %v, %q", test.name, got, why)
		}
	}
}
