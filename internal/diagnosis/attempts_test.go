package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/peers"
	"sipregd/internal/peers/peerstest"
	"sipregd/internal/sipuri"
)

// now is when somebody asks.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// load reads peers.conf for those domains.
func load(t testing.TB, text string, domains ...string) *peers.Directory {
	t.Helper()
	return peerstest.Load(t, text, peers.Options{
		Domains: peers.NewDomains(domains, ""), Algorithms: []digest.Algorithm{digest.MD5, digest.SHA256},
		MaxContacts: 10, RemoveExisting: true, MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 7200,
	})
}

// of returns an event of the Kitchen's phone, so many seconds ago.
func of(ago int, call string, kind journal.Kind, reason journal.Reason) journal.Event {
	e := journal.Event{
		Time: now.Add(-time.Duration(ago) * time.Second), Kind: kind, Reason: reason, CallID: call,
		Source: netip.MustParseAddrPort("192.0.2.7:5060"), Transport: "UDP", AOR: sipuri.AOR{User: "2001"}, Authname: "7f3a9c",
	}
	if kind == journal.Challenged {
		e.Authname = ""
	}
	return e
}

func challenged(ago int, call string) journal.Event {
	return of(ago, call, journal.Challenged, journal.None)
}

func refused(ago int, call string, reason journal.Reason) journal.Event {
	return of(ago, call, journal.Refused, reason)
}

func added(ago int, call string) journal.Event { return of(ago, call, journal.Added, journal.None) }

func refreshed(ago int, call string) journal.Event {
	return of(ago, call, journal.Refreshed, journal.None)
}

func listedAt(ago int, call string) journal.Event { return of(ago, call, journal.Listed, journal.None) }

// from returns the event as from another address.
func from(address string, e journal.Event) journal.Event {
	e.Source = netip.AddrPortFrom(netip.MustParseAddr(address), 5060)
	return e
}

// with returns the event with that detail.
func with(detail string, e journal.Event) journal.Event {
	e.Detail = detail
	return e
}

const kitchen = "[Kitchen]\nauthname = 7f3a9c\nsecret = s\naorname = 2001\n"

func TestAttempts(t *testing.T) {
	const stale, replay, brief = journal.StaleNonce, journal.Replay, journal.ExpiryTooBrief
	tests := []struct {
		story  string
		events []journal.Event // the first one first
		want   []string        // event, reason, times, the latest first
	}{
		{"nothing", nil, nil},
		{"registered", []journal.Event{challenged(60, "a"), added(60, "a")}, []string{"added  1"}},
		{"refreshed", []journal.Event{challenged(900, "a"), added(900, "a"), refreshed(600, "a"), refreshed(300, "a")}, []string{"refreshed  3"}},
		{"asked what is bound", []journal.Event{challenged(60, "a"), listedAt(60, "a")}, nil},
		{"unregistered", []journal.Event{challenged(60, "a"), of(60, "a", journal.Removed, journal.ByPhone)}, []string{"removed by_phone 1"}},

		{"not answered yet", []journal.Event{challenged(5, "a")}, nil},
		{"not answered", []journal.Event{challenged(6, "a")}, []string{"challenged  1"}},
		{"not answered again and again", []journal.Event{challenged(90, "a"), challenged(60, "b"), challenged(30, "b")}, []string{"challenged  3"}},
		{"not answered, now under way", []journal.Event{challenged(90, "a"), challenged(2, "a")}, []string{"challenged  1"}},
		{"not answered by one, and by another", []journal.Event{challenged(90, "a"), added(90, "a"), from("192.0.2.8", challenged(60, "b"))},
			[]string{"challenged  1", "added  1"}},
		{"answered wrongly", []journal.Event{challenged(60, "a"), refused(60, "a", journal.WrongSecret)}, []string{"refused wrong_secret 1"}},
		{"challenged with what the administrator then removed", []journal.Event{added(90, "a"), challenged(60, "a"), of(30, "a", journal.Removed, journal.ByAdministrator)},
			[]string{"removed by_administrator 1", "challenged  1", "added  1"}},

		{"wrong secret in a row", []journal.Event{
			challenged(90, "a"), refused(90, "a", journal.WrongSecret), refused(90, "a", journal.WrongSecret),
			challenged(60, "b"), refused(60, "b", journal.WrongSecret),
		}, []string{"refused wrong_secret 3"}},
		{"wrong secret, then right", []journal.Event{refused(90, "a", journal.WrongSecret), added(60, "a")},
			[]string{"added  1", "refused wrong_secret 1"}},
		{"wrong, right, and wrong again", []journal.Event{refused(90, "a", journal.WrongSecret), added(60, "a"), refused(30, "a", journal.WrongSecret)},
			[]string{"refused wrong_secret 1", "added  1", "refused wrong_secret 1"}},
		{"two phones in turns", []journal.Event{
			refused(90, "a", journal.WrongSecret), from("192.0.2.8", refused(80, "b", journal.WrongSecret)),
			refused(70, "a", journal.WrongSecret), from("192.0.2.8", refused(60, "b", journal.WrongSecret)),
		}, []string{"refused wrong_secret 2", "refused wrong_secret 2"}},

		{"stale once", []journal.Event{challenged(60, "a"), refused(60, "a", stale), added(60, "a")}, []string{"added  1"}},
		{"stale once, asked what is bound", []journal.Event{challenged(60, "a"), refused(60, "a", stale), listedAt(60, "a")}, nil},
		{"stale, then silent", []journal.Event{challenged(60, "a"), refused(60, "a", stale)}, []string{"refused stale_nonce 1"}},
		{"stale, under way", []journal.Event{challenged(3, "a"), refused(3, "a", stale)}, nil},
		{"stale, then refused", []journal.Event{refused(60, "a", stale), refused(60, "a", journal.AORNotListed)},
			[]string{"refused aor_not_of_this_peer 1"}},
		{"stale, which was the end of an earlier try", []journal.Event{refused(60, "a", stale), added(30, "b")},
			[]string{"added  1", "refused stale_nonce 1"}},
		{"loop, now", []journal.Event{refused(1, "a", stale), refused(1, "a", stale), refused(1, "a", stale)}, []string{"refused stale_nonce 3"}},
		{"loop of stale and used nonces", []journal.Event{refused(1, "a", stale), refused(1, "a", replay), refused(1, "a", stale)},
			[]string{"refused stale_nonce 3"}},
		{"loop that ended well", []journal.Event{refused(60, "a", stale), refused(60, "a", stale), refused(60, "a", stale), added(60, "a")},
			[]string{"added  1"}},

		{"raised the expiry", []journal.Event{refused(60, "a", brief), added(60, "a")}, []string{"added  1"}},
		{"about to raise the expiry", []journal.Event{refused(1, "a", brief)}, nil},
		{"did not raise the expiry", []journal.Event{refused(60, "a", brief), refused(30, "a", brief)}, []string{"refused expiry_too_brief 2"}},
		{"raised the expiry in vain", []journal.Event{refused(60, "a", brief), refused(60, "a", journal.TooManyContacts)},
			[]string{"refused too_many_contacts 1"}},

		{"expired, and came back", []journal.Event{added(90, "a"), of(60, "a", journal.Expired, journal.NoLongerRefreshed), added(30, "b")},
			[]string{"added  1", "expired not_refreshed 1", "added  1"}},
		{"unreachable, and reachable again", []journal.Event{added(90, "a"), of(60, "", journal.Unreachable, journal.NoAnswer), of(30, "", journal.Reachable, journal.None)},
			[]string{"reachable  1", "unreachable no_answer 1", "added  1"}},
		{"replaced", []journal.Event{added(90, "a"), of(60, "a", journal.Replaced, journal.ByNewerContact)},
			[]string{"replaced newer_contact 1", "added  1"}},
		{"malformed in two ways", []journal.Event{
			with("Malformed Via", refused(60, "a", journal.Malformed)), with("Malformed From", refused(50, "a", journal.Malformed)),
			with("Malformed From", refused(40, "a", journal.Malformed)),
		}, []string{"refused malformed 2", "refused malformed 1"}},
		{"without a Call-ID", []journal.Event{challenged(60, ""), added(50, "")}, []string{"added  1", "challenged  1"}},
	}
	directory := load(t, kitchen)
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			events := slices.Clone(test.events)
			slices.Reverse(events)
			var got []string
			for _, a := range attemptsOf(events, directory, now) {
				got = append(got, fmt.Sprintf("%s %s %d", a.Event.Kind, a.Event.Reason, a.Times))
				hasFailed := a.Event.Kind == journal.Refused || a.Event.Kind == journal.Challenged || a.Event.Kind == journal.Expired ||
					a.Event.Kind == journal.Unreachable
				if a.Failed != hasFailed || a.Cause == "" {
					t.Errorf("%s: failed %v, cause %q", a.Event.Kind, a.Failed, a.Cause)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The last event of an attempt is the one that is shown.
func TestAttemptShowsItsLastEvent(t *testing.T) {
	events := []journal.Event{refused(10, "b", journal.WrongSecret), refused(60, "a", journal.WrongSecret)}
	got := attemptsOf(events, load(t, kitchen), now)
	if len(got) != 1 || !got[0].Event.Time.Equal(events[0].Time) {
		t.Errorf("%+v", got)
	}
	if got[0].Where == "" {
		t.Error("where the peer stands is not said")
	}
}

// A directory and a memory as large as they get.
func BenchmarkAttempts(b *testing.B) {
	var text []byte
	for i := range 100000 {
		text = fmt.Appendf(text, "[Desk %d]\nauthname = phone-%[1]d\nsecret = s\naorname = %[1]d\n", i)
	}
	directory := load(b, string(text))
	var events []journal.Event
	for i := range 5000 {
		e := refused(60, "a", journal.UnknownAuthname)
		e.Authname = fmt.Sprintf("stranger-%d", i)
		events = append(events, e)
	}
	for b.Loop() {
		attemptsOf(events, directory, now)
	}
}

// attemptsOf asks for all events.
func attemptsOf(events []journal.Event, directory *peers.Directory, now time.Time) []Attempt {
	attempts, _ := Attempts(events, func(*journal.Event) bool { return true }, directory, now)
	return attempts
}

// What somebody else's answer tells of a challenge counts, and is not told.
func TestWhatOthersAnsweredIsNotOpen(t *testing.T) {
	events := []journal.Event{challenged(1, "c"), added(59, "a"), challenged(60, "a"), challenged(70, "b")}
	asked := func(e *journal.Event) bool { return e.Kind == journal.Challenged }
	got, underWay := Attempts(events, asked, load(t, kitchen), now)
	if len(got) != 1 || got[0].Event.CallID != "b" || !underWay {
		t.Errorf("under way %v, got %+v", underWay, got)
	}
}
