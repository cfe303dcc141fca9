package shared

import (
	"testing"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// TestSlots compares with what the client takes for the slots of keys.
func TestSlots(t *testing.T) {
	var client rueidis.Client
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	client = *one.client.Load()
	for _, key := range []string{
		"", "a", "b:{alice@example.com}", "b:{}", "b:{", "b:}{a}", "{{a}}", "a{b}{c}", "k:nonce", probeKey("k:nonce"),
		keyOf(sipuri.AOR{User: "é{}%"}), useKey(location.Use{Issued: 1, Number: 2, Count: 3}),
	} {
		command := client.B().Evalsha().Sha1("x").Numkeys(1).Key(key).Build()
		if want := command.Slot() % slots; slotOf(key) != want {
			t.Errorf("%q: %d, not %d", key, slotOf(key), want)
		}
		if slotOf(probeKey(key)) != slotOf(key) && key != "" && key != "{{a}}" {
			t.Errorf("%q is not where %q is", probeKey(key), key)
		}
	}
}
