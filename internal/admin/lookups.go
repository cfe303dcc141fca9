package admin

import (
	"context"
	"iter"
	"net/http"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// remote is a store that may be away.
type remote interface {
	Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool)
	Stale() bool
}

// walker is a remote that tells whether all that it went through is as it is.
type walker interface {
	Walk(yield func(sipuri.AOR, []location.Binding) bool) (isAll bool)
}

// lookups is what one request asks the store for, up to its end: nobody waits for more.
type lookups struct {
	context.Context
	server *Server
	now    time.Time
	stale  bool // some of what was told is what this node saw last
}

// begin begins those of a request. They end while there is time for an answer.
func (s *Server) begin(r *http.Request) (l *lookups, end context.CancelFunc) {
	ctx, end := context.WithTimeout(r.Context(), s.answerTime*2/3)
	return &lookups{Context: ctx, server: s, now: s.Clock()}, end
}

// of returns what an AOR is bound to, and whether that is what this node saw last.
func (l *lookups) of(aor sipuri.AOR) (bindings []location.Binding, stale bool) {
	if l.Err() != nil {
		return nil, true
	}
	if store, mayBe := l.server.Store.(remote); mayBe {
		bindings, stale = store.Lookup(aor, l.now)
		l.stale = l.stale || stale
		return bindings, stale
	}
	return l.server.Store.Bindings(aor, l.now), false
}

// all yields all AORs with what they are bound to.
func (l *lookups) all() iter.Seq2[sipuri.AOR, []location.Binding] {
	walk := func(yield func(sipuri.AOR, []location.Binding) bool) bool {
		l.server.Store.All()(yield)
		return true
	}
	if store, may := l.server.Store.(walker); may {
		walk = store.Walk
	}
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		isAll := walk(func(aor sipuri.AOR, bindings []location.Binding) bool { return l.Err() == nil && yield(aor, bindings) })
		l.stale = l.stale || !isAll
		l.lookAround()
	}
}

// lookAround takes down whether the store is away, or a part of it.
func (l *lookups) lookAround() {
	store, mayBe := l.server.Store.(remote)
	l.stale = l.stale || mayBe && store.Stale()
}

// hasEnded says that a request has ended before all was asked for.
func (l *lookups) hasEnded(w http.ResponseWriter) bool {
	if l.Err() == nil {
		return false
	}
	fail(w, http.StatusServiceUnavailable, "sipregd is stopping, or what is asked for takes too long")
	return true
}
