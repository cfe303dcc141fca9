package shared

import (
	"errors"
	"testing"
	"time"
)

// TestAdoptTellsWhatItCouldNotSee has what an AOR is bound to be found, and not be told.
func TestAdoptTellsWhatItCouldNotSee(t *testing.T) {
	redis := startServer(t)
	before, _ := open(t, redis.url(), "one")
	update(t, before, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	one, _ := open(t, redis.url(), "one")
	redis.cli("ACL", "SETUSER", "default", "resetkeys", "~k:*", "%R~b:*") // scripts may write
	if err := one.Adopt(); !errors.Is(err, errPart) || one.adopted.Load() {
		t.Errorf("%v, all is known: %v", err, one.adopted.Load())
	}
	redis.cli("ACL", "SETUSER", "default", "allkeys")
	if err := one.Adopt(); err != nil || !one.adopted.Load() || one.Numbers().Remembered != 1 {
		t.Errorf("%v, all is known: %v, %d AORs are remembered", err, one.adopted.Load(), one.Numbers().Remembered)
	}
}
