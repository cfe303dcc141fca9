package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// removal is which bindings of those that are located go: all, or one.
type removal struct {
	contact string // empty: whatever it is
	id      uint64 // 0: whichever
}

// readRemoval reads what a query says. What is empty must not come to mean all.
func readRemoval(query url.Values) (which removal, err error) {
	which.contact = query.Get("contact")
	switch {
	case query.Has("contact") && query.Has("id"):
		return which, errors.New("write contact or id, not both")
	case query.Has("contact") && which.contact == "":
		return which, errors.New("contact is empty: write the Contact to remove, or leave contact out to remove all")
	case query.Has("id"):
		if which.id, err = strconv.ParseUint(query.Get("id"), 10, 64); err != nil || which.id == 0 {
			return which, errors.New("id is not the id of a binding: write it as the list of bindings does, or leave it out to remove all")
		}
	}
	return which, nil
}

func (s *Server) removeContacts(w http.ResponseWriter, r *http.Request) {
	which, err := readRemoval(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	l, end := s.begin(r)
	defer end()
	found := l.locate(r.PathValue("aor"))
	removed, err := s.Daemon.Remove(found.aor, which.of(found.bindings))
	switch {
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err.Error())
	case removed > 0:
		answer(w, http.StatusOK, api.Removed{Removed: removed})
	case l.hasEnded(w):
	case found.stale:
		fail(w, http.StatusServiceUnavailable, "the store is away, and this node has seen no such binding of "+found.aor.String())
	case len(found.bindings) == 0 || which == removal{}:
		fail(w, http.StatusNotFound, found.nothing())
	default:
		fail(w, http.StatusNotFound, which.missing(found.aor))
	}
}

// of returns the IDs of the bindings that go.
func (which removal) of(bindings []location.Binding) (ids []uint64) {
	for i := range bindings {
		b := &bindings[i]
		if (which.id == 0 || which.id == b.ID) && (which.contact == "" || isTo(b, which.contact)) {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// missing says that there is none of those.
func (which removal) missing(aor sipuri.AOR) string {
	if which.id != 0 {
		return fmt.Sprintf("%s has no binding with the id %d", aor, which.id)
	}
	return fmt.Sprintf("%s is not bound to %s", aor, which.contact)
}

// isTo tells whether a binding is to a Contact, by RFC 3261 §19.1.4.
func isTo(b *location.Binding, contact string) bool {
	if b.Contact == contact {
		return true
	}
	wanted, err := sipuri.Parse(contact)
	return err == nil && b.IsTo(&wanted)
}
