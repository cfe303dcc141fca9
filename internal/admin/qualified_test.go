package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/qualify"
	"sipregd/internal/sipuri"
)

var kitchenAOR = sipuri.AOR{User: "2001"}

// bindQualified binds 2001 to a phone behind NAT of which that is known.
func (l *lab) bindQualified(status qualify.Status) {
	l.bind(kitchenAOR, location.Binding{Contact: "sip:2001@10.0.0.7", NAT: true, Path: "<sip:p.example;lr>", Authname: "7f3a9c"})
	l.qualified = map[uint64]qualify.Status{l.store.Bindings(kitchenAOR, noon)[0].ID: status}
}

func TestContactsTellWhetherPhonesAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		status qualify.Status
		want   string // the end of the contact
	}{
		{"not asked yet", qualify.Status{}, `"nat":true,"path":"\u003csip:p.example;lr\u003e"}`},
		{"reachable", qualify.Status{State: qualify.Reachable, RoundTrip: 12345 * time.Microsecond}, `,"reachable":"yes","rtt_ms":12.345}`},
		{"unreachable", qualify.Status{State: qualify.Unreachable}, `,"reachable":"no"}`},
		{"unreachable, and it was not once", qualify.Status{State: qualify.Unreachable, RoundTrip: time.Millisecond}, `,"reachable":"no","rtt_ms":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.bindQualified(test.status)
			for _, path := range []string{"/api/v1/contacts", "/api/v1/contacts/2001", "/api/v1/why?q=2001"} {
				if _, text := l.ask(http.MethodGet, path, ""); !strings.Contains(text, test.want) {
					t.Errorf("%s: no %s in %s", path, test.want, text)
				}
			}
		})
	}
}

// A phone that has lost its connection is not there, whether it was asked or not.
func TestContactsTellOfConnectionsThatAreGone(t *testing.T) {
	l := newLab(t)
	l.bind(kitchenAOR, location.Binding{Contact: "sip:2001@192.0.2.7;transport=tcp", Transport: "TCP", Stream: 7})
	if _, text := l.ask(http.MethodGet, "/api/v1/contacts/2001", ""); !strings.Contains(text, `"reachable":"no"`) {
		t.Errorf("got %s", text)
	}
}

// noAnswer records that the phone of a binding of 2001 does not answer.
func (l *lab) noAnswer(b location.Binding) {
	l.Recorder.Record(journal.Event{Kind: journal.Unreachable, Reason: journal.NoAnswer, AOR: kitchenAOR, Binding: b.ID, Contact: b.Contact,
		Authname: "7f3a9c", Detail: "no answer to OPTIONS for 3 s"})
}

// whyOf is what somebody is told who asks for a name.
func (l *lab) whyOf(name string) api.Why {
	look, end := l.begin(l.request(http.MethodGet, "/api/v1/why", ""))
	defer end()
	return l.why(look, name, 10)
}

// That one of two phones with one Contact does not answer says nothing of the other.
func TestWhyTellsPhonesWithOneContactApart(t *testing.T) {
	l := newLab(t)
	for range 2 {
		l.bind(kitchenAOR, location.Binding{Contact: "sip:2001@192.168.1.10", NAT: true, Authname: "7f3a9c"})
	}
	bound := l.store.Bindings(kitchenAOR, noon)
	l.qualified = map[uint64]qualify.Status{bound[0].ID: {State: qualify.Reachable}, bound[1].ID: {State: qualify.Unreachable}}
	for i, failures := range []int{0, 1} {
		l.noAnswer(bound[i])
		if why := l.whyOf(""); len(why.Attempts) != failures {
			t.Errorf("after binding %d: %+v", i, why.Attempts)
		}
	}
}

// That a phone did not answer is over when it does, and when its binding is gone.
func TestWhyTellsWhetherAPhoneIsStillUnreachable(t *testing.T) {
	for _, test := range []struct {
		name   string
		state  qualify.State
		gone   bool
		failed bool
	}{
		{"unreachable still", qualify.Unreachable, false, true},
		{"reachable again", qualify.Reachable, false, false},
		{"its binding is gone", qualify.Unreachable, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.bindQualified(qualify.Status{State: test.state})
			l.noAnswer(l.store.Bindings(kitchenAOR, noon)[0])
			if test.gone {
				l.store.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil)
			}
			for _, query := range []string{"2001", ""} {
				_, text := l.ask(http.MethodGet, "/api/v1/why?q="+query, "")
				var why api.Why
				if err := json.Unmarshal([]byte(text), &why); err != nil {
					t.Fatal(err)
				}
				if query == "" && !test.failed {
					if len(why.Attempts) > 0 {
						t.Errorf("among the failures of all: %s", text)
					}
					continue
				}
				if len(why.Attempts) != 1 || why.Attempts[0].Failed != test.failed || (why.Attempts[0].Cure != "") != test.failed ||
					strings.Contains(why.Attempts[0].Cause, "the phone does not answer") != test.failed {
					t.Errorf("q=%s: %s", query, text)
				}
			}
		})
	}
}
