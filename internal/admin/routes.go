package admin

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// routes is all that is served.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/contacts", s.listContacts)
	mux.HandleFunc("GET /api/v1/contacts/{aor}", s.showContacts)
	mux.HandleFunc("DELETE /api/v1/contacts/{aor}", s.removeContacts)
	mux.HandleFunc("GET /api/v1/peers", s.listPeers)
	mux.HandleFunc("GET /api/v1/peers/{label}", s.showPeer)
	mux.HandleFunc("GET /api/v1/events", s.streamEvents)
	mux.HandleFunc("GET /api/v1/why", s.explain)
	mux.HandleFunc("GET /api/v1/stats", s.showStats)
	mux.HandleFunc("GET /api/v1/bans", s.listBans)
	mux.HandleFunc("POST /api/v1/bans", s.addBan)
	mux.HandleFunc("DELETE /api/v1/bans", s.removeBan)
	mux.HandleFunc("POST /api/v1/reload", s.reload)
	mux.HandleFunc("POST /api/v1/check", s.check)
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI)
	})
	mux.HandleFunc("/api/", s.unknownPath)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.readiness)
	mux.Handle("GET /metrics", s.Metrics)
	mux.Handle("GET /{$}", page())
	mux.Handle("GET /page/", page())
	return mux
}

func (s *Server) unknownPath(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+"; see /api/v1/openapi.json")
}
