package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// natConf has the daemon say all that it does, and not wait long for a phone to come
// back.
const natConf = "[registrar]\nminimum_expiration = 1\ndisconnect_grace = 1\n[log]\nlevel = debug\n"

const (
	qualified   = phonePeers + "qualify_frequency = 1\nqualify_timeout = 1\n"
	unqualified = phonePeers + "qualify_frequency = 0\n"
)

func (d *daemon) bindings(t *testing.T) []api.Contact {
	t.Helper()
	var answer api.Contacts
	d.ask(t, http.MethodGet, "/api/v1/contacts", nil, &answer)
	return answer.Contacts
}

// waitBinding waits until there is one binding, and it is as it should be.
func (d *daemon) waitBinding(t *testing.T, what string, is func(api.Contact) bool) api.Contact {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		all := d.bindings(t)
		if len(all) == 1 && is(all[0]) {
			return all[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("want one binding, %s: there is %+v", what, all)
		}
	}
}

func (d *daemon) waitReachable(t *testing.T, reachable string) api.Contact {
	t.Helper()
	return d.waitBinding(t, "reachable: "+reachable, func(r api.Contact) bool { return r.Reachable == reachable })
}

// waitUnbound waits until there is no binding.
func (d *daemon) waitUnbound(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(d.bindings(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is still %+v", d.bindings(t))
		}
	}
}

// events counts the log's lines about an event of 2001.
func (d *daemon) events(t *testing.T, event string) int {
	t.Helper()
	return len(slices.DeleteFunc(d.logged(t, "2001"), func(e api.Event) bool { return e.Event != event }))
}

func TestPhoneBehindNATIsReached(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, natConf, qualified)
			a := lab.newATA(t, d, network)
			public := a.bind(t, a.private())
			a.waitAsked(t, a.private())
			r := d.waitReachable(t, "yes")
			if !r.NAT || r.Source != public.String() || r.Contact != a.private() {
				t.Errorf("want %s from %v, behind a NAT: %v", a.private(), public, r)
			}
			if r.RoundTrip <= 0 || r.RoundTrip > 1000 {
				t.Errorf("want the round-trip time of an answer within a second: %v", r)
			}
		})
	}
}

// The phone sends nothing but its answers for twice as long as its router keeps a
// mapping. A datagram passes, or not, as a request for a call would.
func TestMappingIsKeptOpen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, peers string
		open        bool
	}{
		{"qualified", qualified, true},
		{"not qualified", unqualified, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, natConf, test.peers)
			a := lab.newATA(t, d, "udp")
			public := a.bind(t, a.private())
			lab.knock(t, d.udp, public, "first\r\n\r\n")
			a.waitGot(t, "first")
			time.Sleep(2 * mappingSeconds * time.Second)
			lab.knock(t, d.udp, public, "last\r\n\r\n")
			if !test.open {
				time.Sleep(200 * time.Millisecond) // what it takes to pass here, many times over
				if a.line.got("last") > 0 || a.line.got("OPTIONS ") > 0 {
					t.Errorf("the mapping lives on by itself, so this shows nothing: %q", a.line.all())
				}
				return
			}
			a.waitGot(t, "last")
			a.waitAsked(t, a.private())
			if r := d.waitReachable(t, "yes"); r.Source != public.String() {
				t.Errorf("want it from %v: %v", public, r)
			}
		})
	}
}

// A phone's mapping changes. Whatever of the phone tells that it is the same, it has
// one binding, and is asked over the new mapping.
func TestChangedMappingReplacesTheBinding(t *testing.T) {
	t.Parallel()
	private := func(_ *testing.T, a *ata) string { return a.private() }
	for _, test := range []struct {
		name  string
		first func(*testing.T, *ata) string // the Contact
		moves func(*testing.T, *ata)
		event string // of the old Contact
	}{
		{"it writes its private address", private, forgotten, "refreshed"},
		{"it writes its public address", public, forgotten, "replaced"},
		{"its own port changes", private, restarted, "replaced"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, natConf, qualified)
			a := lab.newATA(t, d, "udp")
			before := a.bind(t, test.first(t, a))
			d.waitReachable(t, "yes")
			test.moves(t, a)
			uri := test.first(t, a)
			after := a.bind(t, uri)
			if after == before {
				t.Fatalf("the mapping is %v as before", after)
			}
			d.waitBinding(t, fmt.Sprint("from ", after), func(r api.Contact) bool {
				return r.Contact == uri && r.Source == after.String() && r.NAT
			})
			d.waitLog(t, `"event":"`+test.event+`"`)
			a.waitAsked(t, uri)
			d.waitReachable(t, "yes")
		})
	}
}

// public is the Contact URI of a phone that learns its mapping from the registrar.
func public(t *testing.T, a *ata) string { return "sip:2001@" + a.learn(t).String() }

func forgotten(t *testing.T, a *ata) { a.lab.forget(t) }

// restarted is a phone that goes on in its Call-ID by another socket.
func restarted(t *testing.T, a *ata) {
	a.line.Close()
	a.plug(t)
}

// Two phones behind the same NAT are two.
func TestPhonesBehindOneNATDoNotReplaceEachOther(t *testing.T) {
	t.Parallel()
	lab := newNATLab(t)
	d := lab.startDaemon(t, natConf, qualified)
	var uris []string
	for range 2 {
		a := lab.newATA(t, d, "udp")
		a.bind(t, a.private())
		uris = append(uris, a.private())
	}
	var bound []string
	for _, r := range d.bindings(t) {
		bound = append(bound, r.Contact)
	}
	slices.Sort(uris)
	slices.Sort(bound)
	if !slices.Equal(bound, uris) {
		t.Errorf("want %v bound, there is %+v", uris, bound)
	}
}

func TestPhoneThatDoesNotAnswerIsUnreachableUntilItDoes(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, natConf, qualified)
			a := lab.newATA(t, d, network)
			a.bind(t, a.private())
			d.waitReachable(t, "yes")
			if d.events(t, "unreachable") > 0 {
				t.Error("a phone that answers was unreachable")
			}
			a.line.mute.Store(true)
			d.waitReachable(t, "no")
			d.waitLog(t, `"event":"unreachable"`)
			before := d.events(t, "reachable")
			a.line.mute.Store(false)
			d.waitReachable(t, "yes")
			d.wait(t, `"event":"reachable"`, func(string) bool { return d.events(t, "reachable") > before })
		})
	}
}

// A connection ends, and the phone does not come back.
func TestBindingGoesWithItsConnection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		ends func(*testing.T, *ata)
	}{
		{"closed", func(_ *testing.T, a *ata) { a.line.Close() }},
		{"reset", func(t *testing.T, a *ata) { a.line.reset(t) }},
		{"forgotten by the router", forgotten}, // which refuses the next OPTIONS
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, natConf, qualified)
			a := lab.newATA(t, d, "tcp")
			a.bind(t, a.private())
			a.waitAsked(t, a.private())
			test.ends(t, a)
			d.waitUnbound(t)
			d.waitLog(t, `"event":"removed"`)
		})
	}
}

// A connection ends, and the phone comes back by another one.
func TestBindingStaysWhereThePhoneComesBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, event string
		another     bool // Contact, that of the new connection
	}{
		{"with its old Contact", "refreshed", false},
		{"with another Contact", "replaced", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lab := newNATLab(t)
			d := lab.startDaemon(t, strings.Replace(natConf, "grace = 1", "grace = 2", 1), qualified)
			a := lab.newATA(t, d, "tcp")
			uri := a.private()
			a.bind(t, uri)
			a.line.reset(t)
			a.plug(t)
			if test.another {
				uri = a.private()
			}
			after := a.bind(t, uri)
			time.Sleep(3 * time.Second)
			d.waitBinding(t, fmt.Sprint("from ", after), func(r api.Contact) bool {
				return r.Contact == uri && r.Source == after.String()
			})
			if d.events(t, test.event) != 1 || d.events(t, "removed") > 0 {
				t.Errorf("want the binding %s, and not removed:\n%s", test.event, d.output.String())
			}
			a.waitAsked(t, uri)
		})
	}
}

// quick has phones refresh within three seconds.
const quick = qualified + "minimum_expiration = 1\ndefault_expiration = 3\nmaximum_expiration = 3\n"

// A phone that others wrote, which writes its private address.
func TestBaresipBehindNATIsReached(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	lab := newNATLab(t)
	d := lab.startDaemon(t, natConf, quick)
	var b *baresip
	within(t, lab.home, func() { b = startBaresipAt(t, homeAddress, d.udp, "udp", "b41d77", "correct-horse", "") })
	b.wait(t, registered)
	before := d.waitReachable(t, "yes")
	if !before.NAT || !strings.Contains(before.Contact, "@"+homeAddress.String()+":") {
		t.Errorf("want a private Contact, behind a NAT: %v", before)
	}
	lab.forget(t)
	d.waitBinding(t, "from elsewhere", func(now api.Contact) bool { return now.Source != before.Source })
	d.waitReachable(t, "yes")
	b.stop(t)
	d.waitUnbound(t)
}

// Another one, which learns its mapping from the registrar and writes that.
func TestLinphoneBehindNATIsReached(t *testing.T) {
	requireProgram(t, "linphonec", "linphone-cli")
	t.Parallel()
	lab := newNATLab(t)
	d := lab.startDaemon(t, natConf, quick)
	within(t, lab.home, func() { startLinphoneTo(t, d.udp.String(), d.udp.Addr(), "udp", "") })
	writesPublic := func(r api.Contact) bool { return strings.Contains(r.Contact, "@"+r.Source) && r.NAT }
	before := d.waitBinding(t, "with its public address, behind a NAT", writesPublic)
	d.waitReachable(t, "yes")
	lab.forget(t)
	d.waitBinding(t, "with another public address", func(now api.Contact) bool {
		return writesPublic(now) && now.Source != before.Source
	})
	d.waitReachable(t, "yes")
}
