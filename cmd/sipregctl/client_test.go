package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipregd/internal/admin/api"
)

// serveUnix answers at a control socket in place of the daemon, and returns its
// path.
func serveUnix(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

// sipregctl runs the command line and returns what it printed and its exit status.
func sipregctl(arguments ...string) (out, errs string, status int) {
	var o, e bytes.Buffer
	status = run(arguments, strings.NewReader(""), &o, &e)
	return o.String(), e.String(), status
}

func TestSocketThatNobodyListensAtIsNamed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	want := "sipregctl: nobody listens at " + socket + ": sipregd is not running (systemctl status sipregd)\n"
	if _, errs, status := sipregctl("stats", "--socket", socket); status != 1 || errs != want {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

// pagesOf answers with pages of one contact each.
func pagesOf(contacts ...api.Contact) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, at := api.Contacts{Total: len(contacts)}, 0
		_, _ = fmt.Sscan(r.URL.Query().Get("after"), &at)
		page.Contacts = contacts[at : at+1]
		if at+1 < len(contacts) {
			page.Next = fmt.Sprint(at + 1)
		}
		_ = json.NewEncoder(w).Encode(page)
	}
}

func TestAllPagesAreShown(t *testing.T) {
	socket := serveUnix(t, pagesOf(kitchen, kitchen, desk))
	out, errs, status := sipregctl("contacts", "--socket", socket)
	if status != 0 || strings.Count(out, "AUTHNAME") != 1 || !strings.HasSuffix(out, "\n3 bindings of 2 addresses\n") {
		t.Errorf("exit status %d, printed:\n%s%s", status, out, errs)
	}
	out, _, _ = sipregctl("contacts", "--limit", "2", "--socket", socket)
	if !strings.HasSuffix(out, "\nthe first 2 of 3 bindings\n") {
		t.Errorf("limited:\n%s", out)
	}
}

func TestPagesAreOneDocumentOfJSON(t *testing.T) {
	hostile := kitchen
	hostile.UserAgent = "\x1b]0;x\x07\u009b\u202e\U000e0001 日本"
	for _, contacts := range [][]api.Contact{{hostile}, {kitchen, hostile, desk}} {
		out, _, status := sipregctl("contacts", "--json", "--socket", serveUnix(t, pagesOf(contacts...)))
		var got api.Contacts
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 {
			t.Fatalf("%v: %s", err, out)
		}
		if got.Total != len(contacts) || len(got.Contacts) != len(contacts) || got.Contacts[len(contacts)/2].UserAgent != hostile.UserAgent {
			t.Errorf("got %+v", got)
		}
		if strings.ContainsAny(out, "\x1b\x07\u009b\u202e\U000e0001") || !strings.Contains(out, "日本") {
			t.Errorf("not fit for a terminal: %q", out)
		}
	}
}

func TestWhatTheDaemonRefusesIsSaid(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"with a reason", 409, `{"error":"it is\u001b[31m so"}`, `it is\x1b[31m so`},
		{"without", 500, `oops`, "the daemon answers 500 Internal Server Error and says no more: is it a sipregd of this version that listens there?"},
		{"elsewhere", 302, ``, "the daemon answers 302 Found and says no more: is it a sipregd of this version that listens there?"},
		{"no JSON", 200, `<html>`, "the answer of the daemon is not what this sipregctl knows, are both of one version? invalid character '<' looking for beginning of value"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			socket := serveUnix(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			out, errs, status := sipregctl("stats", "--socket", socket)
			if status != 1 || out != "" || errs != "sipregctl: "+test.want+"\n" {
				t.Errorf("exit status %d, printed %q, %q", status, out, errs)
			}
		})
	}
}

// A name goes into the path of the request whole, whatever it holds.
func TestNamesAreEscapedInPaths(t *testing.T) {
	const label = "a/b?c#d%2F é"
	socket := serveUnix(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/peers/" + label; r.URL.Path != want || r.URL.RawQuery != "" {
			t.Errorf("asked for %q, want %q", r.URL.Path, want)
		}
		_ = json.NewEncoder(w).Encode(api.Peer{Label: label})
	})
	if _, errs, status := sipregctl("peers", label, "--socket", socket); status != 0 {
		t.Error(errs)
	}
}

func TestAdmission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("just root gives files away")
	}
	const group = 54321 // that has no name
	tests := []struct {
		name string
		mode os.FileMode
		gid  int
		want string
	}{
		{"the group may write", 0o660, group, "use sudo, or let your account join its group: sudo usermod -aG 54321 NAME, and log in anew"},
		{"just the owner may", 0o600, group, "use sudo"},
		{"the group is root", 0o660, 0, "use sudo"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			if err := os.WriteFile(path, nil, test.mode); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(path, test.mode), os.Chown(path, -1, test.gid)); err != nil {
				t.Fatal(err)
			}
			if got := admission(path, mayWrite); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSuggestionsHoldNothingForTheShell(t *testing.T) {
	contacts := []api.Contact{kitchen, {AOR: "200$(reboot)"}, {AOR: "200`x`"}, {AOR: "200\x1b"}, {AOR: "200\nx"}, kitchen, {AOR: "2009", Label: "a\tb"}}
	socket := serveUnix(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Contacts{Contacts: contacts})
	})
	out, _, _ := sipregctl("__complete", "contacts", "--socket", socket, "200")
	if want := "2001\tKitchen, 1st floor\n2009\ta\\tb\n:4\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

// Who reads what the daemon saw last is told so.
func TestStaleAnswersAreMarked(t *testing.T) {
	for _, stale := range []bool{false, true} {
		socket := serveUnix(t, func(w http.ResponseWriter, r *http.Request) {
			var answer any = api.Contacts{Total: 1, Contacts: []api.Contact{{AOR: "2001"}}, Stale: stale}
			switch r.URL.Path {
			case "/api/v1/peers":
				answer = api.Peers{Total: 1, Peers: []api.Peer{{Label: "Kitchen", Bindings: 1}}, Stale: stale}
			case "/api/v1/peers/Kitchen":
				answer = api.Peer{Label: "Kitchen", Bindings: 1, Stale: stale}
			}
			_ = json.NewEncoder(w).Encode(answer)
		})
		for _, command := range [][]string{{"contacts"}, {"peers"}, {"peers", "Kitchen"}} {
			out, errs, status := sipregctl(append(command, "--socket", socket)...)
			if strings.Contains(out, "Redis IS AWAY") != stale || status != 0 {
				t.Errorf("%q while stale is %v: %d %s%s", command, stale, status, out, errs)
			}
			out, errs, status = sipregctl(append(command, "--json", "--socket", socket)...)
			if strings.Contains(out, "\"stale\"") != stale || status != 0 {
				t.Errorf("%q --json while stale is %v: %d %s%s", command, stale, status, out, errs)
			}
		}
	}
}
