package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachMessage(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []string
	}{
		{"comments and keepalives", ": events follow\n\n: alive\n\n", nil},
		{"an event", "id: 7\nevent: event\ndata: {}\n\n", []string{"event {}"}},
		{"no blanks, CR LF", "event:missed\r\ndata:1\r\n\r\n", []string{"missed 1"}},
		{"lines of data", "data: a\ndata: b\n\nevent: x\ndata: c\n\n", []string{" a\nb", "x c"}},
		{"broken off", "event: event\ndata: {}\n\nevent: event\ndata: half", []string{"event {}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			err := eachMessage(strings.NewReader(test.stream), func(m message) error {
				got = append(got, m.event+" "+string(m.data))
				return nil
			})
			if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if err := eachMessage(strings.NewReader("data: "+strings.Repeat("x", mostSaid)), nil); err == nil {
		t.Error("a message without end is taken")
	}
}

const refusedEvent = "id: 7\nevent: event\ndata: {\"seq\":7,\"event\":\"refused\",\"aor\":\"2001\",\"user_agent\":\"\\u001b[2J\u202e\"}\n\n"

func TestWatchSaysWhatItMissed(t *testing.T) {
	socket := serveUnix(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("event: missed\ndata: {\"missed\":12}\n\n" + refusedEvent))
	})
	out, errs, status := sipregctl("watch", "--socket", socket)
	if status != 1 || !strings.Contains(out, `\x1b[2J`) || strings.Contains(out, "\x1b") {
		t.Errorf("exit status %d, printed:\n%s", status, out)
	}
	const want = "sipregctl: 12 events were left out here: they came faster than they were taken\n" +
		"sipregctl: the daemon has gone away: it was stopped, or started anew\n"
	if errs != want {
		t.Errorf("said %q", errs)
	}
	out, _, _ = sipregctl("watch", "--json", "--socket", socket)
	if !strings.HasPrefix(out, "{\"missed\":12}\n{\"seq\":7,") || strings.Contains(out, "\u202e") {
		t.Errorf("JSON: %s", out)
	}
}

// With --retry it goes on after the last event that it has seen.
func TestWatchGoesOnWhereTheDaemonIsBack(t *testing.T) {
	asked := make(chan string, 2)
	socket := serveUnix(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Query().Encode()
		_, _ = w.Write([]byte(refusedEvent))
	})
	if _, errs, status := sipregctl("watch", "--retry", "-n", "2", "2001", "--socket", socket); status != 0 || !strings.Contains(errs, "trying again") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	for _, want := range []string{"q=2001", "after=7&q=2001"} {
		if got := <-asked; got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
}

// A daemon that is away for an hour is no reason to fill the terminal.
func TestWatchSaysOnceThatTheDaemonIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var errs bytes.Buffer
		w := &watching{client: &client{socket: "nowhere"}, retry: true}
		if err := w.run(ctx, &viewer{errs: &errs}); err != nil || strings.Count(errs.String(), "trying again") != 1 {
			t.Errorf("error %v, said:\n%s", err, errs.String())
		}
	})
}

func TestWatchEndsWhereNobodyReads(t *testing.T) {
	socket := serveUnix(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(refusedEvent)) })
	w := &watching{client: &client{socket: socket}, retry: true}
	for _, inJSON := range []bool{true, false} {
		v := &viewer{out: deaf{}, errs: &bytes.Buffer{}, json: inJSON, table: newTable(deaf{}, 0, eventColumns...)}
		if err := w.run(context.Background(), v); !errors.Is(err, errDeaf) {
			t.Errorf("JSON %v: %v", inJSON, err)
		}
	}
}

var errDeaf = errors.New("nobody reads it")

// deaf is an output that nobody reads.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errDeaf }
