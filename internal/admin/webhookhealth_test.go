package admin

import (
	"errors"
	"testing"
	"time"
)

// TestWebhookHealth: what changes is told, and the same at most once a minute.
func TestWebhookHealth(t *testing.T) {
	type step struct {
		after time.Duration // the step before
		do    func(*webhookHealth)
		told  string
	}
	fails := func(h *webhookHealth) { h.failed(errors.New("cause"), 7) }
	taken := func(h *webhookHealth) { h.taken(1) }
	drops := func(h *webhookHealth) { h.dropped(3) }
	ends := func(h *webhookHealth) { h.end(4) }
	none := func(h *webhookHealth) { h.end(0) }
	const failure = "fails, 7 wait: cause"
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"all is well", []step{{0, taken, ""}, {time.Hour, taken, ""}, {0, none, ""}}},
		{"a failure at once, and that it is over", []step{{0, fails, failure}, {0, taken, "fine"}, {0, taken, ""}}},
		{"a failure that stays", []step{{0, fails, failure}, {59 * time.Second, fails, ""}, {time.Second, fails, failure}, {time.Second, fails, ""}}},
		{"one that comes and goes", []step{{0, fails, failure}, {0, taken, "fine"}, {time.Second, fails, ""}, {0, taken, ""}, {time.Minute, fails, failure}}},
		{"drops", []step{{0, drops, "dropped 3"}, {time.Second, drops, ""}, {time.Second, drops, ""}, {time.Minute, drops, "dropped 9"}, {time.Hour, taken, ""}}},
		{"drops that are over", []step{{0, drops, "dropped 3"}, {time.Second, drops, ""}, {time.Hour, taken, "dropped 3"}}},
		{"what is left", []step{{0, drops, "dropped 3"}, {time.Second, drops, ""}, {time.Second, ends, "dropped 7"}, {0, none, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			observer, now := &told{}, noon
			h := &webhookHealth{observer: observer, clock: func() time.Time { return now }}
			for i, step := range test.steps {
				now = now.Add(step.after)
				observer.lines = nil
				step.do(h)
				if got := observer.String(); got != step.told {
					t.Errorf("step %d: told %q, want %q", i, got, step.told)
				}
			}
		})
	}
}
