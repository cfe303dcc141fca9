package admin

import (
	"cmp"
	"container/heap"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

func (s *Server) listContacts(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	query := r.URL.Query()
	answer(w, http.StatusOK, s.contacts(query.Get("q"), query.Get("after"), limit))
}

// contacts returns a page of the bindings that hold a text: those of the first
// AORs after one. An AOR is never split, so that there may be some more than limit.
func (s *Server) contacts(text, after string, limit int) api.Contacts {
	now := s.Clock()
	page := api.Contacts{Contacts: []api.Contact{}}
	first := firstAORs{limit: limit, after: after}
	text = strings.ToLower(text)
	for aor, bindings := range s.Store.All() {
		matching := matching(aor, bindings, text, now)
		page.Total += len(matching)
		first.offer(aor.String(), matching)
	}
	aors := first.inOrder()
	for at, found := range aors {
		for i := range found.bindings {
			page.Contacts = append(page.Contacts, contactOf(found.aor, &found.bindings[i], now))
		}
		if len(page.Contacts) >= limit && (first.more || at+1 < len(aors)) {
			page.Next = found.aor
			break
		}
	}
	return page
}

// matching returns the bindings that have not expired and hold the text, which is
// in lower case, in one of the fields that people look for.
func matching(aor sipuri.AOR, bindings []location.Binding, text string, now time.Time) []location.Binding {
	var found []location.Binding
	for i := range bindings {
		if b := &bindings[i]; b.Expires.After(now) && holds(aor, b, text) {
			found = append(found, *b)
		}
	}
	return found
}

func holds(aor sipuri.AOR, b *location.Binding, text string) bool {
	if text == "" {
		return true
	}
	for _, field := range [...]string{aor.String(), b.Label, b.Authname, b.Contact, b.Source.String(), b.UserAgent} {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return false
}

// found is an AOR with its bindings that match.
type found struct {
	aor      string
	bindings []location.Binding
}

func compareAORs(a, b found) int { return cmp.Compare(a.aor, b.aor) }

// firstAORs keeps the first AORs in alphabetical order of those that it is offered:
// at most limit of them. As a heap it has the last one in front.
type firstAORs struct {
	limit int
	after string
	found []found
	more  bool // some were left out
}

func (f *firstAORs) offer(aor string, bindings []location.Binding) {
	if len(bindings) == 0 || aor <= f.after && f.after != "" {
		return
	}
	switch {
	case len(f.found) < f.limit:
		heap.Push(f, found{aor, bindings})
	case aor < f.found[0].aor:
		f.found[0], f.more = found{aor, bindings}, true
		heap.Fix(f, 0)
	default:
		f.more = true
	}
}

func (f *firstAORs) inOrder() []found { return slices.SortedFunc(slices.Values(f.found), compareAORs) }

func (f *firstAORs) Len() int           { return len(f.found) }
func (f *firstAORs) Less(i, j int) bool { return f.found[i].aor > f.found[j].aor }
func (f *firstAORs) Swap(i, j int)      { f.found[i], f.found[j] = f.found[j], f.found[i] }
func (f *firstAORs) Push(x any)         { f.found = append(f.found, x.(found)) }
func (f *firstAORs) Pop() any {
	last := f.found[len(f.found)-1]
	f.found = f.found[:len(f.found)-1]
	return last
}

func contactOf(aor string, b *location.Binding, now time.Time) api.Contact {
	return api.Contact{
		AOR: aor, Label: b.Label, Authname: b.Authname, Contact: b.Contact, Params: b.Params, Q: b.Q,
		Source: b.Source.String(), Transport: b.Transport, ExpiresIn: b.Remaining(now), Expires: b.Expires, LastSeen: b.Changed,
		UserAgent: b.UserAgent, CallID: b.CallID, CSeq: b.CSeq,
	}
}

func (s *Server) showContacts(w http.ResponseWriter, r *http.Request) {
	now := s.Clock()
	aor := s.aorOf(r)
	page := api.Contacts{Contacts: []api.Contact{}}
	for _, b := range s.Store.Bindings(aor, now) {
		page.Contacts = append(page.Contacts, contactOf(aor.String(), &b, now))
	}
	if page.Total = len(page.Contacts); page.Total == 0 {
		fail(w, http.StatusNotFound, noBinding(aor))
		return
	}
	answer(w, http.StatusOK, page)
}

func (s *Server) removeContacts(w http.ResponseWriter, r *http.Request) {
	aor, contact := s.aorOf(r), r.URL.Query().Get("contact")
	removed, err := s.Daemon.Remove(aor, contact)
	switch {
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err.Error())
	case removed == 0 && contact != "":
		fail(w, http.StatusNotFound, fmt.Sprintf("%s is not bound to %s", aor, contact))
	case removed == 0:
		fail(w, http.StatusNotFound, noBinding(aor))
	default:
		answer(w, http.StatusOK, api.Removed{Removed: removed})
	}
}

func noBinding(aor sipuri.AOR) string { return aor.String() + " is not registered" }

// aorOf reads an AOR as people write it: a user part, user@domain or a URI.
func (s *Server) aorOf(r *http.Request) sipuri.AOR {
	text := r.PathValue("aor")
	if uri, err := sipuri.Parse(text); err == nil && uri.IsSIP() {
		aor, _ := s.Daemon.Directory().AOR(uri)
		return aor
	}
	return s.Daemon.Directory().ReadAOR(text)
}
