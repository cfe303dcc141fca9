package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// What befalls the daemon by its files, its disk, those who read its log, administrators
// and the server of its webhook.

// reload changes the guests, or breaks peers.conf, and has it read.
func (h *hand) reload() {
	h.soak.files.Lock()
	defer h.soak.files.Unlock()
	h.soak.putPeers(h.random)
	if h.random.IntN(2) == 0 {
		h.call(http.MethodPost, "/api/v1/reload", nil)
		return
	}
	if err := h.soak.d.command.Process.Signal(syscall.SIGHUP); err != nil {
		h.soak.fail("%v", err)
	}
}

// call asks the daemon something over its control socket, which has to be answered.
func (h *hand) call(method, path string, body []byte) {
	request, err := http.NewRequest(method, "http://sipregd"+path, bytes.NewReader(body))
	if err != nil {
		h.soak.fail("%v", err)
		return
	}
	response, err := h.soak.d.administrator().Do(request)
	if err != nil {
		h.soak.fail("%s %s: %v", method, path, err)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		h.soak.fail("%s %s: %v", method, path, err)
	}
}

// watch follows the events, reads nothing of them, and goes.
func (h *hand) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://sipregd/api/v1/events?kinds=all", nil)
	response, err := h.soak.d.administrator().Do(request)
	if err != nil {
		h.soak.fail("a watcher: %v", err)
		return
	}
	defer response.Body.Close()
	h.wait(2 * time.Second)
}

func (h *hand) lookUp() {
	name := url.QueryEscape(h.network("0", "desk 1", "nobody", "127.60.0.1", fmt.Sprintf("guest-%d", h.random.IntN(guests)), h.stranger().String()))
	h.call(http.MethodGet, h.network("/api/v1/why?q="+name, "/api/v1/contacts", "/api/v1/peers", "/api/v1/bans", "/api/v1/stats", "/readyz", "/metrics"), nil)
}

func (h *hand) removeOne() {
	h.call(http.MethodDelete, fmt.Sprintf("/api/v1/contacts/%d", h.random.IntN(len(h.soak.phones))), nil)
}

// ban keeps a network out for a moment, of which somebody comes.
func (h *hand) ban() {
	at := netip.AddrFrom4([4]byte{127, 62, byte(h.random.IntN(256)), 1})
	network := netip.PrefixFrom(at, 24).Masked().String()
	h.call(http.MethodPost, "/api/v1/bans", []byte(fmt.Sprintf(`{"network":"%s","seconds":600}`, network)))
	h.try(at, "guest-1", "welcome", "guest-1")
	h.call(http.MethodDelete, "/api/v1/bans?network="+url.QueryEscape(network), nil)
}

func (h *hand) holdLog() {
	h.soak.log.held.Lock()
	defer h.soak.log.held.Unlock()
	h.wait(3 * time.Second)
}

// fillDisk leaves no room for bindings for a moment, where there is a disk to fill.
func (h *hand) fillDisk() {
	if h.soak.disk == "" || !h.soak.filling.TryLock() {
		return
	}
	defer h.soak.filling.Unlock()
	path := fill(h.soak.t, h.soak.disk)
	h.wait(3 * time.Second)
	if err := os.Remove(path); err != nil {
		h.soak.fail("%v", err)
	}
}

func (h *hand) changeWebhook() { h.soak.mood.Store(int64(h.random.IntN(moods))) }

// What the server of the webhook may do with a post.
const (
	takes = iota
	dawdles
	refuses
	hangsUp
	moods
)

// takePost is the server that the webhook posts to.
func (s *soak) takePost(w http.ResponseWriter, r *http.Request) {
	switch s.mood.Load() {
	case takes:
		_, _ = io.Copy(io.Discard, r.Body)
	case dawdles:
		time.Sleep(time.Second)
	case refuses:
		w.WriteHeader(http.StatusInternalServerError)
	case hangsUp:
		panic(http.ErrAbortHandler)
	}
}

// guests is how many peers come and go.
const guests = 50

// putPeers writes another peers.conf: without a chooser the whole one.
func (s *soak) putPeers(random *rand.Rand) {
	text := s.peers
	for n := range guests {
		if random == nil || random.IntN(2) == 0 {
			text += fmt.Sprintf("[Guest %d]\nauthname = guest-%[1]d\nsecret = welcome\naorname = guest-%[1]d\nmax_contacts = %d\n", n, 1+len(text)%5)
		}
	}
	if random != nil && random.IntN(4) == 0 {
		text += "[Broken]\nauthname\n"
	}
	path := filepath.Join(s.d.directory, "peers.conf")
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		s.fail("%v", err)
	} else if err := os.Rename(path+".new", path); err != nil {
		s.fail("%v", err)
	}
}
