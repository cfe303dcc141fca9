package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// fakeDaemon answers the page as a daemon does that is in whatever state a test
// wants.
type fakeDaemon struct {
	*httptest.Server

	mu       sync.Mutex
	contacts []api.Contact // in the order of their AORs
	attempts []api.Attempt // the latest first
	stats    api.Stats
	requests map[string]int // by path
	watchers map[chan string]bool
	hangUp   chan struct{} // closed: streams end
	down     bool          // no stream begins
	hold     chan struct{} // not nil: lists of bindings are answered once it is closed
	held     bool          // one waits for that
}

func newFakeDaemon(t testing.TB) *fakeDaemon {
	t.Helper()
	d := &fakeDaemon{
		requests: map[string]int{}, watchers: map[chan string]bool{}, hangUp: make(chan struct{}),
		stats: api.Stats{Version: "1.0", Peers: 3, Store: api.Store{Kind: "file", Durable: true}, Reload: api.Reload{OK: true}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/contacts", d.listContacts)
	mux.HandleFunc("GET /api/v1/contacts/{aor}", d.contactsOf)
	mux.HandleFunc("DELETE /api/v1/contacts/{aor}", d.remove)
	mux.HandleFunc("GET /api/v1/why", d.why)
	mux.HandleFunc("GET /api/v1/stats", d.showStats)
	mux.HandleFunc("GET /api/v1/events", d.events)
	mux.Handle("GET /", page())
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.requests[r.URL.Path]++
		d.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		d.disconnect()
		d.Close()
	})
	return d
}

// set changes the state.
func (d *fakeDaemon) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// asked returns how often a path was asked for.
func (d *fakeDaemon) asked(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests[path]
}

func (d *fakeDaemon) listContacts(w http.ResponseWriter, r *http.Request) {
	answer, hold := d.list(r)
	if hold != nil {
		<-hold
	}
	reply(w, http.StatusOK, answer)
}

// list returns the bindings that a request is for, and what to wait for before they
// are sent.
func (d *fakeDaemon) list(r *http.Request) (answer api.Contacts, hold chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	query := strings.ToLower(r.FormValue("q"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	for _, c := range d.contacts {
		if !strings.Contains(strings.ToLower(strings.Join([]string{c.AOR, c.Label, c.Authname, c.Contact, c.Source, c.UserAgent}, "\n")), query) {
			continue
		}
		if answer.Total++; len(answer.Contacts) < limit {
			answer.Contacts = append(answer.Contacts, c)
		} else if answer.Next == "" {
			answer.Next = "more"
		}
	}
	d.held = d.hold != nil
	return answer, d.hold
}

func (d *fakeDaemon) contactsOf(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	others := func(c api.Contact) bool { return c.AOR != r.PathValue("aor") }
	found := slices.DeleteFunc(slices.Clone(d.contacts), others)
	if len(found) == 0 {
		reply(w, http.StatusNotFound, api.Error{Error: "nothing is registered"})
		return
	}
	reply(w, http.StatusOK, api.Contacts{Total: len(found), Contacts: found})
}

// remove removes what is asked for, and nothing where that is no id.
func (d *fakeDaemon) remove(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.contacts = slices.DeleteFunc(d.contacts, func(c api.Contact) bool { return c.AOR == r.PathValue("aor") && c.ID == r.FormValue("id") })
	reply(w, http.StatusOK, api.Removed{Removed: 1})
}

func (d *fakeDaemon) why(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := api.Why{Query: r.FormValue("q")}
	for _, a := range d.attempts {
		if answer.Query == "" || slices.Contains([]string{a.AOR, a.Authname, a.Label}, answer.Query) {
			answer.Attempts = append(answer.Attempts, a)
		}
	}
	if len(answer.Attempts) == 0 {
		answer.Note = "No phone has tried that."
	}
	reply(w, http.StatusOK, answer)
}

func (d *fakeDaemon) showStats(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.stats
	stats.Bindings = len(d.contacts)
	aors := map[string]bool{}
	for _, c := range d.contacts {
		aors[c.AOR] = true
	}
	stats.AORs = len(aors)
	reply(w, http.StatusOK, stats)
}

func (d *fakeDaemon) events(w http.ResponseWriter, r *http.Request) {
	lines := make(chan string, 10000)
	d.mu.Lock()
	down, hangUp := d.down, d.hangUp
	d.watchers[lines] = true
	d.mu.Unlock()
	if down {
		reply(w, http.StatusServiceUnavailable, api.Error{Error: "not now"})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case line := <-lines:
			fmt.Fprint(w, line)
		case <-hangUp:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// disconnect ends the streams.
func (d *fakeDaemon) disconnect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.hangUp)
	d.hangUp = make(chan struct{})
}

// happen sends an event to the page.
func (d *fakeDaemon) happen(e api.Event) {
	data, _ := json.Marshal(e)
	d.mu.Lock()
	defer d.mu.Unlock()
	for lines := range d.watchers {
		lines <- fmt.Sprintf(": comment\r\nid: %d\r\nevent: event\r\ndata: %s\r\n\r\n", e.Seq, data)
	}
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// binding returns one that a phone made a while ago.
func binding(aor, authname, label, contact, source, agent string, age time.Duration) api.Contact {
	now, id := time.Now(), fnv.New64a()
	fmt.Fprint(id, aor, contact)
	return api.Contact{
		ID: strconv.FormatUint(id.Sum64(), 10), AOR: aor, Authname: authname, Label: label, Contact: contact, Source: source, Transport: "UDP", UserAgent: agent,
		ExpiresIn: int64((time.Hour - age).Seconds()), Expires: now.Add(time.Hour - age), LastSeen: now.Add(-age),
		CallID: authname + "@" + source, CSeq: 2,
	}
}

func sortByAOR(contacts []api.Contact) []api.Contact {
	slices.SortStableFunc(contacts, func(a, b api.Contact) int { return cmp.Compare(a.AOR, b.AOR) })
	return contacts
}
