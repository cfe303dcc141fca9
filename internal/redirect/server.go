// Package redirect tells callers where phones are, as a redirect server (RFC 3261 §8.3).
// It knows no socket, no file and no clock.
package redirect

import (
	"net/netip"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/registrar"
)

// Options are what New needs.
type Options struct {
	Registrar *registrar.Registrar // that answers what is not for a phone, and knows the bindings
	Journal   journal.Journal
	Permit    []netip.Prefix // where PBXs and proxies are that need prove nothing
}

// Server answers requests for phones, and has the registrar answer all others. It may be
// used by many goroutines at once.
type Server struct {
	*registrar.Registrar
	journal journal.Journal
	permit  []netip.Prefix
}

// New returns a redirect server in front of a registrar, and has that tell of it.
func New(o Options) *Server {
	o.Registrar.Allowing("INVITE", "MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER")
	return &Server{o.Registrar, o.Journal, o.Permit}
}

// Answer returns the response to a request. What is not understood of it, even its method,
// is no reason not to redirect it (§8.3). REGISTER, and OPTIONS that names nobody, are for
// the registrar itself.
func (s *Server) Answer(request *message.Request, now time.Time) *message.Response {
	switch {
	case request.Method == "REGISTER" || request.Method == "OPTIONS" && request.URI.User == "":
		return s.Registrar.Answer(request, now)
	case request.To.Tag != "": // no dialog is here that it could belong to (§12.2.2)
		return request.Respond(481, "Call/Transaction Does Not Exist")
	}
	c := &call{Authentication: s.Authentication(request, now), server: s, request: request, now: now}
	return c.answer()
}
