package admin

import (
	"sync"
	"time"

	"sipregd/internal/admin/api"
)

// WebhookObserver is told how the posts of a webhook get on: what changes, and of
// the same at most once a minute. Its methods must not block, nor use the webhook.
type WebhookObserver interface {
	// WebhookFails tells that posts fail, since when, and how many events wait.
	WebhookFails(cause error, since time.Time, waiting int)
	// WebhookFine tells that they are taken again.
	WebhookFine(after time.Duration)
	// WebhookDropped tells that events were not posted, beyond those told of before.
	WebhookDropped(events uint64)
}

// tellInterval is between two calls of the same method of an observer, at least.
const tellInterval = time.Minute

// webhookHealth counts what becomes of events, and tells an observer.
type webhookHealth struct {
	observer WebhookObserver
	clock    func() time.Time

	mu          sync.Mutex
	status      api.Webhook
	failing     time.Time // since when; zero: posts are taken
	told        bool      // that they fail
	toldFailure time.Time // when that was told, zero: never
	untold      uint64    // events that were dropped
	toldDrops   time.Time
}

func (h *webhookHealth) current() api.Webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

func (h *webhookHealth) taken(events int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Posted += uint64(events)
	now := h.clock()
	if h.told {
		h.observer.WebhookFine(now.Sub(h.failing))
	}
	h.status.Failure, h.failing, h.told = "", time.Time{}, false
	h.tellDrops(now)
}

func (h *webhookHealth) failed(cause error, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock()
	if h.failing.IsZero() {
		h.failing = now
	}
	h.status.Failure = cause.Error()
	if h.toldFailure.IsZero() || now.Sub(h.toldFailure) >= tellInterval {
		h.told, h.toldFailure = true, now
		h.observer.WebhookFails(cause, h.failing, waiting)
	}
	h.tellDrops(now)
}

func (h *webhookHealth) dropped(events uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Dropped += events
	h.untold += events
	h.tellDrops(h.clock())
}

func (h *webhookHealth) tellDrops(now time.Time) {
	if h.untold == 0 || !h.toldDrops.IsZero() && now.Sub(h.toldDrops) < tellInterval {
		return
	}
	h.observer.WebhookDropped(h.untold)
	h.untold, h.toldDrops = 0, now
}

// end counts what was left, and tells what was not told.
func (h *webhookHealth) end(left uint64) {
	h.mu.Lock()
	h.toldDrops = time.Time{}
	h.mu.Unlock()
	h.dropped(left)
}
