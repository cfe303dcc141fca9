package shared

import (
	"testing"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// TestSlots compares with what the client takes for the slots of keys.
func TestSlots(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	client := *one.client.Load()
	for _, key := range []string{
		"", "a", "b:{alice@example.com}", "b:{}", "b:{", "b:}{a}", "{{a}}", "a{b}{c}", "k:nonce", probeKey("k:nonce"),
		keyOf(sipuri.AOR{User: "é{}%"}), useKey(location.Use{Issued: 1, Number: 2, Count: 3}),
	} {
		command := client.B().Evalsha().Sha1("x").Numkeys(1).Key(key).Build()
		if want := command.Slot() % slots; slotOf(key) != want {
			t.Errorf("%q: %d, not %d", key, slotOf(key), want)
		}
	}
	for _, key := range []string{"k:nonce", keyOf(alice), useKey(location.Use{Number: 2})} {
		if slotOf(probeKey(key)) != slotOf(key) {
			t.Errorf("%q is not where %q is", probeKey(key), key)
		}
	}
}
