package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// What a daemon ends as it starts is posted too: whoever keeps a list of bindings by
// the posts would keep it for ever.
func TestBindingsThatEndAtTheStartArePosted(t *testing.T) {
	t.Parallel()
	posted := make(chan api.Event, 100)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var post struct{ Events []api.Event }
		if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
			t.Error(err)
		}
		for _, event := range post.Events {
			posted <- event
		}
	}))
	t.Cleanup(webhook.Close)
	const hall = "[Hall]\nauthname = hall\nsecret = s\naorname = 2001\n"
	d := startDaemon(t, "[admin]\nsocket = sipregd.sock\nwebhook = "+webhook.URL+"\n", hall+"[Kitchen]\nauthname = k\nsecret = s\naorname = 2002\n")
	d.register(t, "--aor", "2002", "--authname", "k", "--secret", "s")
	d.writePeers(t, hall)
	d.restart(t)
	for timeout := time.After(patience); ; {
		select {
		case event := <-posted:
			if event.Event == "removed" && event.AOR == "2002" && event.Reason == "peer_changed" {
				return
			}
		case <-timeout:
			t.Fatal("that the binding of a peer that is gone was removed is not posted")
		}
	}
}
