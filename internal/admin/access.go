package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guarded lets those in who have the token. Without one just this machine gets in,
// by a name that no web page of somebody else's can have; and in either case no
// such page gets in through the browser of somebody who may.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isPublic(r.URL.Path):
			next.ServeHTTP(w, r)
		case s.Token == "" && !isLoopbackHost(r.Host):
			fail(w, http.StatusForbidden, "ask for this machine by its address, such as 127.0.0.1, or set [admin] token")
		case s.Token != "" && !s.hasToken(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="sipregd"`)
			fail(w, http.StatusUnauthorized, "send the [admin] token as Authorization: Bearer")
		case isForeign(r):
			fail(w, http.StatusForbidden, "another web page asks for this: open it by its address")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isPublic tells what tells nothing: whether the daemon runs, and the page without
// what it shows.
func isPublic(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/" || strings.HasPrefix(path, "/page/")
}

func (s *Server) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.Token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// isLoopbackHost tells whether the Host header field names this machine by an
// address: a name may be anybody's (DNS rebinding).
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
}

// isForeign tells whether a browser says that another web page asks. Such a page
// could not read the answer; but nor shall it learn how long that takes, or occupy
// the watchers' places.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return new(http.CrossOriginProtection).Check(r) != nil
	}
	return true
}
