package admin

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// contactsIn reads an answer.
func contactsIn(t interface{ Fatalf(string, ...any) }, answer string) (page api.Contacts) {
	if err := json.Unmarshal([]byte(answer), &page); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return page
}

// contactsOf returns the Contacts of a page, as they are.
func contactsOf(page api.Contacts) []string {
	list := []string{}
	for _, c := range page.Contacts {
		list = append(list, c.Contact)
	}
	return list
}

var anAOR = rapid.Custom(func(t *rapid.T) sipuri.AOR {
	user := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "a@b", "a@b@c", "\xff", "\xfe", "a\x00", "\ufffd"}), rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	return sipuri.AOR{User: user.Draw(t, "user"), Domain: rapid.SampledFrom([]string{"", "b", "c", "b@c"}).Draw(t, "domain")}
})

// Page after page yields each binding once, in the order of the AORs, whatever they
// are.
func TestPagesAgainstASortedList(t *testing.T) {
	rapid.Check(t, func(check *rapid.T) {
		store := location.NewMemory(noon)
		handler := New(Options{Store: store, Metrics: http.NotFoundHandler(), Clock: func() time.Time { return noon }}).routes()
		aors := rapid.SliceOfNDistinct(anAOR, 0, 20, rapid.ID).Draw(check, "AORs")
		slices.SortFunc(aors, func(a, b sipuri.AOR) int {
			return cmp.Or(cmp.Compare(a.String(), b.String()), cmp.Compare(a.Domain, b.Domain))
		})
		var want []string
		for i, aor := range aors {
			for j := range rapid.IntRange(1, 4).Draw(check, "bindings") {
				b := location.Binding{Contact: "sip:" + strconv.Itoa(i) + "." + strconv.Itoa(j), Expires: noon.Add(time.Second)}
				if rapid.IntRange(0, 3).Draw(check, "expired") == 0 {
					b.Expires = noon
				} else {
					want = append(want, b.Contact)
				}
				addBinding(t, store, aor, b)
			}
		}
		limit := rapid.IntRange(1, 8).Draw(check, "limit")
		if got := allPages(check, handler, limit, len(want)); !slices.Equal(got, want) {
			check.Fatalf("got %q\nwant %q", got, want)
		}
		handler = New(Options{Store: twice{store}, Metrics: http.NotFoundHandler(), Clock: func() time.Time { return noon }}).routes()
		if got := allPages(check, handler, limit, 2*len(want)); !slices.Equal(got, want) {
			check.Fatalf("where AORs come twice got %q\nwant %q", got, want)
		}
	})
}

// allPages returns the Contacts of all pages, each of which has to say the total.
func allPages(t *rapid.T, handler http.Handler, limit, total int) (all []string) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for range total + 1 {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/contacts?"+query.Encode(), nil))
		page := contactsIn(t, answer.Body.String())
		if page.Total != total || page.Next != "" && len(page.Contacts) < limit {
			t.Fatalf("%d of %d, with %d on a page of %d", page.Total, total, len(page.Contacts), limit)
		}
		all = append(all, contactsOf(page)...)
		if page.Next == "" {
			return all
		}
		query.Set("after", page.Next)
	}
	t.Fatalf("the pages have no end")
	return nil
}

func TestContactsAreSearched(t *testing.T) {
	l := newLab(t)
	l.bind(sipuri.AOR{User: "Zoë", Domain: "example.com"}, location.Binding{
		Contact: "sip:zoe@phone.example.org", Label: "Kitchen, 1st floor", Authname: "7f3a9c", UserAgent: "Phone/1.0 <b>",
		Source: netip.MustParseAddrPort("[2001:db8::7]:5062"),
	})
	l.bind(sipuri.AOR{User: "other"}, location.Binding{Contact: "sip:other@192.0.2.9"})
	l.bind(sipuri.AOR{User: "other"}, location.Binding{Contact: "sip:expired@192.0.2.9", Expires: noon})
	const zoe = "sip:zoe@phone.example.org"
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{zoe, "sip:other@192.0.2.9"}},
		{"ZOË@EXAMPLE.COM", []string{zoe}},
		{"1ST FLOOR", []string{zoe}},
		{"7F3", []string{zoe}},
		{"phone.example.org", []string{zoe}},
		{"2001:DB8::7", []string{zoe}},
		{"phone/1.0 <B>", []string{zoe}},
		{"192.0.2.9", []string{"sip:other@192.0.2.9"}},
		{"expired", []string{}},
		{"nobody", []string{}},
	} {
		status, answer := l.ask(http.MethodGet, "/api/v1/contacts?q="+url.QueryEscape(test.text), "")
		if page := contactsIn(t, answer); status != http.StatusOK || !slices.Equal(contactsOf(page), test.want) || page.Total != len(test.want) {
			t.Errorf("%q: %d %s", test.text, status, answer)
		}
	}
}

// An AOR is found by what people write, and by what a list shows.
func TestAnAORIsFound(t *testing.T) {
	example := labSetting(withDomains("example.com", "example.net"))
	oneDomain := labSetting(withDomains())
	for _, test := range []struct {
		domains labSetting
		aor     sipuri.AOR
		path    string
	}{
		{oneDomain, sipuri.AOR{User: "2001"}, "2001"},
		{oneDomain, sipuri.AOR{User: "2001"}, "2001@any.example.org"},
		{oneDomain, sipuri.AOR{User: "2001"}, "sip:2001@192.0.2.1:5060"},
		{oneDomain, sipuri.AOR{User: "a@b"}, "a@b"},
		{oneDomain, sipuri.AOR{User: "a@b"}, "sip:a%40b@host"},
		{oneDomain, sipuri.AOR{User: "a/b"}, "a/b"},
		{oneDomain, sipuri.AOR{User: "100%"}, "100%"},
		{oneDomain, sipuri.AOR{User: "%41"}, "%41"},
		{oneDomain, sipuri.AOR{User: "a b+c"}, "a b+c"},
		{oneDomain, sipuri.AOR{User: "a?b#c;d"}, "a?b#c;d"},
		{oneDomain, sipuri.AOR{User: "jürgen"}, "jürgen"},
		{oneDomain, sipuri.AOR{User: "\xff"}, "\xff"},
		{oneDomain, sipuri.AOR{User: "sip:"}, "sip:"},
		{example, sipuri.AOR{User: "2001", Domain: "example.com"}, "2001"},
		{example, sipuri.AOR{User: "2001", Domain: "example.com"}, "2001@example.com"},
		{example, sipuri.AOR{User: "2001", Domain: "example.net"}, "2001@EXAMPLE.net"},
		{example, sipuri.AOR{User: "2001", Domain: "example.net"}, "sips:2001@example.net"},
		{example, sipuri.AOR{User: "a@b", Domain: "example.com"}, "a@b@example.com"},
	} {
		t.Run(test.path, func(t *testing.T) {
			l := newLab(t, test.domains)
			l.bind(test.aor, location.Binding{Contact: "sip:it"})
			path := "/api/v1/contacts/" + url.PathEscape(test.path)
			if status, answer := l.ask(http.MethodGet, path, ""); status != http.StatusOK || contactsIn(t, answer).Contacts[0].Contact != "sip:it" {
				t.Errorf("shown: %d %s", status, answer)
			}
			if status, answer := l.ask(http.MethodDelete, path, ""); status != http.StatusOK || answer != "{\"removed\":1}\n" {
				t.Errorf("removed: %d %s", status, answer)
			}
			if status, answer := l.ask(http.MethodGet, path, ""); status != http.StatusNotFound {
				t.Errorf("shown again: %d %s", status, answer)
			}
		})
	}
}

func TestPeersComePageByPage(t *testing.T) {
	l := newLab(t)
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:a", Authname: "7f3a9c"})
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:b", Authname: "7f3a9c"})
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:c", Authname: "7f3a9c", Expires: noon})
	for _, test := range []struct {
		query  string
		labels string
		total  int
		next   string
	}{
		{"", "Kitchen, 1st floor|Workshop|Hall/100% <b>", 3, ""},
		{"limit=2", "Kitchen, 1st floor|Workshop", 3, "2"},
		{"limit=2&after=2", "Hall/100% <b>", 3, ""},
		{"after=9", "", 3, ""},
		{"q=2001", "Kitchen, 1st floor|Workshop", 2, ""},
		{"q=2001&limit=1&after=1", "Workshop", 2, ""},
		{"q=FLOOR", "Kitchen, 1st floor", 1, ""},
		{"q=hal", "Hall/100% <b>", 1, ""},
		{"q=any;text", "", 0, ""},
	} {
		_, answer := l.ask(http.MethodGet, "/api/v1/peers?"+strings.ReplaceAll(test.query, ";", "%3B"), "")
		var page api.Peers
		_ = json.Unmarshal([]byte(answer), &page)
		var labels []string
		for _, p := range page.Peers {
			labels = append(labels, p.Label)
			if p.Authname == "7f3a9c" && p.Bindings != 2 {
				t.Errorf("%d bindings of %s", p.Bindings, p.Label)
			}
			if got := strings.Join(p.CertificateNames, "|"); (got == "workshop.example.com") != (p.Label == "Workshop") {
				t.Errorf("%s has the names %q", p.Label, got)
			}
		}
		if strings.Join(labels, "|") != test.labels || page.Total != test.total || page.Next != test.next {
			t.Errorf("%s: %s", test.query, answer)
		}
	}
}

// What peers have bound is looked up where it can be, without a walk through all bindings.
func TestBindingsOfPeersAreLookedUp(t *testing.T) {
	l := newLab(t)
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:a", Authname: "7f3a9c"})
	for query, walks := range map[string]int{"/api/v1/peers/Workshop": 0, "/api/v1/peers?limit=2": 0, "/api/v1/peers?q=hal": 1} {
		l.walks = 0
		if _, answer := l.ask(http.MethodGet, query, ""); l.walks != walks || strings.Contains(answer, "7f3a9c") && !strings.Contains(answer, `"bindings":1`) {
			t.Errorf("%s: %d walks, %s", query, l.walks, answer)
		}
	}
}

// A binding that the store yields twice is shown once.
func TestRegisteredFromANetwork(t *testing.T) {
	l := newLab(t)
	l.twice = true
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:a", Authname: "7f3a9c"})
	var result api.Why
	_, answer := l.ask(http.MethodGet, "/api/v1/why?q=192.0.2.0/24", "")
	if err := json.Unmarshal([]byte(answer), &result); err != nil || len(result.Registered) != 1 {
		t.Errorf("%v, %s", err, answer)
	}
}

// Who reads a list is told where a phone's connection is, and that the list may be old.
func TestContactsOfNodes(t *testing.T) {
	l := newLab(t)
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:2001@192.0.2.7", Node: "sip1"})
	for _, stale := range []bool{false, true} {
		l.stale = stale
		for _, path := range []string{"/api/v1/contacts", "/api/v1/contacts/2001"} {
			_, text := l.ask("GET", path, "")
			if strings.Contains(text, `"stale":true`) != stale || !strings.Contains(text, `"node":"sip1"`) {
				t.Errorf("%s while stale is %v: %s", path, stale, text)
			}
		}
	}
}
