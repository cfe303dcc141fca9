package admin

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"sipregd/internal/admin/api"
)

func TestBans(t *testing.T) {
	for _, test := range []struct {
		body    string
		status  int
		answer  string // or what the error says
		keepOut string // an address
	}{
		{`{"network": "192.0.2.7"}`, 200, `{"network":"192.0.2.7","by":"administrator","dropped":0}`, "192.0.2.7"},
		{`{"network": "192.0.2.7/32", "seconds": 0}`, 200, `{"network":"192.0.2.7","by":"administrator","dropped":0}`, "192.0.2.7"},
		{`{"network": "192.0.2.7/24", "seconds": 60}`, 200, `{"network":"192.0.2.0/24","until":"2026-11-26T12:01:00Z","by":"administrator","dropped":0}`, "192.0.2.9"},
		{`{"network": "2001:db8::1/32"}`, 200, `{"network":"2001:db8::/32","by":"administrator","dropped":0}`, "2001:db8::7"},
		{`{"network": "fe80::7%eth0"}`, 200, `{"network":"fe80::7","by":"administrator","dropped":0}`, "fe80::7"},
		{`{"network": "::ffff:192.0.2.7"}`, 200, `{"network":"192.0.2.7","by":"administrator","dropped":0}`, "192.0.2.7"},
		{`{"network": "::ffff:192.0.2.7/120"}`, 200, `{"network":"192.0.2.0/24","by":"administrator","dropped":0}`, "192.0.2.9"},
		{`{"network": "192.0.2.7", "seconds": 315360000}`, 200, `{"network":"192.0.2.7","until":"2036-11-23T12:00:00Z","by":"administrator","dropped":0}`, "192.0.2.7"},
		{`{"network": "192.0.2.7", "seconds": 315360001}`, 400, "seconds is 315360001", ""},
		{`{"network": "192.0.2.7", "seconds": 9223372036854775807}`, 400, "seconds is 9", ""},
		{`{"network": "192.0.2.7", "seconds": -1}`, 400, "seconds is -1", ""},
		{`{"network": "192.0.2.7", "secs": 1}`, 400, "secs", ""},
		{`{"network": "phone.example.com"}`, 400, "write such as 192.0.2.7", ""},
		{`{}`, 400, "write such as 192.0.2.7", ""},
		{`network=192.0.2.7`, 400, "send {", ""},
		{`{"network": "10.0.0.0/7"}`, 409, "too much of the Internet", ""},
	} {
		t.Run(test.body, func(t *testing.T) {
			l := newLab(t)
			status, answer := l.ask(http.MethodPost, "/api/v1/bans", test.body)
			if status != test.status || !strings.Contains(unquoted(answer), test.answer) {
				t.Fatalf("%d %s", status, answer)
			}
			_, list := l.ask(http.MethodGet, "/api/v1/bans", "")
			if status != http.StatusOK {
				if list != "{\"bans\":[]}\n" {
					t.Errorf("there is %s", list)
				}
				return
			}
			if want := `{"bans":[` + test.answer + "]}\n"; list != want {
				t.Errorf("there is %s", list)
			}
			if l.Guard.Admits(netip.AddrPortFrom(netip.MustParseAddr(test.keepOut), 5060), "UDP", noon) {
				t.Errorf("%s is not kept out", test.keepOut)
			}
			l.expectLift(test.body)
		})
	}
}

// unquoted returns the text of an error, or another answer as it is.
func unquoted(answer string) string {
	var failure api.Error
	if json.Unmarshal([]byte(answer), &failure) == nil && failure.Error != "" {
		return failure.Error
	}
	return answer
}

// expectLift lifts the ban that was asked for in the same words.
func (l *lab) expectLift(body string) {
	l.Helper()
	var wanted api.NewBan
	_ = json.Unmarshal([]byte(body), &wanted)
	path := "/api/v1/bans?network=" + url.QueryEscape(wanted.Network)
	if status, answer := l.ask(http.MethodDelete, path, ""); status != http.StatusNoContent || answer != "" {
		l.Errorf("lifted: %d %s", status, answer)
	}
	if status, answer := l.ask(http.MethodDelete, path, ""); status != http.StatusNotFound {
		l.Errorf("lifted again: %d %s", status, answer)
	}
}

func TestReload(t *testing.T) {
	const cellar = "[Cellar]\nauthname = c\nsecret = c\naorname = 2003\n"
	l := newLab(t)
	for _, test := range []struct {
		name, path, file string
		status           int
		answer           string
		peers            int // afterwards
	}{
		{"check what is fine", "check", labPeers + cellar, 200, `"added":["Cellar"]`, 3},
		{"check what is not", "check", "[Cellar]\nsecret = c\n", 422, `"errors":["`, 3},
		{"reload what is not", "reload", "[Cellar]\nsecret = c\n", 422, `peers.conf:1: [Cellar]`, 3},
		{"reload what is fine", "reload", labPeers + cellar, 200, `"added":["Cellar"]`, 4},
		{"reload nothing new", "reload", labPeers + cellar, 200, `"peers":4}`, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			l.writePeers(test.file)
			status, answer := l.ask(http.MethodPost, "/api/v1/"+test.path, "")
			if status != test.status || !strings.Contains(answer, test.answer) || l.Directory().Len() != test.peers {
				t.Errorf("%d %s; there are %d peers", status, answer, l.Directory().Len())
			}
		})
	}
}
