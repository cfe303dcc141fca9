package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/admin/chromium"
)

func TestPageComesWithStrictHeaders(t *testing.T) {
	tests := []struct {
		path, kind, holds string
	}{
		{"/", "text/html; charset=utf-8", "<title>sipregd</title>"},
		{"/page/style.css", "text/css; charset=utf-8", "color-scheme"},
		{"/page/page.js", "text/javascript; charset=utf-8", "import"},
		{"/page/icon.svg", "image/svg+xml", "<svg"},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			answer := getPage(test.path, "")
			if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), test.holds) {
				t.Fatalf("status %d:\n%s", answer.Code, answer.Body)
			}
			for name, want := range map[string]string{
				"Content-Type": test.kind, "Content-Security-Policy": pagePolicy, "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
			} {
				if got := answer.Header().Get(name); got != want {
					t.Errorf("%s is %q, not %q", name, got, want)
				}
			}
			tag := answer.Header().Get("ETag")
			if again := getPage(test.path, tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("with the ETag %q: status %d", tag, again.Code)
			}
		})
	}
}

func TestPageHasNothingElse(t *testing.T) {
	for _, path := range []string{"/page/", "/page/index.html", "/page/../page.go", "/nothing"} {
		if answer := getPage(path, ""); answer.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, answer.Code)
		}
	}
}

func getPage(path, tag string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	answer := httptest.NewRecorder()
	page().ServeHTTP(answer, request)
	return answer
}

// rows is an expression for how many rows the table has.
const rows = `document.querySelectorAll("#rows tr").length`

func openFake(t *testing.T, d *fakeDaemon) *chromium.Browser {
	t.Helper()
	b := chromium.Start(t)
	b.Open(d.URL)
	b.Wait(`document.getElementById("link").textContent === "Live"`)
	return b
}

func numbered(count int) []api.Contact {
	var contacts []api.Contact
	for i := range count {
		aor := fmt.Sprint(100000 + i)
		contacts = append(contacts, binding(aor, "a"+aor, "Desk "+aor, "sip:"+aor+"@192.0.2.1", "192.0.2.1:5060", "phone", time.Minute))
	}
	return contacts
}

// However many events there are, the server is asked about once a second.
func TestPageBearsAFloodOfEvents(t *testing.T) {
	d := newFakeDaemon(t)
	d.set(func() { d.contacts = numbered(150) })
	b := openFake(t, d)
	b.Wait(rows + " === 150")
	start, pages, single := time.Now(), d.asked("/api/v1/contacts"), 0
	for i := range 5000 {
		d.happen(api.Event{Seq: uint64(i + 1), Time: time.Now(), Event: "added", AOR: fmt.Sprint(100000 + i%150)})
		if i%20 == 0 {
			b.Eval("1") // the page takes some before there are more
		}
	}
	d.set(func() { d.contacts = numbered(151) })
	d.happen(api.Event{Seq: 5001, Time: time.Now(), Event: "added", AOR: "100150"})
	b.Wait(rows + " === 151")
	for i := range 151 {
		single += d.asked(fmt.Sprintf("/api/v1/contacts/%d", 100000+i))
	}
	allowed := 5 + int(time.Since(start).Seconds())
	if asked := d.asked("/api/v1/contacts") - pages; asked > allowed || single > 8*allowed {
		t.Errorf("the table was asked for %d times, and %d AORs by themselves, in %v", asked, single, time.Since(start))
	}
}

func TestPageLoadsNoMoreThanSomebodyLooksAt(t *testing.T) {
	d := newFakeDaemon(t)
	d.set(func() { d.contacts = numbered(5000) })
	b := openFake(t, d)
	b.Wait(rows + " === 200")
	b.Wait(`document.getElementById("matches").textContent === "200 of 5,000"`)
	b.Click("#more")
	b.Wait(rows + " === 400")
	// What happens beyond the last row adds none.
	d.set(func() { d.contacts = numbered(5000)[1:] })
	d.happen(api.Event{Seq: 1, Time: time.Now(), Event: "removed", AOR: "100000"})
	b.Wait(`document.getElementById("matches").textContent === "399 of 4,999"`)
	d.set(func() { d.contacts = numbered(5001)[1:] })
	d.happen(api.Event{Seq: 2, Time: time.Now(), Event: "added", AOR: "105000"})
	b.Wait(`document.getElementById("matches").textContent === "399 of 5,000"`)
	for want := 600; want <= 1000; want += 200 {
		b.Click("#more")
		b.Wait(fmt.Sprint(rows, " === ", want))
	}
	b.Wait(`document.getElementById("more").hidden`)
	b.Wait(`document.getElementById("matches").textContent.endsWith("search for the others")`)
}

// A list that is answered late is not newer than what has happened meanwhile.
func TestPageKeepsWhatIsNewerThanALateList(t *testing.T) {
	d, hold := newFakeDaemon(t), make(chan struct{})
	d.set(func() { d.contacts = numbered(1) })
	b := openFake(t, d)
	b.Wait(rows + " === 1")
	d.set(func() { d.hold = hold })
	b.Eval(`document.dispatchEvent(new Event("visibilitychange"))`) // it looks anew
	waitUntil(t, "a list is late", func() (late bool) { d.set(func() { late = d.held }); return late })
	d.set(func() { d.contacts = numbered(2) })
	d.happen(api.Event{Seq: 1, Time: time.Now(), Event: "added", AOR: "100001"})
	b.Wait(rows + " === 2")
	asked := d.asked("/api/v1/contacts")
	d.set(func() { d.hold = nil })
	close(hold)
	waitUntil(t, "the list is asked for again", func() bool { return d.asked("/api/v1/contacts") > asked })
	b.Wait(rows + " === 2")
}

func TestPageSaysThatItLostTheConnection(t *testing.T) {
	d := newFakeDaemon(t)
	b := openFake(t, d)
	d.set(func() { d.down = true })
	d.disconnect()
	b.Wait(`document.getElementById("link").textContent.startsWith("Connection lost")`)
	d.set(func() { d.down, d.contacts = false, numbered(1) })
	b.Wait(`document.getElementById("link").textContent === "Live"`)
	b.Wait(rows + " === 1")
}

func TestPageTellsOfEachFailure(t *testing.T) {
	d := newFakeDaemon(t)
	b := openFake(t, d)
	for i, kind := range []string{"refused", "expired", "unreachable"} {
		attempt := failure(uint64(i+1), time.Second, 1, "", "2001", "7f3a9c", "", "192.0.2.7:5060", "It was "+kind+".", "")
		attempt.Event.Event = kind
		d.set(func() { d.attempts = []api.Attempt{attempt} })
		d.happen(attempt.Event)
		b.Wait(fmt.Sprintf(`document.getElementById("failures").textContent.includes("It was %s.")`, kind))
	}
}

func TestPageTellsWhetherAPhoneAnswers(t *testing.T) {
	d := newFakeDaemon(t)
	b := openFake(t, d)
	for i, step := range []struct{ event, reachable, row, sheet string }{
		{"added", "", "192.0.2.1:5060 UDP", ""},
		{"unreachable", "no", "192.0.2.1:5060 UDP, no answer", "no: it is unreachable"},
		{"reachable", "yes", "192.0.2.1:5060 UDP", "after 12.3 ms"},
	} {
		d.set(func() {
			d.contacts = numbered(1)
			d.contacts[0].Reachable = step.reachable
			if step.reachable == "yes" {
				d.contacts[0].RoundTrip = 12.3
			}
		})
		d.happen(api.Event{Seq: uint64(i + 1), Time: time.Now(), Event: step.event, AOR: "100000"})
		b.Wait(fmt.Sprintf(`document.querySelector("#rows .from")?.textContent === %q`, step.row))
		if i == 0 {
			b.Click("#rows button")
		}
		b.Wait(fmt.Sprintf(`document.getElementById("details-fields").textContent.includes("Answers") === %v`, step.sheet != ""))
		b.Wait(fmt.Sprintf(`document.getElementById("details-fields").textContent.includes(%q)`, step.sheet))
	}
}

// twins are two phones of an AOR behind NAT with one Contact.
func twins() []api.Contact {
	contacts := make([]api.Contact, 2)
	for i, source := range []string{"198.51.100.1:61022", "203.0.113.7:33410"} {
		contacts[i] = binding("2001", "7f3a9c", "Kitchen", "sip:2001@192.168.1.10", source, "phone", time.Minute)
		contacts[i].ID = fmt.Sprint(1795694400000000001 + i) // JavaScript takes both numbers for one
		contacts[i].NAT = true
	}
	return contacts
}

func TestPageTellsBindingsWithOneContactApart(t *testing.T) {
	d := newFakeDaemon(t)
	d.set(func() { d.contacts = twins() })
	b := openFake(t, d)
	b.Wait(rows + " === 2")
	for i, source := range []string{"198.51.100.1:61022", "203.0.113.7:33410"} {
		b.Click(fmt.Sprintf("#rows tr:nth-child(%d) button", i+1))
		b.Wait(fmt.Sprintf(`document.getElementById("details-fields").textContent.includes(%q)`, source))
		b.Click("#close")
	}
	b.Click("#rows tr:last-child button")
	b.Click("#remove")
	b.Click("#remove-now")
	b.Wait(rows + ` === 1 && document.querySelector("#rows .from").textContent === "198.51.100.1:61022 UDP"`)
}

// fieldOf is an expression for what the details say below a caption; empty: nothing.
func fieldOf(caption string) string {
	return fmt.Sprintf(`([...document.querySelectorAll("#details-fields > div")].find((field) =>
		field.querySelector("dt").textContent === %q)?.querySelector("dd").textContent ?? "")`, caption)
}

func TestPageShowsHowAPhoneIsReached(t *testing.T) {
	plain := numbered(1)[0]
	behind := plain
	behind.NAT, behind.Path, behind.Instance = true, "<sip:edge.example.com;lr>", "urn:uuid:<b>"
	push := func(p api.Push) api.Contact {
		with := plain
		with.Push = &p
		return with
	}
	for _, test := range []struct {
		name                      string
		contact                   api.Contact
		nat, path, instance, push string
	}{
		{"at its Contact", plain, "", "", "", ""},
		{"behind NAT", behind, "yes: reached by the way that it came, alone", "<sip:edge.example.com;lr>", "urn:uuid:<b>", ""},
		{"by push", push(api.Push{Provider: "apns", Param: "TEAM.app", Token: "00fc13adff"}), "", "", "", "apns, TEAM.app, token 00fc13ad…"},
		{"by push, with a short token", push(api.Push{Provider: "fcm", Token: "00fc13ad"}), "", "", "", "fcm, token 00fc13ad"},
		{"by push, with no token", push(api.Push{Provider: "webpush\u202e"}), "", "", "", `webpush\u202e`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newFakeDaemon(t)
			d.set(func() { d.contacts = []api.Contact{test.contact} })
			b := openFake(t, d)
			b.Wait(rows + " === 1")
			b.Click("#rows button")
			b.Wait(fieldOf("Contact") + ` !== ""`)
			for caption, want := range map[string]string{
				"Behind NAT": test.nat, "Path": test.path, "Instance": test.instance, "Push": test.push,
			} {
				b.Wait(fmt.Sprintf("%s === %q", fieldOf(caption), want))
			}
		})
	}
}

func TestPageSaysWhatIsWrongWithTheDaemon(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	d := newFakeDaemon(t)
	d.set(func() {
		d.stats.Store = api.Store{Kind: "file", Failure: "no space left on device", Since: &since, Unsaved: 12}
		d.stats.Reload = api.Reload{Time: since, Errors: []string{"peers.conf:7: [<b>Lab</b>] secret is empty"}}
		d.stats.Webhook = &api.Webhook{Failure: "connection refused"}
	})
	b := openFake(t, d)
	for _, text := range []string{"12 addresses wait", "no space left on device", "peers.conf:7: [<b>Lab</b>] secret is empty", "connection refused"} {
		b.Wait(fmt.Sprintf(`document.getElementById("notices").textContent.includes(%q)`, text))
	}
	b.Wait(`document.getElementById("store").textContent === "not on disk"`)
	d.set(func() { d.stats.Store = api.Store{Kind: "file", Durable: true} })
	d.happen(api.Event{Seq: 1, Time: time.Now(), Event: "added", AOR: "1"})
	b.Wait(`document.getElementById("store").textContent === "on disk"`)
}
