package shared

import (
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Where Redis lets a node do less than all that it has to, that is told before phones find
// out, with what it is.
func TestARightThatIsMissing(t *testing.T) {
	redis := startServer(t)
	store, _ := open(t, redis.url(), "one")
	for _, command := range []string{"hmget", "hset", "hdel", "hgetall", "del", "pexpireat", "pttl", "time", "set", "get"} {
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

// Who may not go through Redis hears of it, and takes what it remembers for no more.
func TestAWalkThatFailsIsTold(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, w := open(t, redis.url(), "two")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	walk := func() (found int, isAll bool) {
		isAll = two.Walk(func(sipuri.AOR, []location.Binding) bool { found++; return true })
		return found, isAll
	}
	if found, isAll := walk(); found != 1 || !isAll {
		t.Errorf("%d are found, %v", found, isAll)
	}
	for _, command := range []string{"scan", "role"} {
		redis.cli("ACL", "SETUSER", "default", "-"+command)
		if found, isAll := walk(); found != 0 || isAll {
			t.Errorf("without %s: %d are found, %v", command, found, isAll)
		}
		w.mu.Lock()
		if len(w.trouble) == 0 {
			t.Errorf("without %s nothing is told", command)
		}
		w.trouble = nil
		w.mu.Unlock()
		redis.cli("ACL", "SETUSER", "default", "+"+command)
		eventually(t, "all is well", func() bool { return !two.Stale() })
	}
}
