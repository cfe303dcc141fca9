package qualify

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
	"sipregd/internal/peers"
)

// quiet is a journal of nothing.
type quiet struct{}

func (quiet) Record(journal.Event) {}

// Phones register and answer on many goroutines while others look, and it ends when it is
// told to.
func TestRun(t *testing.T) {
	l := newLab(t, "qualify_frequency = 1")
	l.now = time.Now()
	var phones sync.WaitGroup
	l.Qualifier = New(Options{
		Store: l.store, Directory: func() *peers.Directory { return l.directory }, Journal: quiet{}, Gone: errGone,
		Clock: time.Now, Random: rand.Reader, Send: func(_ message.Flow, data []byte) error {
			_, rest, _ := strings.Cut(string(data), "\r\n")
			phones.Go(func() { l.Clients().Answer([]byte("SIP/2.0 200 OK\r\n"+rest), time.Now()) })
			return nil
		},
	})
	const users = 200
	for i := range users {
		l.bound(fmt.Sprint(i))
	}
	running, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { l.Run(running) })
	all.Go(func() {
		for running.Err() == nil {
			for i := range users {
				l.bound(fmt.Sprint(i), elsewhere)
			}
			l.Reloaded()
			time.Sleep(time.Millisecond)
		}
	})
	isDone := func(c Counts) bool { return c.States[Reachable] == users && c.Answered >= 2*users }
	for until := time.Now().Add(15 * time.Second); !isDone(l.Counts()); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after all that time: %+v", l.Counts())
		}
	}
	stop()
	all.Wait()
	phones.Wait()
}
