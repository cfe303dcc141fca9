package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

func TestContactsAreRemoved(t *testing.T) {
	const phone, other = "sip:2001@phone.example.org;transport=udp", "sip:2001@192.0.2.9"
	for _, test := range []struct {
		name, query string
		status      int
		left        []string
	}{
		{"all", "", 200, []string{}},
		{"one as it is", "?contact=" + url.QueryEscape(phone), 200, []string{other}},
		{"one that equals", "?contact=" + url.QueryEscape("SIP:2001@PHONE.Example.org;Transport=UDP"), 200, []string{other}},
		{"another port", "?contact=" + url.QueryEscape("sip:2001@192.0.2.9:5060"), 404, []string{phone, other}},
		{"an empty one", "?contact=", 400, []string{phone, other}},
		{"no URI", "?contact=2001", 404, []string{phone, other}},
		{"no ID", "?id=first", 400, []string{phone, other}},
		{"an empty ID", "?id=", 400, []string{phone, other}},
		{"the ID of none", "?id=0", 400, []string{phone, other}},
		{"an ID and a Contact", "?id=1&contact=" + url.QueryEscape(phone), 400, []string{phone, other}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: phone})
			l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: other})
			l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:expired", Expires: noon})
			l.bind(sipuri.AOR{User: "2002"}, location.Binding{Contact: "sip:stays"})
			status, answer := l.ask(http.MethodDelete, "/api/v1/contacts/2001"+test.query, "")
			_, left := l.ask(http.MethodGet, "/api/v1/contacts", "")
			if want := append(test.left, "sip:stays"); status != test.status || !slices.Equal(contactsOf(contactsIn(t, left)), want) {
				t.Errorf("%d %sleft: %s", status, answer, left)
			}
			var removed api.Removed
			if _ = json.Unmarshal([]byte(answer), &removed); removed.Removed != 2-len(test.left) {
				t.Errorf("removed %d", removed.Removed)
			}
		})
	}
}

// instance returns the parameters of a Contact of that phone.
func instance(name string) string { return `;+sip.instance="<urn:x:` + name + `>"` }

// Two bindings may have one Contact: each has a name of its own.
func TestOneOfTwoWithOneContactIsRemoved(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"a", "b"} {
		l.bind(kitchenAOR, location.Binding{Contact: "sip:2001@192.168.1.10", Params: instance(name), NAT: true})
	}
	l.bind(sipuri.AOR{User: "2002"}, location.Binding{Contact: "sip:2001@192.168.1.10"})
	_, text := l.ask(http.MethodGet, "/api/v1/contacts", "")
	listed := contactsIn(t, text).Contacts
	if len(listed) != 3 || listed[0].ID == listed[1].ID {
		t.Fatalf("listed: %s", text)
	}
	if status, answer := l.ask(http.MethodDelete, "/api/v1/contacts/2001?id="+listed[2].ID, ""); status != http.StatusNotFound {
		t.Errorf("that of another AOR: %d %s", status, answer)
	}
	if status, answer := l.ask(http.MethodDelete, "/api/v1/contacts/2001?id="+listed[1].ID, ""); status != http.StatusOK || answer != "{\"removed\":1}\n" {
		t.Errorf("%d %s", status, answer)
	}
	if _, text = l.ask(http.MethodGet, "/api/v1/contacts", ""); !slices.Equal(contactsIn(t, text).Contacts, []api.Contact{listed[0], listed[2]}) {
		t.Errorf("left: %s", text)
	}
}

// A GRUU stands for one phone, and never for all.
func TestAGRUURemovesOnePhone(t *testing.T) {
	const one = "sip:2001@192.168.1.10"
	for _, test := range []struct {
		name, path string
		removed    int
		left       string
	}{
		{"of a phone", "sip:2001@host;gr=urn:x:A", 2, "b"},
		{"without sip:", "2001@host;gr=urn:x:a", 2, "b"},
		{"with a Contact", "sip:2001@host;gr=urn:x:a?contact=" + one + ";transport=tcp", 1, "a b"},
		{"with a Contact of another", "sip:2001@host;gr=urn:x:b?contact=" + one + ";transport=tcp", 0, "a a b"},
		{"of no phone", "sip:2001@host;gr=urn:x:nobody", 0, "a a b"},
		{"of no phone, without sip:", "2001@host;gr=urn:x:nobody", 0, "a a b"},
		{"temporary, of no phone", "sip:tgruu.xyz@host;gr", 0, "a a b"},
		{"empty", "sip:2001@host;gr", 0, "a a b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.bind(kitchenAOR, location.Binding{Contact: one, Params: instance("a") + ";reg-id=1"})
			l.bind(kitchenAOR, location.Binding{Contact: one + ";transport=tcp", Params: instance("a") + ";reg-id=2"})
			l.bind(kitchenAOR, location.Binding{Contact: one, Params: instance("b")})
			path, contact, hasContact := strings.Cut(test.path, "?contact=")
			path = "/api/v1/contacts/" + url.PathEscape(path)
			if hasContact {
				path += "?contact=" + url.QueryEscape(contact)
			}
			status, answer := l.ask(http.MethodDelete, path, "")
			var removed api.Removed
			if _ = json.Unmarshal([]byte(answer), &removed); removed.Removed != test.removed || (status == http.StatusNotFound) != (test.removed == 0) {
				t.Errorf("%d %s", status, answer)
			}
			var left []string
			_, text := l.ask(http.MethodGet, "/api/v1/contacts", "")
			for _, c := range contactsIn(t, text).Contacts {
				left = append(left, strings.TrimPrefix(c.Instance, "urn:x:"))
			}
			if got := strings.Join(left, " "); got != test.left {
				t.Errorf("left: %s", text)
			}
		})
	}
}

// An AOR that only looks like a GRUU is one where a list shows it.
func TestAnAORThatLooksLikeAGRUUIsRemoved(t *testing.T) {
	l := newLab(t)
	l.bind(sipuri.AOR{User: "a@b;gr=c"}, location.Binding{Contact: "sip:it"})
	if status, answer := l.ask(http.MethodDelete, "/api/v1/contacts/a@b%3Bgr=c", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
}
