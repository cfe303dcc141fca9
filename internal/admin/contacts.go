package admin

import (
	"cmp"
	"container/heap"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/qualify"
	"sipregd/internal/sipuri"
)

var errNotNext = errors.New("after is not what an earlier answer had as next")

func (s *Server) listContacts(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	query := r.URL.Query()
	after, err := readNext(query.Get("after"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, http.StatusOK, s.contacts(query.Get("q"), after, limit))
}

// contacts returns a page of the bindings that hold a text: those of the first
// AORs after a place in their order. An AOR is never split, so that there may be
// some more than limit.
func (s *Server) contacts(text, after string, limit int) api.Contacts {
	s.searching.Lock()
	defer s.searching.Unlock()
	now := s.Clock()
	page := api.Contacts{Contacts: []api.Contact{}, Stale: s.isStale()}
	first := firstAORs{limit: limit, after: after}
	text = strings.ToLower(text)
	for aor, bindings := range s.Store.All() {
		matching := matching(aor, bindings, text, now)
		page.Total += len(matching)
		first.offer(aor, matching)
	}
	aors := first.inOrder()
	for at, found := range aors {
		for i := range found.bindings {
			page.Contacts = append(page.Contacts, s.contactOf(found.aor, &found.bindings[i], now))
		}
		if len(page.Contacts) >= limit && (first.more || at+1 < len(aors)) {
			page.Next = nextAfter(found.place)
			break
		}
	}
	return page
}

// matching returns the bindings that have not expired and hold the text, which is
// in lower case, in one of the fields that people look for. They stand where all
// stood.
func matching(aor sipuri.AOR, bindings []location.Binding, text string, now time.Time) []location.Binding {
	found := bindings[:0]
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

// placeOf returns what orders AORs as they are shown. It is that of no other AOR,
// and not empty.
func placeOf(aor sipuri.AOR) string { return aor.String() + "\x00" + aor.Domain }

// nextAfter and readNext write and read a place as what an answer has as next:
// an AOR need not be UTF-8, which JSON has to be.
func nextAfter(place string) string { return base64.RawURLEncoding.EncodeToString([]byte(place)) }

func readNext(text string) (place string, err error) {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", errNotNext
	}
	return string(decoded), nil
}

// found is an AOR with its bindings that match.
type found struct {
	place    string
	aor      sipuri.AOR
	bindings []location.Binding
}

func comparePlaces(a, b found) int { return cmp.Compare(a.place, b.place) }

// firstAORs keeps the first AORs in alphabetical order of those that it is offered:
// at most limit of them. As a heap it has the last one in front.
type firstAORs struct {
	limit int
	after string
	found []found
	more  bool // some were left out
}

// offer keeps a copy of the bindings, if it keeps them.
func (f *firstAORs) offer(aor sipuri.AOR, bindings []location.Binding) {
	if len(bindings) == 0 {
		return
	}
	place := placeOf(aor)
	switch {
	case place <= f.after || f.has(place):
	case len(f.found) < f.limit:
		heap.Push(f, found{place, aor, slices.Clone(bindings)})
	case place < f.found[0].place:
		f.found[0], f.more = found{place, aor, slices.Clone(bindings)}, true
		heap.Fix(f, 0)
	default:
		f.more = true
	}
}

// has tells whether an AOR is kept, which a store may yield twice.
func (f *firstAORs) has(place string) bool {
	return len(f.found) > 0 && place <= f.found[0].place && slices.ContainsFunc(f.found, func(kept found) bool { return kept.place == place })
}

func (f *firstAORs) inOrder() []found {
	return slices.SortedFunc(slices.Values(f.found), comparePlaces)
}

func (f *firstAORs) Len() int           { return len(f.found) }
func (f *firstAORs) Less(i, j int) bool { return f.found[i].place > f.found[j].place }
func (f *firstAORs) Swap(i, j int)      { f.found[i], f.found[j] = f.found[j], f.found[i] }
func (f *firstAORs) Push(x any)         { f.found = append(f.found, x.(found)) }
func (f *firstAORs) Pop() any {
	last := f.found[len(f.found)-1]
	f.found = f.found[:len(f.found)-1]
	return last
}

// contactOf returns a binding as it is said over HTTP.
func (s *Server) contactOf(aor sipuri.AOR, b *location.Binding, now time.Time) api.Contact {
	contact := api.Contact{
		ID: strconv.FormatUint(b.ID, 10), AOR: aor.String(), Label: b.Label, Authname: b.Authname,
		Contact: b.Contact, Params: b.Params, Q: b.Q,
		Source: b.Source.String(), Transport: b.Transport, ExpiresIn: b.Remaining(now),
		Expires: b.Expires.UTC(), LastSeen: b.Changed.UTC(),
		UserAgent: b.UserAgent, CallID: b.CallID, CSeq: b.CSeq,
		Instance: instanceOf(b), Push: pushOf(b), NAT: b.NAT, Path: b.Path, Node: b.Node,
	}
	switch {
	case b.Stream != 0 && s.Daemon.FlowGone(b):
		contact.Reachable = "no"
	case s.Qualifier != nil:
		status, _ := s.Qualifier.Status(b.ID)
		contact.Reachable = reachable[status.State]
		contact.RoundTrip = float64(status.RoundTrip.Microseconds()) / 1000
	}
	return contact
}

// isStale tells whether the store is away, or a part of it, so that bindings may be those
// that were seen last.
func (s *Server) isStale() bool {
	store, mayBe := s.Store.(remote)
	return mayBe && store.Stale()
}

// instanceOf returns the instance ID of a phone without its brackets, empty if it has none.
func instanceOf(b *location.Binding) string {
	instance, _ := message.InstanceOf(b.Params)
	return strings.TrimSuffix(strings.TrimPrefix(instance, "<"), ">")
}

// pushOf returns what wakes a phone that sleeps (RFC 8599 §4.1), nil as a rule.
func pushOf(b *location.Binding) *api.Push {
	if !strings.Contains(b.Contact, "pn-") { // as a rule
		return nil
	}
	uri, err := sipuri.Parse(b.Contact)
	if err != nil {
		return nil
	}
	provider, found := uri.Param("pn-provider")
	if !found {
		return nil
	}
	param, _ := uri.Param("pn-param")
	token, _ := uri.Param("pn-prid")
	return &api.Push{Provider: sipuri.Unescape(provider), Param: sipuri.Unescape(param), Token: sipuri.Unescape(token)}
}

// reachable says the states of a binding.
var reachable = map[qualify.State]string{qualify.Reachable: "yes", qualify.Unreachable: "no"}

func (s *Server) showContacts(w http.ResponseWriter, r *http.Request) {
	now := s.Clock()
	aor, bindings, stale := s.locate(r)
	page := api.Contacts{Contacts: []api.Contact{}, Stale: stale}
	for i := range bindings {
		page.Contacts = append(page.Contacts, s.contactOf(aor, &bindings[i], now))
	}
	if page.Total = len(page.Contacts); page.Total == 0 {
		if page.Stale {
			fail(w, http.StatusServiceUnavailable, "the store is away, and this node has seen no binding of "+aor.String())
			return
		}
		fail(w, http.StatusNotFound, s.noBinding(r, aor))
		return
	}
	answer(w, http.StatusOK, page)
}

// locate returns what is bound to an AOR, or to one phone of it where a GRUU is asked
// for, and whether that is what was seen last.
func (s *Server) locate(r *http.Request) (aor sipuri.AOR, bindings []location.Binding, stale bool) {
	text := r.PathValue("aor")
	if gruu, isGRUU := s.gruuOf(text); isGRUU {
		aor, bindings = s.Daemon.Locate(gruu)
		return aor, bindings, s.isStale()
	}
	aor = s.aorOf(text)
	if store, mayBe := s.Store.(remote); mayBe {
		bindings, stale = store.Lookup(aor, s.Clock())
		return aor, bindings, stale
	}
	return aor, s.Store.Bindings(aor, s.Clock()), false
}

// remote is a store that may be away.
type remote interface {
	Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool)
	Stale() bool
}

// gruuOf reads a GRUU, which may lack its sip: like an AOR.
func (s *Server) gruuOf(text string) (uri sipuri.URI, isGRUU bool) {
	uri, err := sipuri.Parse(text)
	if err != nil && !s.isShown(text) {
		uri, err = sipuri.Parse("sip:" + text)
	}
	if err != nil || !uri.IsSIP() {
		return uri, false
	}
	_, isGRUU = uri.Param("gr")
	return uri, isGRUU
}

// noBinding says that nothing was located.
func (s *Server) noBinding(r *http.Request, aor sipuri.AOR) string {
	text := r.PathValue("aor")
	if _, isGRUU := s.gruuOf(text); isGRUU {
		return text + " leads to no phone that is registered"
	}
	return aor.String() + " is not registered"
}

// aorOf reads an AOR as people write it, which is a user part, user@domain or a
// URI, or as it is shown where there is one domain for all hosts: a user part that
// may hold an @.
func (s *Server) aorOf(text string) sipuri.AOR {
	directory := s.Daemon.Directory()
	if uri, err := sipuri.Parse(text); err == nil && uri.IsSIP() {
		aor, _ := directory.AOR(uri)
		return aor
	}
	if s.isShown(text) {
		return sipuri.AOR{User: text}
	}
	return directory.ReadAOR(text)
}

// isShown tells whether a text is the whole of an AOR that a list shows.
func (s *Server) isShown(text string) bool {
	return len(s.Store.Bindings(sipuri.AOR{User: text}, s.Clock())) > 0
}
