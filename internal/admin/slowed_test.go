package admin

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
)

// A source that is slowed is asked for by its address, or by a phone that comes from
// there; and it is over when nothing more was dropped.
func TestWhyTellsWhoIsSlowed(t *testing.T) {
	source := netip.MustParseAddrPort("192.0.2.7:5060")
	for _, test := range []struct {
		name   string
		since  time.Duration
		failed bool
	}{{"still", time.Minute, true}, {"no more", 3 * time.Minute, false}} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.Recorder.Record(journal.Event{Time: noon.Add(-time.Hour), Kind: journal.Refused, Reason: journal.WrongSecret, AOR: kitchenAOR, Authname: "7f3a9c", Source: source, CallID: "c"})
			l.Recorder.Record(journal.Event{Time: noon.Add(-test.since), Kind: journal.Refused, Reason: journal.TooManyRequests, Source: source,
				Detail: "192.0.2.7 sent more than 20 requests a second (rate)"})
			for _, query := range []string{"192.0.2.7", "2001", "192.0.2.0/24"} {
				_, text := l.ask(http.MethodGet, "/api/v1/why?q="+query, "")
				var why api.Why
				if err := json.Unmarshal([]byte(text), &why); err != nil {
					t.Fatal(err)
				}
				if len(why.Attempts) != 2 || why.Attempts[0].Failed != test.failed || (why.Attempts[0].Cure != "") != test.failed ||
					!strings.HasPrefix(why.Attempts[0].Cause, "Some of what came from there was dropped unread: 192.0.2.7 sent more than 20 requests a second (rate).") {
					t.Errorf("q=%s: %s", query, text)
				}
			}
		})
	}
}
