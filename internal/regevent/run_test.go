package regevent

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
)

// quiet is a journal of nothing.
type quiet struct{}

func (quiet) Record(journal.Event) {}

// Phones register on some goroutines while others subscribe and answer, and it ends when it
// is told to.
func TestRun(t *testing.T) {
	var answers sync.WaitGroup
	var l *lab
	l = newLab(t, permitting("203.0.113.0/24"), func(o *Options) {
		o.Clock, o.Random, o.Journal, o.MaxSubscriptions, o.PerAOR = time.Now, rand.Reader, quiet{}, 1000, 1000
		o.Send = func(flow message.Flow, data []byte) error {
			head, _, _ := strings.Cut(string(data), "Content-Type")
			_, rest, _ := strings.Cut(head, "\r\n")
			answers.Go(func() {
				l.layer.Receive(nil, []byte("SIP/2.0 200 OK\r\n"+rest+"Content-Length: 0\r\n\r\n"), flow, time.Now())
			})
			return nil
		}
	})
	running, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { l.Run(running) })
	for worker := range 2 {
		all.Go(func() {
			for i := 0; running.Err() == nil; i++ {
				l.changes.note(&journal.Event{Kind: journal.Removed, AOR: aor, Contact: fmt.Sprint(worker, i)})
				l.rouse()
				l.Reloaded()
				time.Sleep(time.Millisecond)
			}
		})
	}
	const subscribers = 100
	flow := message.Flow{Transport: "UDP", Source: home, Local: here}
	for i := range subscribers {
		text := strings.ReplaceAll("SUBSCRIBE sip:2001@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK-N\r\n"+
			"From: <sip:w@example.com>;tag=N\r\nTo: <sip:2001@example.com>\r\nCall-ID: N\r\nCSeq: 1 SUBSCRIBE\r\nEvent: reg\r\n"+
			"Contact: <sip:w@203.0.113.9>\r\nContent-Length: 0\r\n\r\n", "N", fmt.Sprint(i))
		wantStatus(t, string(l.layer.Receive(nil, []byte(text), flow, time.Now()).Data), 200)
	}
	for until := time.Now().Add(15 * time.Second); l.Counts().Notified < subscribers; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after all that time: %+v", l.Counts())
		}
	}
	stop()
	all.Wait()
	answers.Wait()
	if n := l.Counts(); n.Subscriptions != subscribers || n.Failed > 0 {
		t.Errorf("got %+v", n)
	}
}
