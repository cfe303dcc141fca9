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
	l, end := s.begin(r)
	defer end()
	page := s.contacts(l, query.Get("q"), after, limit)
	if !l.hasEnded(w) {
		answer(w, http.StatusOK, page)
	}
}

// contacts returns a page of the bindings that hold a text: those of the first
// AORs after a place in their order. An AOR is never split, so that there may be
// some more than limit.
func (s *Server) contacts(l *lookups, text, after string, limit int) api.Contacts {
	s.searching.Lock()
	defer s.searching.Unlock()
	page := api.Contacts{Contacts: []api.Contact{}}
	first := firstAORs{limit: limit, after: after}
	text = strings.ToLower(text)
	for aor, bindings := range l.all() {
		matching := matching(aor, bindings, text, l.now)
		page.Total += len(matching)
		first.offer(aor, matching)
	}
	page.Stale = l.stale
	aors := first.inOrder()
	for at, found := range aors {
		for i := range found.bindings {
			page.Contacts = append(page.Contacts, s.contactOf(found.aor, &found.bindings[i], l.now))
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
	l, end := s.begin(r)
	defer end()
	found := l.locate(r.PathValue("aor"))
	page := api.Contacts{Contacts: []api.Contact{}, Stale: found.stale}
	for i := range found.bindings {
		page.Contacts = append(page.Contacts, s.contactOf(found.aor, &found.bindings[i], l.now))
	}
	switch page.Total = len(page.Contacts); {
	case page.Total > 0:
		answer(w, http.StatusOK, page)
	case l.hasEnded(w):
	case page.Stale:
		fail(w, http.StatusServiceUnavailable, "the store is away, and this node has seen no binding of "+found.aor.String())
	default:
		fail(w, http.StatusNotFound, found.nothing())
	}
}

// located is what a text leads to that people write.
type located struct {
	text     string
	aor      sipuri.AOR
	isGRUU   bool // it leads to one phone of the AOR
	bindings []location.Binding
	stale    bool // they are what this node saw last
}

// nothing says that nothing was located.
func (f *located) nothing() string {
	if f.isGRUU {
		return f.text + " leads to no phone that is registered"
	}
	return f.aor.String() + " is not registered"
}

// locate reads an AOR as people write it, which is a user part, user@domain or a URI, or as
// it is shown where there is one domain for all hosts: a user part that may hold an @. A
// GRUU may lack its sip: like an AOR.
func (l *lookups) locate(text string) located {
	uri, err := sipuri.Parse(text)
	isURI := err == nil && uri.IsSIP()
	shown := located{text: text, aor: sipuri.AOR{User: text}}
	if !isURI {
		if shown.bindings, shown.stale = l.of(shown.aor); len(shown.bindings) > 0 {
			return shown
		}
	}
	if err != nil {
		uri, err = sipuri.Parse("sip:" + text)
	}
	directory, found := l.server.Daemon.Directory(), located{text: text}
	switch {
	case err == nil && isGRUU(&uri):
		found.isGRUU = true
		found.aor, found.bindings, found.stale = l.server.Daemon.Locate(uri)
	case isURI:
		found.aor, _ = directory.AOR(uri)
		found.bindings, found.stale = l.of(found.aor)
	default:
		if found.aor = directory.ReadAOR(text); found.aor == shown.aor {
			return shown
		}
		found.bindings, found.stale = l.of(found.aor)
	}
	found.stale = found.stale || shown.stale
	return found
}

func isGRUU(uri *sipuri.URI) bool {
	_, is := uri.Param("gr")
	return is && uri.IsSIP()
}
