package admin

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/sipuri"
)

// watching is somebody who watches events over HTTP.
type watching struct {
	lab   *lab
	lines *bufio.Scanner
	body  io.Closer
	end   context.CancelFunc
}

const patienceOfTests = 20 * time.Second // with what has to come

// serverSent is a server-sent event, or a comment.
type serverSent struct{ id, event, data, comment string }

// watch begins to watch, and has seen the first sign of life then.
func (l *lab) watch(query string, header ...string) *watching {
	l.Helper()
	request := l.request(http.MethodGet, "/api/v1/events?"+query, "")
	ctx, cancel := context.WithTimeout(l.Context(), patienceOfTests)
	request = request.WithContext(ctx)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := l.http.Do(request)
	if err != nil {
		l.Fatal(err)
	}
	l.description.check(l.T, request, response)
	w := &watching{l, bufio.NewScanner(response.Body), response.Body, cancel}
	l.Cleanup(func() { w.Close() })
	if first, err := w.next(); err != nil || first.comment == "" {
		l.Fatalf("it begins with %+v: %v", first, err)
	}
	return w
}

// Close ends it.
func (w *watching) Close() error {
	w.end()
	return w.body.Close()
}

// next returns the next message, or how the stream has ended.
func (w *watching) next() (m serverSent, err error) {
	for w.lines.Scan() {
		name, text, _ := strings.Cut(w.lines.Text(), ":")
		text = strings.TrimPrefix(text, " ")
		switch {
		case w.lines.Text() == "":
			return m, nil
		case name == "":
			m.comment = text
		case name == "id":
			m.id = text
		case name == "event":
			m.event = text
		case name == "data":
			m.data = text
		default:
			w.lab.Errorf("unexpected line %q", w.lines.Text())
		}
	}
	return m, cmp.Or(w.lines.Err(), io.EOF)
}

// details returns the details of so many events, which are as described, and how
// many messages there were that some were missed.
func (w *watching) details(count int) (details []string, missed int) {
	w.lab.Helper()
	for len(details) < count {
		m, err := w.next()
		if err != nil {
			w.lab.Fatalf("%d events of %d: %v", len(details), count, err)
		}
		switch m.event {
		case "event":
			w.lab.description.checkData(w.lab.T, "Event", m.data)
			_, detail, found := strings.Cut(m.data, `"detail":"`)
			if !found || !strings.Contains(m.data, `"seq":`+m.id+",") {
				w.lab.Errorf("event %+v", m)
			}
			details = append(details, strings.TrimSuffix(detail, `"}`))
		case "missed":
			w.lab.description.checkData(w.lab.T, "Missed", m.data)
			missed++
		}
	}
	return details, missed
}

func (l *lab) record(kind journal.Kind, aor, detail string) {
	l.Recorder.Record(journal.Event{Kind: kind, AOR: sipuri.AOR{User: aor}, Detail: detail, Source: netip.MustParseAddrPort("192.0.2.7:5060")})
}

func TestEventsComeInTheirOrder(t *testing.T) {
	l := newLab(t)
	l.record(journal.Added, "2001", "before")
	w := l.watch("kinds=all")
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint(i))
		l.record(journal.Kinds()[i%len(journal.Kinds())], "2001", want[i])
	}
	if got, missed := w.details(len(want)); !slices.Equal(got, want) || missed != 0 {
		t.Errorf("got %q, %d missed", got, missed)
	}
}

func TestEventsArePicked(t *testing.T) {
	for _, test := range []struct {
		query string
		want  string // of added, refreshed, refused and added of 2002
	}{
		{"", "ARB"}, {"kinds=all", "ArRB"}, {"kinds=refreshed,refused", "rR"}, {"kinds=added", "AB"},
		{"q=2001", "AR"}, {"q=2002", "B"}, {"q=192.0.2.7", "ARB"}, {"q=192.0.2.0/24&kinds=refused", "R"}, {"q=sip:2001@example.com", "AR"},
	} {
		t.Run(test.query, func(t *testing.T) {
			l := newLab(t)
			w := l.watch(test.query)
			l.record(journal.Added, "2001", "A")
			l.record(journal.Refreshed, "2001", "r")
			l.record(journal.Refused, "2001", "R")
			l.record(journal.Added, "2002", "B")
			if got, _ := w.details(len(test.want)); strings.Join(got, "") != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Whoever watches a phone by its label or AOR sees what why tells of it: before it has
// proved who it is, an event holds neither.
func TestEventsOfAPhoneAreThoseOfWhy(t *testing.T) {
	l := newLab(t)
	byLabel, later := l.watch("q=kitchen,+1st+floor"), l.watch("q=Attic")
	refused := func(authname, aor, detail string) {
		l.Recorder.Record(journal.Event{Kind: journal.Refused, Authname: authname, AOR: sipuri.AOR{User: aor}, Detail: detail})
	}
	refused("7f3a9c", "2009", "its authname")
	refused("2001", "2001", "its AOR")
	refused("workshop", "2001", "of another")
	refused("7f3a9c", "2001", "both")
	if got, _ := byLabel.details(3); !slices.Equal(got, []string{"its authname", "its AOR", "both"}) {
		t.Errorf("by its label: %q", got)
	}
	l.writePeers(labPeers + "[Attic]\nauthname = attic\nsecret = a\naorname = 2010\n")
	l.Reload()
	refused("attic", "2010", "new")
	if got, _ := later.details(1); !slices.Equal(got, []string{"new"}) {
		t.Errorf("by the label of a peer that was added: %q", got)
	}
}

func TestEventsGoOnAfterANumber(t *testing.T) {
	l := newLab(t)
	for i := range 5 {
		l.record(journal.Added, "2001", fmt.Sprint(i))
	}
	third := fmt.Sprint(l.Recorder.Last(journal.Filter{}, 5)[2].Seq)
	for name, w := range map[string]*watching{
		"after":                l.watch("after=" + third),
		"Last-Event-ID":        l.watch("", "Last-Event-ID", third),
		"Last-Event-ID, after": l.watch("after=1", "Last-Event-ID", third),
	} {
		if got, missed := w.details(2); !slices.Equal(got, []string{"3", "4"}) || missed != 0 {
			t.Errorf("%s: got %q, %d missed", name, got, missed)
		}
	}
}

func TestEventsThatAreForgottenAreMissed(t *testing.T) {
	l := newLab(t)
	l.record(journal.Added, "2001", "first")
	first := l.Recorder.Last(journal.Filter{}, 1)[0].Seq
	for range 20000 {
		l.record(journal.Added, "2001", "more")
	}
	if _, missed := l.watch(fmt.Sprintf("after=%d", first)).details(1); missed != 1 {
		t.Errorf("%d messages say so", missed)
	}
}

// A watch goes on for longer than a request may take to come, and an answer to be
// taken.
func TestAWatchLives(t *testing.T) {
	l := newLab(t, func(l *lab) {
		l.requestTime, l.answerTime, l.keepalive = 200*time.Millisecond, 200*time.Millisecond, 20*time.Millisecond
	})
	w := l.watch("")
	for began := time.Now(); time.Since(began) < 3*l.requestTime; {
		if m, err := w.next(); err != nil || m.comment == "" {
			t.Fatalf("got %+v: %v", m, err)
		}
	}
	l.record(journal.Added, "2001", "at last")
	if got, _ := w.details(1); got[0] != "at last" {
		t.Errorf("got %q", got)
	}
}

func TestTooManyWatchersAreRefused(t *testing.T) {
	l := newLab(t)
	first := l.watch("")
	for range maxWatchers - 1 {
		l.watch("")
	}
	if status, text := l.ask(http.MethodGet, "/api/v1/events", ""); status != http.StatusServiceUnavailable || len(l.watchers) != maxWatchers {
		t.Errorf("%d %s", status, text)
	}
	first.Close()
	for len(l.watchers) == maxWatchers {
		time.Sleep(time.Millisecond)
	}
	l.watch("")
}

// A stream that was cut would not end as a whole body does.
func TestCloseEndsWatches(t *testing.T) {
	l := newLab(t)
	w := l.watch("")
	l.Close()
	if m, err := w.next(); err != io.EOF {
		t.Errorf("got %+v: %v", m, err)
	}
	if len(l.watchers) != 0 {
		t.Errorf("%d watch", len(l.watchers))
	}
}

func TestWhoDoesNotReadHoldsNobodyUp(t *testing.T) {
	l := newLab(t)
	silent, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	fmt.Fprintf(silent, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for len(l.watchers) == 0 {
		time.Sleep(time.Millisecond)
	}
	const batches, each = 50, 500 // more than sockets hold
	w := l.watch("kinds=added")
	for range batches {
		for range each {
			l.record(journal.Refused, "2001", strings.Repeat("x", 200))
		}
		l.record(journal.Added, "2001", "seen")
		if got, _ := w.details(1); got[0] != "seen" {
			t.Errorf("got %q", got)
		}
	}
}
