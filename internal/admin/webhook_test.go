package admin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
)

const patience = 30 * time.Second // of a test that waits for what has to come

// silent is a log that nobody reads.
type silent struct{}

func (silent) Record(journal.Event)                    {}
func (silent) Wants(journal.Kind, journal.Reason) bool { return false }

func newTestRecorder(bytes int) *journal.Recorder {
	return journal.NewRecorder(bytes, func() time.Time { return noon }, silent{})
}

// told is an observer that keeps what it is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (o *told) add(format string, values ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, fmt.Sprintf(format, values...))
}

func (o *told) WebhookFails(cause error, since time.Time, waiting int) {
	o.add("fails, %d wait: %v", waiting, cause)
}
func (o *told) WebhookFine(time.Duration)    { o.add("fine") }
func (o *told) WebhookDropped(events uint64) { o.add("dropped %d", events) }

func (o *told) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

// said is a body as those read it who take posts.
type said struct {
	Events  []api.Event
	Dropped uint64
}

// receiver is a server that takes posts, after the answers that it is given.
type receiver struct {
	t       *testing.T
	answers chan http.HandlerFunc // instead of taking a post

	mu     sync.Mutex
	bodies [][]byte // of all posts
	taken  []said
}

func newReceiver(t *testing.T, answers ...http.HandlerFunc) *receiver {
	r := &receiver{t: t, answers: make(chan http.HandlerFunc, len(answers))}
	for _, answer := range answers {
		r.answers <- answer
	}
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	r.bodies = append(r.bodies, body)
	r.mu.Unlock()
	select {
	case answer := <-r.answers:
		answer(w, request)
		return
	default:
	}
	r.take(request, body)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) take(request *http.Request, body []byte) {
	var post said
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&post); err != nil {
		r.t.Errorf("%v in %q", err, body)
	}
	if kind := request.Header.Get("Content-Type"); request.Method != "POST" || kind != "application/json" {
		r.t.Errorf("a %s of %q", request.Method, kind)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, post)
}

// posts returns what was taken.
func (r *receiver) posts() []said {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]said(nil), r.taken...)
}

// events returns the events that were taken, and how many are said to be lost.
func (r *receiver) events() (events []api.Event, dropped uint64) {
	for _, post := range r.posts() {
		events, dropped = append(events, post.Events...), dropped+post.Dropped
	}
	return events, dropped
}

func (r *receiver) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.bodies...)
}

func answerWith(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// silence answers nothing until the client goes.
func silence(_ http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body) // the server sees that the client goes only then
	<-request.Context().Done()
}

func serve(t *testing.T, handler http.Handler) (url string) {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// newTestWebhook returns a webhook that waits only a moment before it posts again,
// and is closed with the test.
func newTestWebhook(t *testing.T, o WebhookOptions) *Webhook {
	t.Helper()
	if o.Observer == nil {
		o.Observer = &told{}
	}
	w, err := NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	w.firstWait, w.client.Timeout = time.Millisecond, patience
	t.Cleanup(w.Close)
	return w
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not before the test lost its patience: %s", what)
		}
	}
}

func record(recorder *journal.Recorder, first, count int) {
	for i := range count {
		recorder.Record(journal.Event{Kind: journal.Added, Detail: fmt.Sprint(first + i)})
	}
}

// expectNumbers checks that the events are those of record from one number to
// another, in their order.
func expectNumbers(t *testing.T, events []api.Event, first, count int) {
	t.Helper()
	if len(events) != count {
		t.Fatalf("%d events, want %d", len(events), count)
	}
	for i, event := range events {
		if want := fmt.Sprint(first + i); event.Detail != want {
			t.Fatalf("event %d is %q, want %q", i, event.Detail, want)
		}
	}
}

func TestWebhookPostsAllEventsInTheirOrder(t *testing.T) {
	r := newReceiver(t)
	w := newTestWebhook(t, WebhookOptions{URL: serve(t, r)})
	recorder := newTestRecorder(32 << 20)
	record(recorder, -1, 1) // before it starts
	w.Start(recorder)
	const each = 1250
	var running sync.WaitGroup
	for _, kind := range journal.Kinds() {
		running.Go(func() {
			for i := range each {
				recorder.Record(journal.Event{Kind: kind, Detail: fmt.Sprint(i)})
			}
		})
	}
	running.Wait()
	const want = 7 * each // kinds that are no routine
	waitUntil(t, "all are posted", func() bool { return w.Status().Posted >= want })
	events, dropped := r.events()
	next, seq := map[string]int{}, uint64(0)
	for _, event := range events {
		if event.Seq <= seq || event.Detail != fmt.Sprint(next[event.Event]) {
			t.Fatalf("after %d of seq %d comes %+v", next[event.Event], seq, event)
		}
		next[event.Event]++
		seq = event.Seq
	}
	if len(events) != want || dropped != 0 || len(next) != 7 || w.Status() != (api.Webhook{Posted: want}) {
		t.Errorf("%d events of the kinds %v, %d dropped, %+v", len(events), next, dropped, w.Status())
	}
}

func TestWebhookSigns(t *testing.T) {
	const secret = "any;text#at all"
	for _, test := range []struct{ name, secret string }{{"with a secret", secret}, {"without one", ""}} {
		t.Run(test.name, func(t *testing.T) {
			headers, r := make(chan http.Header, 1), newReceiver(t)
			w := newTestWebhook(t, WebhookOptions{Secret: test.secret,
				URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
					headers <- request.Header
					r.ServeHTTP(w, request)
				}))})
			recorder := newTestRecorder(0)
			w.Start(recorder)
			record(recorder, 0, 1)
			header := <-headers
			w.Close()
			mac := hmac.New(sha256.New, []byte(secret))
			fmt.Fprintf(mac, "%s.%s", header.Get("Sipregd-Timestamp"), r.all()[0])
			want := []string{"sha256=" + hex.EncodeToString(mac.Sum(nil))}
			if test.secret == "" {
				want = nil
			}
			if got := header["Sipregd-Signature"]; fmt.Sprint(got) != fmt.Sprint(want) || header.Get("Sipregd-Timestamp") == "" {
				t.Errorf("got %q at %q, want %q", got, header.Get("Sipregd-Timestamp"), want)
			}
		})
	}
}

// What openssl dgst -sha256 -hmac makes of it.
func TestSignature(t *testing.T) {
	const want = "sha256=a8e8b8f6230888be4e102cb2f09b73aa70906502e6cfa11e3a6da2886a41b129"
	if got := signature([]byte("any;text#at all"), "1795694400", []byte(`{"events":[],"dropped":0}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWebhookPostsAgainUntilItIsTaken(t *testing.T) {
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it follows a redirect") }))
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, request *http.Request) { http.Redirect(w, request, elsewhere, status) }
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	nonsense := func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(connection, "\x1b[31m\r\n\r\n")
		connection.Close()
	}
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		timeout time.Duration
		failure string
	}{
		{"500", answerWith(500), patience, "answers 500 Internal Server Error"},
		{"400", answerWith(400), patience, "answers 400 Bad Request: look whether [admin] webhook is right"},
		{"401", answerWith(401), patience, "answers 401 Unauthorized: let it take what is signed"},
		{"410", answerWith(410), patience, "answers 410 Gone: look"},
		{"a redirect of the post", redirect(307), patience, "answers 307 Temporary Redirect: redirects are not followed"},
		{"a redirect to a page", redirect(302), patience, "answers 302 Found: redirects are not followed"},
		{"no answer", silence, 500 * time.Millisecond, "does not answer in time"},
		{"the connection is closed", abort, patience, "EOF"},
		{"no HTTP", nonsense, patience, "malformed HTTP"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, observer := newReceiver(t, test.answer, test.answer), &told{}
			w := newTestWebhook(t, WebhookOptions{URL: serve(t, r), Observer: observer})
			w.client.Timeout = test.timeout
			recorder := newTestRecorder(0)
			record(recorder, -1, 1)
			w.Start(recorder)
			record(recorder, 0, 3)
			waitUntil(t, "it is taken", func() bool { return w.Status().Posted >= 3 })
			bodies := r.all()
			if len(bodies) < 3 || !bytes.Equal(bodies[0], bodies[1]) || !bytes.Equal(bodies[0], bodies[2]) {
				t.Errorf("posted: %q", bodies)
			}
			events, _ := r.events()
			expectNumbers(t, events, 0, 3)
			if got := observer.String(); !strings.HasPrefix(got, "fails, ") || !strings.Contains(got, test.failure) ||
				!strings.HasSuffix(got, "\nfine") || strings.Contains(got, "\x1b") {
				t.Errorf("told %q", got)
			}
			if w.Status() != (api.Webhook{Posted: 3}) {
				t.Errorf("status %+v", w.Status())
			}
		})
	}
}

func TestWebhookWaitsForItsServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	w := newTestWebhook(t, WebhookOptions{URL: "http://" + address})
	recorder := newTestRecorder(0)
	w.Start(recorder)
	record(recorder, 0, 1)
	waitUntil(t, "it fails", func() bool { return strings.Contains(w.Status().Failure, "connection refused") })
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	r := newReceiver(t)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: r}}
	server.Start()
	t.Cleanup(server.Close)
	waitUntil(t, "it is taken", func() bool { return w.Status() == api.Webhook{Posted: 1} })
	events, _ := r.events()
	expectNumbers(t, events, 0, 1)
}

// With a server that takes too long the oldest events go, but for those that are
// being posted, and the next post says so.
func TestWebhookDropsTheOldestAndSaysSo(t *testing.T) {
	release := make(chan struct{})
	hold := func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	r, observer := newReceiver(t, hold), &told{}
	w := newTestWebhook(t, WebhookOptions{URL: serve(t, r), Observer: observer})
	recorder := newTestRecorder(32 << 20)
	w.Start(recorder)
	record(recorder, 0, 1)
	waitUntil(t, "the first is posted", func() bool { return len(r.all()) == 1 })
	const beyond = 50
	record(recorder, 1, queueEvents+beyond)
	waitUntil(t, "some are dropped", func() bool { return w.Status().Dropped >= beyond })
	close(release)
	waitUntil(t, "the rest is taken", func() bool { return w.Status().Posted > queueEvents })
	posts := r.posts()
	expectNumbers(t, posts[0].Events, 0, 1)
	if posts[0].Dropped != 0 || posts[1].Dropped != beyond {
		t.Errorf("said to be dropped: %d, %d", posts[0].Dropped, posts[1].Dropped)
	}
	events, dropped := r.events()
	expectNumbers(t, events[1:], 1+beyond, queueEvents)
	if dropped != beyond || w.Status() != (api.Webhook{Posted: queueEvents + 1, Dropped: beyond}) {
		t.Errorf("%d dropped, %+v", dropped, w.Status())
	}
	w.Close()
	if got := observer.String(); !strings.Contains(got, "dropped") {
		t.Errorf("told %q", got)
	}
}

// What the journal has forgotten before it could be looked at counts as dropped.
func TestWebhookSaysWhatItMissed(t *testing.T) {
	r := newReceiver(t)
	w := newTestWebhook(t, WebhookOptions{URL: serve(t, r)})
	recorder := newTestRecorder(0)
	w.Start(recorder)
	const all = 5000
	record(recorder, 0, all)
	waitUntil(t, "all are accounted for", func() bool { return w.Status().Posted+w.Status().Dropped >= all })
	events, dropped := r.events()
	if status := w.Status(); uint64(len(events)) != status.Posted || dropped != status.Dropped || dropped == 0 || status.Posted+dropped != all {
		t.Errorf("%d events and %d dropped, %+v", len(events), dropped, status)
	}
}

func TestWebhookPostsWhatWaitsWhenItIsClosed(t *testing.T) {
	for _, test := range []struct {
		name  string
		count int
	}{{"nothing", 0}, {"an event", 1}, {"more than one post", 300}} {
		t.Run(test.name, func(t *testing.T) {
			r := newReceiver(t)
			w := newTestWebhook(t, WebhookOptions{URL: serve(t, r)})
			w.grace = patience
			recorder := newTestRecorder(8 << 20)
			record(recorder, -2, 2)
			w.Start(recorder)
			record(recorder, 0, test.count)
			w.Close()
			events, _ := r.events()
			expectNumbers(t, events, 0, test.count)
		})
	}
}

func TestWebhookIsClosedWhateverItsServerDoes(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		taken  int
	}{{"it fails", answerWith(500), 0}, {"it does not answer", silence, 0}, {"it comes back", answerWith(500), 10}} {
		t.Run(test.name, func(t *testing.T) {
			answers := make([]http.HandlerFunc, 100)
			for i := range answers {
				answers[i] = test.answer
			}
			if test.taken > 0 {
				answers = answers[:1]
			}
			r, observer := newReceiver(t, answers...), &told{}
			w := newTestWebhook(t, WebhookOptions{URL: serve(t, r), Observer: observer})
			w.firstWait = time.Hour
			if test.taken == 0 {
				w.grace = 200 * time.Millisecond
			}
			recorder := newTestRecorder(8 << 20)
			w.Start(recorder)
			record(recorder, 0, 1)
			waitUntil(t, "it is posted", func() bool { return len(r.all()) == 1 })
			record(recorder, 1, 9)
			w.Close()
			events, _ := r.events()
			expectNumbers(t, events, 0, test.taken)
			status := w.Status()
			if left := uint64(10 - test.taken); status.Posted != uint64(test.taken) || status.Dropped != left ||
				left > 0 && !strings.Contains(observer.String(), "dropped ") {
				t.Errorf("%+v, told %q", status, observer)
			}
		})
	}
}

func TestHostileTextStaysJSON(t *testing.T) {
	r := newReceiver(t)
	w := newTestWebhook(t, WebhookOptions{URL: serve(t, r)})
	recorder := newTestRecorder(0)
	w.Start(recorder)
	for _, text := range []string{`"}],"dropped":9}`, "\x00\x1b[31m\u009b", "\xff\xfe", "\u2028</script>", `\u0000\`} {
		recorder.Record(journal.Event{Kind: journal.Refused, UserAgent: text, Detail: text})
	}
	w.Close()
	events, dropped := r.events()
	want := []string{`"}],"dropped":9}`, "\x00\x1b[31m\u009b", "\ufffd", "\u2028</script>", `\u0000\`}
	if len(events) != len(want) || dropped != 0 {
		t.Fatalf("%d dropped, %+v", dropped, events)
	}
	for i, event := range events {
		if event.UserAgent != want[i] || event.Detail != want[i] {
			t.Errorf("%+v, want %q", event, want[i])
		}
	}
}

// A flood of large texts makes no post that a server refuses for its size.
func TestWebhookBoundsItsPosts(t *testing.T) {
	r := newReceiver(t)
	w := newTestWebhook(t, WebhookOptions{URL: serve(t, r)})
	recorder := newTestRecorder(32 << 20)
	w.Start(recorder)
	text := strings.Repeat("\x00", 1000)
	for range 300 {
		recorder.Record(journal.Event{Kind: journal.Refused, UserAgent: text, Detail: text, Contact: text, CallID: text})
	}
	waitUntil(t, "all are posted", func() bool { return w.Status().Posted == 300 })
	for _, body := range r.all() {
		if len(body) > 300<<10 {
			t.Errorf("a post of %d bytes", len(body))
		}
	}
}

func TestNothingSecretIsSaid(t *testing.T) {
	tls := httptest.NewUnstartedServer(newReceiver(t))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for _, test := range []struct{ name, url, failure string }{
		{"no answer", serve(t, http.HandlerFunc(silence)), "in time"},
		{"an error", serve(t, answerWith(500)), "500"},
		{"a redirect", serve(t, http.RedirectHandler("http://name:hunter2@127.0.0.1/?hunter2", http.StatusFound)), "302"},
		{"refused", "http://" + refusing.Addr().String(), "refused"},
		{"an unknown certificate", tls.URL, "certificate"},
		{"TLS to a server without it", strings.Replace(serve(t, answerWith(200)), "http:", "https:", 1), "HTTPS client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			observer := &told{}
			w := newTestWebhook(t, WebhookOptions{
				URL: strings.Replace(test.url, "//", "//name:hunter2@", 1) + "/hunter2?token=hunter2#hunter2", Secret: "hunter2", Observer: observer,
			})
			w.grace = time.Millisecond
			if test.failure == "in time" {
				w.client.Timeout = 200 * time.Millisecond
			}
			recorder := newTestRecorder(0)
			w.Start(recorder)
			record(recorder, 0, 1)
			waitUntil(t, "it fails", func() bool { return strings.Contains(observer.String(), "fails") })
			w.Close()
			said := w.Status().Failure + observer.String()
			if !strings.Contains(said, test.failure) || strings.Contains(said, "hunter2") || w.Status().Posted != 0 {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestNewWebhookRefusesWhatIsNoURL(t *testing.T) {
	for _, url := range []string{"", "example.com", "ftp://hunter2@example.com", "http://", "https:///hunter2", "http://hunter2:x y@z", "https://:80"} {
		if _, err := NewWebhook(WebhookOptions{URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
