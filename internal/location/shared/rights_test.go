package shared

import (
	"strings"
	"testing"
	"time"
)

// Where Redis lets a node do less than all that it has to, that is told before phones find
// out, with what it is.
func TestARightThatIsMissing(t *testing.T) {
	redis := startServer(t)
	store, _ := open(t, redis.url(), "one")
	for _, command := range []string{"hmget", "hset", "hdel", "hgetall", "del", "pexpireat", "pttl", "time"} {
		t.Run(command, func(t *testing.T) {
			redis.cli("ACL", "SETUSER", "default", "-"+command)
			eventually(t, "it is told", func() bool { return store.Status().Failure != nil })
			if cause := store.Status().Failure.Error(); !strings.Contains(cause, "permission") && !strings.Contains(cause, "can't run") {
				t.Error(cause)
			}
			if got := Advice(store.Status().Failure); got != advisesRights {
				t.Errorf("advises to %s", got)
			}
			redis.cli("ACL", "SETUSER", "default", "+"+command)
			eventually(t, "all is well", func() bool { return store.Status().Failure == nil })
			update(t, store, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
		})
	}
}
