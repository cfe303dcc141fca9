package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipregd/internal/admin/chromium"
)

// phonePage serves a page with the phones of testdata/browser, as .ci/phones has
// built them.
func phonePage(t *testing.T) (url string) {
	t.Helper()
	path, err := filepath.Abs("../../bin/phones.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("SKIPPED: bin/phones.js is not built, as by .ci/phones with npm and a network") // in CI too: others' servers may be down
	}
	pages := http.NewServeMux()
	pages.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><title>phone</title><script src="/phones.js"></script>`)
	})
	pages.HandleFunc("/phones.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	return server.URL
}

// RFC 7118, by phones that others wrote, in a real browser. A page has no address
// that one could connect to: its Via and Contact say so by .invalid.
func TestBrowserPhonesOverWSS(t *testing.T) {
	tests := []struct {
		name, agent string
		forgiven    string // what it is refused for once and does better at once
	}{
		{"jssip", "JsSIP", `"reason":"stale_nonce"`},
		{"sipjs", "SIP.js", `"status":401`}, // it counts no nonces: nonce_count_replayed
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := phonePage(t)
			b := chromium.Start(t, chromium.AnyCertificate)
			d := startSecureDaemon(t, newAuthority(t),
				"[registrar]\nmaximum_expiration = 10\nminimum_expiration = 1\ndefault_expiration = 10\n[log]\nlevel = debug\n", phonePeers)
			b.Open(url)
			b.Eval(fmt.Sprintf(`(window.phone = phones.start(%q, {server: "wss://%v", aor: "sip:2001@127.0.0.1",
				authname: "b41d77", secret: "correct-horse", expires: 10}), "")`, test.name, d.wss))
			happened := func(what string, times int) {
				t.Helper()
				b.Wait(fmt.Sprintf(`phone.happened.filter((what) => what === %q).length >= %d`, what, times))
			}
			happened("registered", 1)
			d.waitLog(t, `"event":"added"`)
			for _, field := range []string{`"transport":"WSS"`, `"label":"Workshop"`, `"authname":"b41d77"`, `"aor":"2001"`, `.invalid`, test.agent} {
				if !strings.Contains(d.output.String(), field) {
					t.Errorf("the log lacks %s", field)
				}
			}
			d.waitLog(t, `"event":"refreshed"`)
			if c := d.waitReachable(t, "yes"); !c.NAT { // a browser is asked by its WebSocket, and answers
				t.Errorf("got %+v", c)
			}
			again := d.restart(t) // which cuts it off
			happened("disconnected", 1)
			happened("connected", 2)
			b.Wait(`phone.happened.lastIndexOf("registered") > phone.happened.lastIndexOf("connected")`)
			again.waitLog(t, `"transport":"WSS"`)
			b.Eval(`(phone.stop(), "")`)
			again.waitLog(t, `"event":"removed","src_ip":"127.0.0.1"`)
			happened("unregistered", 1)
			checkRefused(t, d, test.forgiven)
			checkRefused(t, again, test.forgiven)
		})
	}
}

// checkRefused sees to it that a daemon has refused nothing else than what has that
// text in its log line.
func checkRefused(t *testing.T, d *daemon, forgiven string) {
	t.Helper()
	for line := range strings.Lines(d.output.String()) {
		if strings.Contains(line, `"event":"refused"`) && !strings.Contains(line, forgiven) {
			t.Errorf("sipregd has refused %s", line)
		}
	}
}

// A phone without the secret is told so.
func TestBrowserPhoneWithAWrongSecretIsRefused(t *testing.T) {
	url := phonePage(t)
	b := chromium.Start(t, chromium.AnyCertificate)
	d := startSecureDaemon(t, newAuthority(t), "", phonePeers)
	b.Open(url)
	b.Eval(fmt.Sprintf(`(window.phone = phones.start("jssip", {server: "wss://%v", aor: "sip:2001@127.0.0.1",
		authname: "b41d77", secret: "wrong", expires: 60}), "")`, d.wss))
	d.waitLog(t, `"reason":"wrong_secret"`)
	b.Wait(`phone.happened.includes("registrationFailed: Authentication Error")`)
}
