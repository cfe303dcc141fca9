package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sipregd/internal/location"
	"sipregd/internal/qualify"
	"sipregd/internal/sipuri"
)

// What this node saw last is told as that, and of all else not that it is not there: whether
// the store is known to be away, or a look-up fails.
func TestWhatIsToldWhileLookupsFail(t *testing.T) {
	for _, test := range []struct {
		name, request string
		there, failed int // the status, where the store is there and where a look-up fails
	}{
		{"a phone that was seen", "GET /api/v1/contacts/2001", 200, 200},
		{"a phone that was not", "GET /api/v1/contacts/2009", 404, 503},
		{"with its domain", "GET /api/v1/contacts/2009@any.example", 404, 503},
		{"a URI", "GET /api/v1/contacts/sip:2009@any.example", 404, 503},
		{"a GRUU of a phone that was seen", "GET /api/v1/contacts/2001@any.example%3Bgr=urn:x:a", 200, 200},
		{"a GRUU of a phone that was not", "GET /api/v1/contacts/sip:2001@any.example%3Bgr=urn:x:b", 404, 503},
		{"to remove a phone that was not", "DELETE /api/v1/contacts/2009", 404, 503},
		{"to remove another one", "DELETE /api/v1/contacts/2001?id=1", 404, 503},
		{"a peer", "GET /api/v1/peers/workshop", 200, 200},
		{"peers", "GET /api/v1/peers?q=workshop", 200, 200},
		{"why", "GET /api/v1/why?q=2001", 200, 200},
		{"why, for a peer", "GET /api/v1/why?q=workshop", 200, 200},
	} {
		for _, state := range []string{"there", "away", "failing"} {
			t.Run(test.name+" "+state, func(t *testing.T) {
				l := newLab(t)
				l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:it", Params: instance("a"), Authname: "workshop"})
				l.stale, l.fails = state == "away", state == "failing"
				method, path, _ := strings.Cut(test.request, " ")
				want := test.there
				if state != "there" {
					want = test.failed
				}
				status, answer := l.ask(method, path, "")
				if status != want || strings.Contains(answer, `"stale":true`) != (status == 200 && state != "there") {
					t.Errorf("%d %s", status, answer)
				}
			})
		}
	}
}

// Whoever asks no longer is looked up no more for.
func TestLookupsEndWithTheRequest(t *testing.T) {
	for _, test := range []struct {
		name, path string
		handler    func(*Server) http.HandlerFunc
	}{
		{"peers", "/api/v1/peers", func(s *Server) http.HandlerFunc { return s.listPeers }},
		{"why", "/api/v1/why?q=hall", func(s *Server) http.HandlerFunc { return s.explain }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			var names []string
			for i := range 500 {
				names = append(names, fmt.Sprint(3000+i))
			}
			l.writePeers("[Hall]\nauthname = hall\nsecret = h\naorname = " + strings.Join(names, ", ") + "\n")
			l.Reload()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			looks := 0
			l.looked = func() {
				if looks++; looks == 3 {
					end()
				}
			}
			answer := httptest.NewRecorder()
			test.handler(l.Server)(answer, l.request(http.MethodGet, test.path, "").WithContext(ctx))
			if looks != 3 || answer.Code != http.StatusServiceUnavailable {
				t.Errorf("looked %d times: %d %s", looks, answer.Code, answer.Body)
			}
		})
	}
}

// A walk through all bindings ends with the request too.
func TestAWalkEndsWithTheRequest(t *testing.T) {
	l := newLab(t)
	for i := range 10 {
		l.bind(sipuri.AOR{User: fmt.Sprint(i)}, location.Binding{Contact: "sip:it"})
	}
	for _, test := range []struct{ after, want int }{{3, 3}, {100, 10}} {
		ctx, end := context.WithCancel(t.Context())
		look, endAll := l.begin(l.request(http.MethodGet, "/api/v1/contacts", "").WithContext(ctx))
		walked := 0
		for range look.all() {
			if walked++; walked == test.after {
				end()
			}
		}
		if walked != test.want {
			t.Errorf("%d of 10 after the request ended at %d", walked, test.after)
		}
		endAll()
		end()
	}
}

// That a phone did not answer is not over because its binding cannot be read.
func TestAnUnreachablePhoneIsNotGoneWhileLookupsFail(t *testing.T) {
	for name, test := range map[string]struct {
		fails    bool
		attempts int
	}{"the store is there": {false, 0}, "a look-up fails": {true, 1}} {
		l := newLab(t)
		b := location.Binding{ID: 7, Contact: "sip:2001@192.168.1.10", Authname: "7f3a9c"}
		l.qualified = map[uint64]qualify.Status{b.ID: {State: qualify.Unreachable}}
		l.noAnswer(b)
		l.fails = test.fails
		if why := l.whyOf(""); len(why.Attempts) != test.attempts {
			t.Errorf("%s: %+v", name, why.Attempts)
		}
	}
}
