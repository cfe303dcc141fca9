package shared

import (
	"errors"
	"testing"
	"time"

	"sipregd/internal/location"
)

// A use is good once among all nodes, as long as its nonce may live.
func TestClaim(t *testing.T) {
	redis := startServer(t)
	one, _ := openWith(t, Options{URL: redis.url(), Node: "one", NonceLifetime: time.Minute, Timeout: calm})
	two, _ := openWith(t, Options{URL: redis.url(), Node: "two", NonceLifetime: time.Minute, Timeout: calm})
	use := location.Use{Issued: 1<<32 - 1, Number: 1<<64 - 1, Count: 1}
	if err := one.Claim(use); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Store{"one": one, "two": two} {
		if err := s.Claim(use); !errors.Is(err, location.ErrReplayed) {
			t.Errorf("once more at %s: %v", name, err)
		}
	}
	for _, other := range []location.Use{{Issued: use.Issued, Number: use.Number, Count: 2}, {Issued: 7, Number: use.Number, Count: 1}, {Issued: use.Issued, Number: 7, Count: 1}} {
		if err := two.Claim(other); err != nil {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if left := redis.cli("PTTL", useKey(use)); len(left) != len("59999") {
		t.Errorf("it is remembered for %s ms", left)
	}
	redis.kill()
	eventually(t, "a claim fails", func() bool { return errors.Is(one.Claim(use), location.ErrNotDurable) })
}
