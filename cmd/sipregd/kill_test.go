package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// restless is a phone that changes its bindings without pause, and what it
// knows of them.
type restless struct {
	*client
	random *rand.Rand
	// bound holds its Contacts with their expiry as they were acknowledged, and
	// perhaps as they are if the last request, which nobody answered, was
	// carried out.
	bound, perhaps map[string]time.Time
	acknowledged   int
}

// kill ends the daemon as a power switch ends a machine's.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.command.Wait() // by a signal, which is an error
	if text := d.output.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		t.Errorf("sipregd printed:\n%s", text)
	}
}

// again runs another daemon with the same files and addresses.
func (d *daemon) again(t *testing.T) *daemon {
	t.Helper()
	next := &daemon{udp: d.udp, tcp: d.tcp, directory: d.directory}
	next.run(t)
	return next
}

// Registrations of many phones, SIGKILL at any moment, and a restart, again and
// again: what was acknowledged is there, and what was removed is not.
func TestKills(t *testing.T) {
	t.Parallel()
	kills := 50
	if text := os.Getenv("SIPREGD_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const phones, lines = 8, 3
	var peers strings.Builder
	for i := range phones {
		fmt.Fprintf(&peers, "[Phone %d]\nauthname = auth%d\nsecret = secret%d\naorname = %d, %d, %d\n", i, i, i, 100+i, 200+i, 300+i)
	}
	d := startDaemon(t, "", peers.String())
	list := make([]*restless, phones*lines)
	for i := range list {
		phone, line := i%phones, i/phones
		network := []string{"udp", "udp", "udp", "tcp"}[phone%4]
		c := newClient(network, d.udp.String(), fmt.Sprint("auth", phone), fmt.Sprint("secret", phone), fmt.Sprint(100*(line+1)+phone))
		list[i] = &restless{client: c, random: rand.New(rand.NewPCG(uint64(i), 1)), bound: map[string]time.Time{}}
	}
	var checked atomic.Int64
	for kill := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, p := range list {
			running.Go(func() { p.run(ctx, t) })
		}
		time.Sleep(time.Duration(50+rand.IntN(200)) * time.Millisecond)
		d.kill(t)
		cancel()
		running.Wait()
		if kill%10 == 9 {
			checked.Add(checkExport(t, d, list))
		}
		d = d.again(t)
		for _, p := range list {
			running.Go(func() { checked.Add(p.check(t)) })
		}
		running.Wait()
		if t.Failed() {
			return
		}
	}
	acknowledged := 0
	for _, p := range list {
		acknowledged += p.acknowledged
		p.close()
	}
	t.Logf("%d kills amid %d acknowledged changes, %d bindings compared", kills, acknowledged, checked.Load())
}

// run changes bindings until the daemon is gone.
func (p *restless) run(ctx context.Context, t *testing.T) {
	p.answerWithin = 300 * time.Millisecond
	for ctx.Err() == nil {
		lines, next := p.change()
		answer, sent, err := p.register(lines...)
		switch {
		case err != nil:
			if sent {
				p.perhaps = next
			}
			p.close()
			return
		case answer.status != 200:
			t.Errorf("%s: %v was answered %d", p.aorname, lines, answer.status)
			return
		}
		p.bound = next
		p.acknowledged++
	}
}

// change chooses what to ask for and what is bound then.
func (p *restless) change() (lines []string, next map[string]time.Time) {
	next = maps.Clone(p.bound)
	contact := fmt.Sprintf("sip:%s@127.0.0.1:%d", p.aorname, 6000+p.random.IntN(3))
	switch p.random.IntN(8) {
	case 0:
		return []string{"Contact: *", "Expires: 0"}, map[string]time.Time{}
	case 1, 2:
		delete(next, contact)
		return []string{"Contact: <" + contact + ">;expires=0"}, next
	}
	seconds := 600 + 100*p.random.IntN(20)
	next[contact] = time.Now().Add(time.Duration(seconds) * time.Second)
	return []string{fmt.Sprintf("Contact: <%s>;expires=%d", contact, seconds)}, next
}

// check compares what a new daemon lists with what was acknowledged, and goes
// on from there.
func (p *restless) check(t *testing.T) int64 {
	t.Helper()
	p.close() // what led to the last daemon
	p.answerWithin = patience
	answer, _, err := p.register()
	if err != nil || answer.status != 200 {
		t.Errorf("%s: query: %v, %v", p.aorname, answer, err)
		return 0
	}
	listed := map[string]time.Time{}
	for contact, seconds := range answer.contacts {
		listed[contact] = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	p.compare(t, listed)
	return int64(len(listed))
}

// compare takes what is listed for what is bound, if that can be.
func (p *restless) compare(t *testing.T, listed map[string]time.Time) {
	t.Helper()
	asTold, asPerhaps := agree(listed, p.bound), p.perhaps != nil && agree(listed, p.perhaps)
	switch {
	case asTold && asPerhaps: // which of both is open: the next compare is with what is there
		for contact := range p.bound {
			p.bound[contact] = listed[contact]
		}
	case asPerhaps:
		p.bound = p.perhaps
	case !asTold:
		t.Errorf("%s is bound to %v, was told %v and may have reached %v", p.aorname, listed, p.bound, p.perhaps)
	}
	p.perhaps = nil
}

// checkExport compares what is on disk after a kill with what was acknowledged.
func checkExport(t *testing.T, d *daemon, list []*restless) (checked int64) {
	t.Helper()
	text, status := d.tool(t, "", "--export")
	if status != 0 {
		t.Errorf("export after a kill: status %d, %s", status, text)
		return 0
	}
	listed := map[string]map[string]time.Time{}
	for line := range strings.Lines(text) {
		var saved struct {
			AORName, Contact string
			Expires          time.Time
		}
		if err := json.Unmarshal([]byte(line), &saved); err != nil {
			t.Errorf("%v: %s", err, line)
			return 0
		}
		of := listed[saved.AORName]
		if of == nil {
			of = map[string]time.Time{}
			listed[saved.AORName] = of
		}
		if _, twice := of[saved.Contact]; twice {
			t.Errorf("%s is bound to %s twice", saved.AORName, saved.Contact)
		}
		of[saved.Contact] = saved.Expires
		checked++
	}
	for _, p := range list {
		p.compare(t, listed[p.aorname])
		delete(listed, p.aorname)
	}
	if len(listed) > 0 {
		t.Errorf("nobody has registered %v", listed)
	}
	return checked
}

// agree tells whether a list has the same Contacts, with two seconds' grace.
func agree(listed, bound map[string]time.Time) bool {
	if !slices.Equal(slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(bound))) {
		return false
	}
	for contact, expires := range listed {
		if bound[contact].Sub(expires).Abs() > 2*time.Second {
			return false
		}
	}
	return true
}
