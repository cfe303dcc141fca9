package regevent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// common is a store that others change too, and that reads times off a clock of its own.
type common struct {
	*lab
	versions map[sipuri.AOR]string
	asked    [][]sipuri.AOR
	fails    error
	jitter   time.Duration
	takes    time.Duration // each Lookup
	looked   int
}

func (c *common) Versions(_ context.Context, aors []sipuri.AOR) (versions []string, err error) {
	c.asked = append(c.asked, aors)
	for _, aor := range aors {
		versions = append(versions, c.versions[aor])
	}
	return versions, c.fails
}

func (c *common) Bindings(aor sipuri.AOR, now time.Time) []location.Binding {
	bindings, _ := c.Lookup(aor, now)
	return bindings
}

// Lookup has the clocks apart by something else each time.
func (c *common) Lookup(aor sipuri.AOR, now time.Time) ([]location.Binding, bool) {
	c.looked++
	c.now = c.now.Add(c.takes)
	c.jitter = -c.jitter
	bindings, stale := c.store.Lookup(aor, now)
	for i := range bindings {
		bindings[i].Changed = bindings[i].Changed.Add(c.jitter)
		bindings[i].Expires = bindings[i].Expires.Add(c.jitter)
	}
	return bindings, stale
}

// change is what happens at another node, of which no journal here tells.
func (c *common) change(t testing.TB, change func(current []location.Binding) []location.Binding) {
	t.Helper()
	err := c.store.Update(aor, c.now, func(current []location.Binding) ([]location.Binding, error) { return change(current), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.newVersion()
}

func (c *common) newVersion() { c.versions[aor] += "+" }

// phoneElsewhere is a binding that another node has made.
func (c *common) phoneElsewhere(name string, cseq uint32, lasts time.Duration) location.Binding {
	return location.Binding{
		Contact: "sip:" + name + "@198.51.100.7", CallID: name, CSeq: cseq, Changed: c.now, Expires: c.now.Add(lasts),
	}
}

// pass lets time go by and looks elsewhere each second. That bindings expire is seen to by
// other nodes, if at all.
func (c *common) pass(long time.Duration) {
	for range long / time.Second {
		for range time.Second / tick {
			c.now = c.now.Add(tick)
			c.Step(c.now)
		}
		c.LookElsewhere(c.t.Context())
	}
}

// newCommon returns a lab whose store others change too, in which the kitchen watches what a
// phone is bound to, and was told so.
func newCommon(t testing.TB) *common {
	t.Helper()
	c := &common{versions: map[sipuri.AOR]string{}, jitter: 3 * time.Millisecond}
	c.lab = newLab(t, func(o *Options) { o.Store, o.Versions = c, c })
	c.change(t, func([]location.Binding) []location.Binding {
		return []location.Binding{c.phoneElsewhere("a", 1, 500*time.Second)}
	})
	c.kitchen().begin("Expires: 3600")
	c.pass(10 * time.Second)
	if n := c.takeOne(); n.said(t) != "0 full active, sip:a@198.51.100.7 active registered" {
		t.Errorf("told %s", n.said(t))
	}
	return c
}

// What becomes of bindings at other nodes is told as far as it can be known here.
func TestChangesElsewhere(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *common)
		want   string // is told of it
	}{
		{"registered", func(c *common) {
			c.change(c.t, func(b []location.Binding) []location.Binding { return append(b, c.phoneElsewhere("b", 1, time.Hour)) })
		}, "partial active, sip:b@198.51.100.7 active registered"},
		{"refreshed", func(c *common) {
			c.change(c.t, func(b []location.Binding) []location.Binding {
				b[0].CSeq, b[0].Changed, b[0].Expires = 2, c.now, c.now.Add(500*time.Second)
				return b
			})
		}, "partial active, sip:a@198.51.100.7 active refreshed"},
		{"refreshed at once", func(c *common) {
			c.change(c.t, func(b []location.Binding) []location.Binding {
				b[0].CSeq++
				return b
			})
		}, "partial active, sip:a@198.51.100.7 active refreshed"},
		{"refreshed by a phone that counts anew", func(c *common) {
			c.pass(40 * time.Second)
			c.change(c.t, func(b []location.Binding) []location.Binding {
				b[0].Changed, b[0].Expires = c.now, c.now.Add(500*time.Second)
				return b
			})
		}, "partial active, sip:a@198.51.100.7 active refreshed"},
		{"unregistered", func(c *common) { c.change(c.t, func([]location.Binding) []location.Binding { return nil }) },
			"partial terminated, sip:a@198.51.100.7 terminated unregistered"},
		{"gone and there again", func(c *common) {
			c.change(c.t, func([]location.Binding) []location.Binding {
				return []location.Binding{c.phoneElsewhere("a", 3, time.Hour)}
			})
		}, "partial active, sip:a@198.51.100.7 active registered, sip:a@198.51.100.7 terminated unregistered"},
		{"expired, which its node has seen to", func(c *common) {
			c.pass(489 * time.Second)
			c.change(c.t, func([]location.Binding) []location.Binding { return nil })
			c.pass(time.Second)
		}, "partial terminated, sip:a@198.51.100.7 terminated expired"},
		{"expired, and nobody sees to it", func(c *common) { c.pass(491 * time.Second) },
			"partial terminated, sip:a@198.51.100.7 terminated expired"},
		{"as it was, in another version", func(c *common) { c.newVersion() }, ""},
		{"as it was", func(*common) {}, ""},
		{"a phone of this node's", func(c *common) {
			c.register(phoneB)
			c.newVersion()
		}, "partial active, sip:b@198.51.100.7 active registered"},
		{"a phone of this node's unregisters, which was seen elsewhere before", func(c *common) {
			c.newVersion()
			c.LookElsewhere(c.t.Context())
			c.register(phoneA, "Expires: 0")
			c.newVersion()
		}, "partial terminated, sip:a@198.51.100.7 terminated unregistered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCommon(t)
			test.change(c)
			c.pass(20 * time.Second)
			if test.want == "" {
				if len(c.sent) > 0 {
					t.Errorf("told %s", c.sent[0].said(t))
				}
				return
			}
			if n := c.takeOne(); n.said(t) != "1 "+test.want {
				t.Errorf("told %s, want %s", n.said(t), test.want)
			}
		})
	}
}

// What ended a binding here is not what ends the next one of its phone elsewhere.
func TestAnEarlierEnding(t *testing.T) {
	c := newCommon(t)
	for _, want := range []string{"deactivated", "unregistered"} {
		c.change(t, func([]location.Binding) []location.Binding {
			return []location.Binding{c.phoneElsewhere("b", 1, time.Hour)}
		})
		c.pass(6 * time.Second)
		c.take()
		if want == "deactivated" { // by the administrator of this node
			b := c.store.Bindings(aor, c.now)[0]
			if _, err := c.registrar.Remove(aor, []uint64{b.ID}, c.now); err != nil {
				t.Fatal(err)
			}
			c.newVersion()
		} else {
			c.change(t, func([]location.Binding) []location.Binding { return nil })
		}
		c.pass(6 * time.Second)
		if n := c.takeOne(); !strings.HasSuffix(n.said(t), "sip:b@198.51.100.7 terminated "+want) {
			t.Errorf("told %s, want %s", n.said(t), want)
		}
	}
}

// While it is not known what is bound, nobody is told anything; and when it is again, what has
// happened meanwhile.
func TestElsewhereIsAway(t *testing.T) {
	for name, away := range map[string]func(c *common, is bool){
		"versions alone": func(c *common, is bool) {
			if c.fails = nil; is {
				c.fails = errors.New("away")
			}
		},
		"bindings alone": func(c *common, is bool) { c.store.away = is },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCommon(t)
			away(c, true)
			c.change(t, func([]location.Binding) []location.Binding { return nil })
			if c.pass(time.Minute); len(c.sent) > 0 {
				t.Errorf("told %+v", c.sent)
			}
			away(c, false)
			c.pass(10 * time.Second)
			if n := c.takeOne(); n.said(t) != "1 partial terminated, sip:a@198.51.100.7 terminated unregistered" {
				t.Errorf("told %s", n.said(t))
			}
		})
	}
}

// Nobody asks for what nobody watches, and what is watched is asked about in turn, some
// thousand a second.
func TestWhatIsAskedAbout(t *testing.T) {
	c := newCommon(t)
	c.asked = nil
	const count = 9000
	c.mu.Lock()
	for i := range count {
		c.add(&subscription{aor: sipuri.AOR{User: fmt.Sprint("x", i)}, dialog: dialog{callID: fmt.Sprint(i)}, expires: c.now.Add(time.Hour), next: c.now.Add(time.Hour)})
	}
	c.mu.Unlock()
	seen := map[sipuri.AOR]int{}
	for range 5 {
		c.LookElsewhere(t.Context())
	}
	for _, asked := range c.asked {
		if len(asked) > maxAsked {
			t.Errorf("%d at once", len(asked))
		}
		for _, aor := range asked {
			seen[aor]++
		}
	}
	for aor, times := range seen {
		if times < 2 || times > 3 {
			t.Errorf("%v was asked about %d times", aor, times)
		}
	}
	if len(seen) != count+1 {
		t.Errorf("%d were asked about", len(seen))
	}
	for _, s := range c.byID {
		c.drop(s, journal.None, "", c.now)
	}
	if c.asked = nil; c.round.Len() != 0 {
		t.Errorf("%d are left in the round", c.round.Len())
	}
	if c.LookElsewhere(t.Context()); len(c.asked) > 0 {
		t.Error("asked about what nobody watches")
	}
}

// Where each look takes long, what else is due waits for a few of them alone.
func TestASlowStore(t *testing.T) {
	c := newCommon(t)
	for range 10 {
		c.kitchen().begin()
	}
	c.now = c.now.Add(firstDelay)
	c.takes = 100 * time.Millisecond
	c.Step(c.now)
	if sent := len(c.take()); sent == 0 || sent > 4 {
		t.Errorf("%d were told in one step", sent)
	}
	c.takes = 0
	if c.wait(time.Second); len(c.sent) < 6 {
		t.Errorf("%d were told later", len(c.sent))
	}
}

// What does not change is not looked at.
func TestWhatStaysIsNotLookedAt(t *testing.T) {
	c := newCommon(t)
	c.looked = 0
	if c.pass(time.Minute); c.looked > 0 {
		t.Errorf("looked %d times", c.looked)
	}
}

// What is out of reach is not asked about: all that is asked at once would be unknown with it.
func TestWhatIsAwayIsNotAskedAbout(t *testing.T) {
	c := newCommon(t)
	asked := func() (count int) {
		c.asked = nil
		c.pass(time.Second)
		for _, aors := range c.asked {
			count += len(aors)
		}
		return count
	}
	if n := asked(); n != 1 {
		t.Errorf("asked about %d", n)
	}
	c.store.away = true
	if n := asked(); n != 0 {
		t.Errorf("asked about %d that are away", n)
	}
	c.store.near = aor
	if n := asked(); n != 1 {
		t.Errorf("asked about %d that are there", n)
	}
}
