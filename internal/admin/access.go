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
// such page may change anything.
func (s *Server) guarded(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isPublic(r.URL.Path):
			next.ServeHTTP(w, r)
		case s.Token == "" && !isLoopbackHost(r.Host):
			fail(w, http.StatusForbidden, "ask for this machine by its address, such as 127.0.0.1, or set [admin] token")
		case s.Token != "" && !s.hasToken(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="sipregd"`)
			fail(w, http.StatusUnauthorized, "send the [admin] token as Authorization: Bearer")
		default:
			sameOrigin.ServeHTTP(w, r)
		}
	})
}

// isPublic tells what tells nothing: whether the daemon runs, and the page without
// what it shows.
func isPublic(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/" || strings.HasPrefix(path, "/page/")
}

func (s *Server) hasToken(r *http.Request) bool {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.Token))
	return found && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// isLoopbackHost tells whether the Host header field names this machine by an
// address: a name may be anybody's (DNS rebinding).
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && address.IsLoopback()
}
