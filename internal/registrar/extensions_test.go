package registrar_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/sipuri"
)

// RFC 3327 §5.3: what a registrar does with Path.
func TestRFC3327_PathIsKeptAndReturnedInOrder(t *testing.T) {
	l := newLab(t)
	r := l.kitchen().register("Supported: path", "Path: <sip:P2.example.com;lr>, <sip:P1.example.com;lr>",
		"Path: <sip:edge@192.0.2.99;lr;ob>;x=y", kitchenContact).want(200)
	const want = "<sip:P2.example.com;lr>, <sip:P1.example.com;lr>, <sip:edge@192.0.2.99;lr;ob>;x=y"
	if got := r.one("Path"); got != want {
		t.Errorf("Path: %s", got)
	}
	if got := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)[0].Path; got != want {
		t.Errorf("stored is %s", got)
	}
}

func TestRFC3327_PathWithoutSupportedIsTaken(t *testing.T) {
	l := newLab(t)
	if got := l.kitchen().register("Path: <sip:edge.example.com;lr>", kitchenContact).want(200).one("Path"); got != "<sip:edge.example.com;lr>" {
		t.Errorf("Path: %s", got)
	}
}

func TestRFC3327_RequirePathIsSupported(t *testing.T) {
	l := newLab(t)
	l.kitchen().register("Require: path", "Path: <sip:edge.example.com;lr>", kitchenContact).want(200)
}

func TestRFC3327_ARefreshBringsItsOwnPath(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Path: <sip:edge.example.com;lr>", kitchenContact).want(200)
	p.register(kitchenContact).want(200)
	if got := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)[0].Path; got != "" {
		t.Errorf("stored is %s", got)
	}
}

func TestRFC3327_MalformedPathIs400(t *testing.T) {
	for _, value := range []string{
		"", "edge", "<mailto:edge@example.com>", "<sip:edge.example.com;lr", "<sip:a;lr>, ", "<sip:a;lr> <sip:b;lr>",
		"<sip:" + strings.Repeat("a", 2000) + ";lr>", strings.TrimSuffix(strings.Repeat("<sip:a.example.com;lr>,", 65), ","),
		`<sip:a;lr>;x="`,
	} {
		l := newLab(t)
		p := l.kitchen()
		p.challenge()
		p.authenticated("Path: "+value, kitchenContact).want(400)
		l.wantBound("2001", 0)
	}
}

// RFC 3608 §6.3.
func TestRFC3608_ServiceRouteStandsInTheAnswer(t *testing.T) {
	l := newLab(t, withServiceRoute("<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"))
	p := l.kitchen()
	if got := p.register(kitchenContact).want(200).one("Service-Route"); got != "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>" {
		t.Errorf("Service-Route: %s", got)
	}
	if r := p.challenge(); len(r.all("Service-Route")) > 0 {
		t.Error("Service-Route in a challenge")
	}
}

const outbound = "Supported: path, outbound"

// RFC 5626 §6: reg-id counts with +sip.instance and Supported: outbound.
func TestRFC5626_AFlowIsRegistered(t *testing.T) {
	l := newLab(t)
	r := l.kitchen().register(outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=1"+instanceA).want(200)
	if r.one("Require") != "outbound" {
		t.Errorf("the answer is\n%s", r.text)
	}
	if !strings.Contains(r.one("Contact"), ";reg-id=1") || !strings.Contains(r.one("Contact"), instanceA) {
		t.Errorf("Contact: %s", r.one("Contact"))
	}
}

// §4.4. Over UDP NATs forget sooner; a proxy's flow is not the phone's; and who
// unregisters has none.
func TestRFC5626_FlowTimerIsForThePhonesOwnFlow(t *testing.T) {
	const contact = "Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA
	const byProxy, path = "Via: SIP/2.0/TCP 10.0.0.4;branch=z9hG4bK1", "Path: <sip:edge.example.com;lr;ob>"
	for _, test := range []struct {
		name, transport string
		lines           []string
		want            string
	}{
		{"over a stream", "TCP", []string{outbound, contact}, "[120]"},
		{"over UDP", "UDP", []string{outbound, contact}, "[29]"},
		{"by a proxy", "TCP", []string{byProxy, path, outbound, contact}, "[]"},
		{"to unregister", "TCP", []string{outbound, contact + ";expires=0"}, "[]"},
		{"without outbound", "TCP", []string{contact}, "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.transport = test.transport
			if got := fmt.Sprint(l.kitchen().register(test.lines...).want(200).all("Flow-Timer")); got != test.want {
				t.Errorf("Flow-Timer: %s, want %s", got, test.want)
			}
		})
	}
}

func TestRFC5626_RegIDAloneIsIgnored(t *testing.T) {
	for name, lines := range map[string][]string{
		"without an instance ID":     {outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=1"},
		"without Supported":          {"Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA},
		"malformed":                  {outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=x" + instanceA},
		"zero":                       {outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=0" + instanceA},
		"nothing but an instance ID": {outbound, "Contact: <sip:2001@192.0.2.7>" + instanceA},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLab(t).kitchen().register(lines...).want(200)
			if len(r.all("Require"))+len(r.all("Flow-Timer")) > 0 || strings.Contains(r.one("Contact"), "reg-id=1") {
				t.Errorf("the answer is\n%s", r.text)
			}
		})
	}
}

func TestRFC5626_FirstHopWithoutOutboundIs439(t *testing.T) {
	const by, contact = "Via: SIP/2.0/UDP 10.0.0.4;branch=z9hG4bK1", "Contact: <sip:2001@10.0.0.4>;reg-id=1" + instanceA
	for _, test := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"no path", []string{by, outbound, contact}, 439},
		{"a path without ob", []string{by, outbound, "Path: <sip:edge.example.com;lr>", contact}, 439},
		{"ob at another proxy", []string{by, outbound, "Path: <sip:p.example.com;lr;ob>, <sip:edge.example.com;lr>", contact}, 439},
		{"ob", []string{by, outbound, "Path: <sip:p.example.com;lr>, <sip:edge.example.com;lr;ob>", contact}, 200},
		{"without outbound", []string{by, contact}, 200},
		{"without a proxy", []string{outbound, contact}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			p := l.kitchen()
			p.register(test.lines...).want(test.want)
			if test.want == 200 {
				return
			}
			if e := l.lastEvent(); e.Reason != journal.FirstHopWithoutOutbound {
				t.Errorf("taken down as %+v", e)
			}
			l.wantBound("2001", 0)
		})
	}
}

func TestRFC5626_SeveralFlowsInOneRequestAre400(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register(outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=1"+instanceA+", <sip:2001@192.0.2.7:5062>;reg-id=2"+instanceA).want(400)
	p.register(outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=1"+instanceA+", <sip:2001@192.0.2.7>;reg-id=2"+instanceA).want(400)
	l.wantBound("2001", 0)
	p.register(outbound, "Contact: <sip:2001@192.0.2.7>;reg-id=1"+instanceA).want(200)
	p.register(outbound, "Contact: <sip:2001@192.0.2.7:5062>;reg-id=2"+instanceA).want(200)
	l.wantBound("2001", 2)
	p.register(outbound, "Contact: <sip:2001@192.0.2.7>;expires=0;reg-id=1"+instanceA+", <sip:2001@192.0.2.7:5062>;expires=0;reg-id=2"+instanceA).want(200)
	l.wantBound("2001", 0)
}

const gruu = "Supported: gruu"

var gruuPattern = regexp.MustCompile(`;pub-gruu="([^"]+)";temp-gruu="([^"]+)"$`)

// gruus returns those in an answer's one Contact.
func (r *response) gruus() (public, temporary sipuri.URI) {
	r.t.Helper()
	parts := gruuPattern.FindStringSubmatch(r.one("Contact"))
	if parts == nil {
		r.t.Fatalf("no GRUUs in %s", r.one("Contact"))
	}
	var uris [2]sipuri.URI
	for i := range uris {
		uri, err := sipuri.Parse(parts[1+i])
		if err != nil {
			r.t.Fatalf("%s: %v", parts[1+i], err)
		}
		uris[i] = uri
	}
	return uris[0], uris[1]
}

// wantLocated checks what a URI leads to.
func (l *lab) wantLocated(uri sipuri.URI, want ...string) {
	l.t.Helper()
	_, bindings, _ := l.registrar.Locate(uri, l.now)
	var got []string
	for _, b := range bindings {
		got = append(got, b.Contact)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Fatalf("located %v, want %v", got, want)
	}
}

// RFC 5627 §5.3, §5.4.
func TestRFC5627_GRUUsLeadToOnePhone(t *testing.T) {
	l := newLab(t)
	p, other := l.kitchen(), l.kitchen()
	public, first := p.register(gruu, "Contact: <sip:2001@192.0.2.7>"+instanceA).want(200).gruus()
	other.register("Contact: <sip:2001@192.0.2.8>" + instanceB).want(200)
	gr, _ := public.Param("gr")
	if public.User != "2001" || public.Host != "registrar.example" || gr != "urn:uuid:00000000-0000-1000-8000-00AA00000001" {
		t.Errorf("the public GRUU is %+v", public)
	}
	if strings.Contains(first.User, "2001") || first.Host != "registrar.example" {
		t.Errorf("the temporary GRUU is %+v", first)
	}
	l.wantLocated(public, "sip:2001@192.0.2.7")
	l.wantLocated(first, "sip:2001@192.0.2.7")
	l.wantLocated(sipuri.URI{Scheme: "sip", User: "2001", Host: "registrar.example"}, "sip:2001@192.0.2.7", "sip:2001@192.0.2.8")

	l.pass(time.Minute)
	_, second := p.register(gruu, "Contact: <sip:2001@192.0.2.7:5062>"+instanceA).want(200).wantContacts("sip:2001@192.0.2.7:5062 3600", "sip:2001@192.0.2.8 3540").firstGRUUs()
	if second.User == first.User {
		t.Error("the second temporary GRUU is the first")
	}
	l.wantLocated(first, "sip:2001@192.0.2.7:5062") // both are good as long as the phone keeps its Call-ID
	l.wantLocated(second, "sip:2001@192.0.2.7:5062")

	p.register("Contact: <sip:2001@192.0.2.7:5062>;expires=0").want(200)
	l.wantLocated(first)

	again := l.kitchen()
	again.register(gruu, "Contact: <sip:2001@192.0.2.7>"+instanceA).want(200)
	l.wantLocated(first)
	l.wantLocated(public, "sip:2001@192.0.2.7")
	again.register("Contact: <sip:2001@192.0.2.7>;expires=0").want(200)
	l.wantLocated(public)
}

// firstGRUUs returns those of the first Contact of several.
func (r *response) firstGRUUs() (public, temporary sipuri.URI) {
	r.t.Helper()
	one := *r
	one.headers = [][2]string{{"Contact", r.all("Contact")[0]}}
	return one.gruus()
}

func TestRFC5627_WhoDoesNotKnowGRUUsGetsNone(t *testing.T) {
	for name, lines := range map[string][]string{
		"not supported":  {"Contact: <sip:2001@192.0.2.7>" + instanceA},
		"no instance ID": {gruu, "Contact: <sip:2001@192.0.2.7>"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newLab(t).kitchen().register(lines...).want(200).one("Contact"); strings.Contains(got, "gruu") {
				t.Errorf("Contact: %s", got)
			}
		})
	}
}

func TestRFC5627_WhatThePhoneSaysOfGRUUsIsNotKept(t *testing.T) {
	r := newLab(t).kitchen().register(`Contact: <sip:2001@192.0.2.7>;pub-gruu="sip:evil@example.com;gr=x";temp-gruu="sip:y@z;gr";+sip.src`).want(200)
	if got := r.one("Contact"); strings.Contains(got, "gruu") || !strings.HasSuffix(got, ";+sip.src") {
		t.Errorf("Contact: %s", got)
	}
}

// §5.1
func TestRFC5627_AGRUUIsNoContact(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	public, temporary := p.register(gruu, "Contact: <sip:2001@192.0.2.7>"+instanceA).want(200).gruus()
	for _, uri := range []sipuri.URI{public, temporary} {
		text := fmt.Sprintf("sip:%s@%s%s", uri.User, uri.Host, uri.Params)
		p.register("Contact: <" + text + ">").want(403)
		if e := l.lastEvent(); e.Reason != journal.ContactIsGRUU {
			t.Errorf("taken down as %+v", e)
		}
	}
	p.register("Contact: <sip:other@192.0.2.7;gr=urn:x>").want(200) // another registrar's
}

func TestRFC5627_ForgedTemporaryGRUUsLeadNowhere(t *testing.T) {
	l := newLab(t)
	_, temporary := l.kitchen().register(gruu, "Contact: <sip:2001@192.0.2.7>"+instanceA).want(200).gruus()
	for i := range temporary.User {
		forged := []byte(temporary.User)
		if forged[i] ^= 1; forged[i] == '@' {
			continue
		}
		uri := temporary
		uri.User = string(forged)
		_, bindings, _ := l.registrar.Locate(uri, l.now)
		// The last character of base64 may hold bits that count for nothing.
		if len(bindings) > 0 && i < len(forged)-1 {
			t.Fatalf("with another character at %d it leads to %v", i, bindings)
		}
	}
	uri := temporary
	for _, user := range []string{"", "tgruu.", "tgruu.AAAA", "tgruu.!", "2001"} {
		uri.User = user
		l.wantLocated(uri)
	}
}

// RFC 3840: what a phone can do is kept, and stands in the answer as it came; so does
// what wakes it (RFC 8599), which is in its URI.
func TestFeatureTagsAndPushParametersAreKept(t *testing.T) {
	const contact = `<sip:2001@192.0.2.7;pn-provider=fcm;pn-prid=ZMiSQ4xD6a;pn-param=app-1>`
	const tags = `;audio;video;methods="INVITE,ACK,BYE";+sip.ice;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"`
	l := newLab(t)
	got := l.kitchen().register("Contact: " + contact + ";q=0.7" + tags).want(200).one("Contact")
	if want := contact + ";q=0.7;expires=3600" + tags; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is announced is what is done.
func TestOPTIONSAnnouncesTheExtensions(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	text := strings.NewReplacer("REGISTER sip", "OPTIONS sip", " REGISTER\r\n", " OPTIONS\r\n").Replace(p.request())
	if got := l.send(text).want(200).one("Supported"); got != "path, outbound, gruu" {
		t.Errorf("Supported: %s", got)
	}
}
