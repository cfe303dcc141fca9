package admin

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const labToken = "0123456789abcdef"

func TestWhoGetsIn(t *testing.T) {
	open, locked := newLab(t), newLab(t, withToken(labToken))
	labs := map[string]*lab{"": open, labToken: locked}
	for _, test := range []struct {
		name, token, request string
		header               string // name: value; Host too
		status               int
	}{
		{"no token needed", "", "GET /api/v1/bans", "", 200},
		{"localhost", "", "GET /api/v1/bans", "Host: LocalHost:8060", 200},
		{"IPv6", "", "GET /api/v1/bans", "Host: [::1]:8060", 200},
		{"IPv6 without port", "", "GET /api/v1/bans", "Host: [::1]", 200},
		{"DNS rebinding", "", "GET /api/v1/bans", "Host: attacker.example.com", 403},
		{"DNS rebinding with port", "", "DELETE /api/v1/bans?network=192.0.2.7", "Host: attacker.example.com:8060", 403},
		{"a name like an address", "", "GET /api/v1/bans", "Host: 127.0.0.1.example.com", 403},
		{"another address", "", "GET /api/v1/bans", "Host: 192.0.2.1", 403},
		{"no token", labToken, "GET /api/v1/bans", "", 401},
		{"a wrong one", labToken, "GET /api/v1/bans", "Authorization: Bearer 0123456789abcdeg", 401},
		{"an empty one", labToken, "GET /api/v1/bans", "Authorization: Bearer ", 401},
		{"another scheme", labToken, "GET /api/v1/bans", "Authorization: Basic " + labToken, 401},
		{"the right one", labToken, "GET /api/v1/bans", "Authorization: Bearer " + labToken, 200},
		{"whatever the case of Bearer", labToken, "GET /api/v1/bans", "Authorization: bearer " + labToken, 200},
		{"metrics", labToken, "GET /metrics", "", 401},
		{"the description", labToken, "GET /api/v1/openapi.json", "", 401},
		{"what is not there", labToken, "GET /api/v1/nothing", "", 401},
		{"health", labToken, "GET /healthz", "", 200},
		{"readiness", labToken, "GET /readyz", "", 200},
		{"health by another name", "", "GET /healthz", "Host: monitor.example.com", 200},
		{"round about the page", labToken, "GET /page/../api/v1/bans", "", 307},
		{"round about the page, escaped", labToken, "GET /page/%2e%2e/api/v1/bans", "", 404},
		{"round about the page with slashes", labToken, "GET /page/..%2fapi/v1/bans", "", 404},
		{"the same page", "", "POST /api/v1/check", "Sec-Fetch-Site: same-origin", 200},
		{"typed", "", "GET /api/v1/bans", "Sec-Fetch-Site: none", 200},
		{"another page posts", "", "POST /api/v1/check", "Sec-Fetch-Site: cross-site", 403},
		{"another page of this machine posts", "", "POST /api/v1/check", "Sec-Fetch-Site: same-site", 403},
		{"another page deletes", "", "DELETE /api/v1/bans?network=192.0.2.7", "Sec-Fetch-Site: cross-site", 403},
		{"another page reads", "", "GET /api/v1/bans", "Sec-Fetch-Site: cross-site", 403},
		{"another page watches", "", "GET /api/v1/events", "Sec-Fetch-Site: same-site", 403},
		{"another page of an old browser posts", "", "POST /api/v1/check", "Origin: http://127.0.0.1:9", 403},
		{"another page without origin deletes", "", "DELETE /api/v1/bans?network=192.0.2.7", "Origin: null", 403},
		{"another page looks for life", "", "GET /healthz", "Sec-Fetch-Site: cross-site", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := labs[test.token]
			method, path, _ := strings.Cut(test.request, " ")
			request := l.request(method, path, "")
			switch name, value, _ := strings.Cut(test.header, ": "); name {
			case "":
			case "Host":
				request.Host = value
			default:
				request.Header.Set(name, value)
			}
			if status, answer := l.send(l.http, request); status != test.status {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
}

func TestTheControlSocketAsksForNoToken(t *testing.T) {
	l := newLab(t, withToken(labToken))
	request := l.request(http.MethodPost, "/api/v1/reload", "")
	request.Host = "sipregd"
	if status, answer := l.send(l.control, request); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	info, err := os.Stat(l.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
}

func TestTheControlSocketsPlace(t *testing.T) {
	live := func(path string) error {
		listener, err := net.Listen("unix", path)
		if err == nil {
			t.Cleanup(func() { listener.Close() }) // which keeps the collector from closing it before
		}
		return err
	}
	for _, test := range []struct {
		name   string
		before func(path string) error
		fault  string
	}{
		{"free", func(string) error { return nil }, ""},
		{"left behind", func(path string) error {
			listener, err := net.Listen("unix", path)
			if err == nil {
				listener.(*net.UnixListener).SetUnlinkOnClose(false)
				err = listener.Close()
			}
			return err
		}, ""},
		{"another daemon's", live, "another sipregd listens there"},
		{"a file", func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) }, "is no socket"},
		{"a link to a file", func(path string) error { return os.Symlink("/dev/null", path) }, "is no socket"},
		{"in no directory", func(path string) error { return os.Remove(filepath.Dir(path)) }, "make its directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(shortDirectory(t), "socket")
			if err := test.before(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			s := New(Options{Metrics: http.NotFoundHandler(), Trouble: func(error) {}})
			defer s.Close()
			err := s.ListenUnix(path)
			if (err != nil) != (test.fault != "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("got %v", err)
			}
			if after, _ := os.Lstat(path); test.fault != "" && before != nil && (after == nil || !os.SameFile(before, after)) {
				t.Error("what was there is gone")
			}
		})
	}
}

// rawly sends bytes over HTTP and returns what comes until the connection ends.
func (l *lab) rawly(text string) string {
	l.Helper()
	conn, err := net.Dial("tcp", l.address())
	if err != nil {
		l.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
	_, _ = io.WriteString(conn, text) // it may end before it has all
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func TestRequestsHaveBounds(t *testing.T) {
	hasty, patient := newLab(t, func(l *lab) { l.requestTime = 200 * time.Millisecond }), newLab(t)
	const head = "POST /api/v1/bans HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	for _, test := range []struct {
		name                  string
		lab                   *lab
		request, answer, says string
	}{
		{"a header that does not end", hasty, "GET / HTTP/1.1\r\nHost:", "", ""},
		{"a body that does not come", hasty, head + "Content-Length: 9\r\n\r\n", "HTTP/1.1 400", "i/o timeout"},
		{"a header that is too large", patient, head + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "HTTP/1.1 431", ""},
		{"a body that is too large", patient, head + "Content-Length: 1000000\r\n\r\n{\"network\": \"" + strings.Repeat("x", 1000000-13), "HTTP/1.1 400", "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.lab.rawly(test.request); !strings.HasPrefix(got, test.answer) || !strings.Contains(got, test.says) || test.answer == "" && got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Those who connect and say nothing leave the control socket alone, and get out of
// the way in the end.
func TestConnectionsHaveABound(t *testing.T) {
	l := newLab(t, func(l *lab) { l.requestTime = 500 * time.Millisecond })
	for range maxConnections {
		conn, err := net.Dial("tcp", l.address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if status, _ := l.send(l.control, l.request(http.MethodGet, "/healthz", "")); status != http.StatusOK {
		t.Errorf("the control socket: %d", status)
	}
	if status, _ := l.ask(http.MethodGet, "/healthz", ""); status != http.StatusOK {
		t.Errorf("HTTP: %d", status)
	}
}

// What a request needs is there as long as it runs, and none runs after Close.
func TestCloseWaitsForRequests(t *testing.T) {
	s := New(Options{Metrics: http.NotFoundHandler()})
	began, goOn := make(chan struct{}), make(chan struct{})
	ended := false
	handler := s.untilClosed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-goOn
		ended = true
	}))
	go handler.ServeHTTP(nil, nil)
	<-began
	time.AfterFunc(50*time.Millisecond, func() { close(goOn) })
	s.Close()
	s.Close()
	if !ended {
		t.Error("a request runs on")
	}
	late := &answered{}
	if handler.ServeHTTP(late, nil); late.status != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d", late.status)
	}
}

// answered is a ResponseWriter that keeps the status.
type answered struct{ status int }

func (a *answered) Header() http.Header            { return http.Header{} }
func (a *answered) WriteHeader(status int)         { a.status = status }
func (a *answered) Write(text []byte) (int, error) { return len(text), nil }
