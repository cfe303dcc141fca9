package admin

import (
	_ "embed"
	"encoding/json"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// described is what openapi.json describes.
func (s *Server) described() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /api/v1/contacts":          s.listContacts,
		"GET /api/v1/contacts/{aor}":    s.showContacts,
		"DELETE /api/v1/contacts/{aor}": s.removeContacts,
		"GET /api/v1/peers":             s.listPeers,
		"GET /api/v1/peers/{label}":     s.showPeer,
		"GET /api/v1/events":            s.streamEvents,
		"GET /api/v1/why":               s.explain,
		"GET /api/v1/stats":             s.showStats,
		"GET /api/v1/bans":              s.listBans,
		"POST /api/v1/bans":             s.addBan,
		"DELETE /api/v1/bans":           s.removeBan,
		"POST /api/v1/reload":           s.reload,
		"POST /api/v1/check":            s.check,
		"GET /api/v1/openapi.json":      showDescription,
		"GET /healthz":                  s.health,
		"GET /readyz":                   s.readiness,
		"GET /metrics":                  s.Metrics.ServeHTTP,
	}
}

// routes is all that is served.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range s.described() {
		mux.HandleFunc(pattern, handler)
	}
	mux.HandleFunc("/api/", s.unknownPath)
	mux.Handle("GET /{$}", page())
	mux.Handle("GET /page/", page())
	return mux
}

func showDescription(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, json.RawMessage(openAPI))
}

func (s *Server) unknownPath(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+"; see /api/v1/openapi.json")
}
