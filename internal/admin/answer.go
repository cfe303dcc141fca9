package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"sipregd/internal/admin/api"
)

const (
	defaultLimit = 1000
	maxLimit     = 10000
)

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // nobody could be told
}

// fail says why there is no answer, and what to do.
func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, api.Error{Error: text})
}

// limitOf reads the query's limit.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, fmt.Errorf("limit is %q: write a whole number from 1 to %d", text, maxLimit)
	}
	return limit, nil
}
