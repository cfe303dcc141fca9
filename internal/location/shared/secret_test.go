package shared

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
)

func TestSecret(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, w := open(t, redis.url(), "two")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first, err := one.Secret(ctx, "nonce", [32]byte{1})
	if err != nil || first != [32]byte{1} {
		t.Fatal(first, err)
	}
	if second, err := two.Secret(ctx, "nonce", [32]byte{2}); err != nil || second != first {
		t.Fatal(second, err)
	}
	redis.kill()
	eventually(t, "Redis is away", func() bool { return one.Stale() && two.Stale() })
	redis.start() // with nothing in it
	eventually(t, "the nodes are back", func() bool { return !one.Stale() && !two.Stale() })
	three, _ := open(t, redis.url(), "three")
	if third, err := three.Secret(ctx, "nonce", [32]byte{3}); err != nil || third != first {
		t.Fatal(third, err)
	}
	redis.kill()
	eventually(t, "Redis is away", func() bool { return three.Stale() })
	brief, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if _, err := three.Secret(brief, "other", [32]byte{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, durable := w.seen(); durable == 0 {
		t.Error("nobody was told that Redis is back")
	}
}

// TestNothingGoesOnWithoutTheSecrets has Redis lose all, and take no secret back.
func TestNothingGoesOnWithoutTheSecrets(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	if _, err := one.Secret(t.Context(), "nonce", [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	redis.kill()
	eventually(t, "Redis is away", one.Stale)
	redis.arguments = []string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-set"}
	redis.start()
	time.Sleep(5 * awayInterval)
	if err := one.Update(alice, time.Now(), bind(phone("sip:a@h", time.Now())), nil); !errors.Is(err, location.ErrNotDurable) || !one.Stale() {
		t.Error("it goes on: ", err)
	}
	redis.cli("ACL", "SETUSER", "default", "+set")
	eventually(t, "Redis is back", func() bool { return !one.Stale() })
	if there := redis.cli("GET", "k:nonce"); !strings.HasPrefix(there, "01000000") {
		t.Errorf("k:nonce is %q", there)
	}
}

// TestSecretsAreLookedAtWhereAnotherPartIsAway has as many parts as there are turns, so that
// each time it would be the turn of the one that is away.
func TestSecretsAreLookedAtWhereAnotherPartIsAway(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	if _, err := one.Secret(t.Context(), "nonce", [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	var spans []span
	for i := range int64(secretTurns) {
		spans = append(spans, span{i * slots / secretTurns, (i+1)*slots/secretTurns - 1, fmt.Sprint(i)})
	}
	one.arrange(spans)
	away := one.shards.Load().all[0]
	if away == one.shardOf(secretKey("nonce")) {
		t.Fatal("the secret is there")
	}
	away.suspect.Store(true)
	redis.cli("DEL", "k:nonce")
	eventually(t, "the secret is back", func() bool { return strings.HasPrefix(redis.cli("GET", "k:nonce"), "01000000") })
}

// TestASecretIsChanged has somebody write in the place of a secret, and remove it.
func TestASecretIsChanged(t *testing.T) {
	redis := startServer(t)
	one, w := open(t, redis.url(), "one")
	if _, err := one.Secret(t.Context(), "nonce", [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	told := func() []error {
		w.mu.Lock()
		defer w.mu.Unlock()
		return append([]error(nil), w.secrets...)
	}
	for i, step := range []struct {
		command []string
		want    error
	}{
		{[]string{"SET", "k:nonce", hex.EncodeToString(make([]byte, 32))}, ErrSecretChanged},
		{[]string{"SET", "k:nonce", "nonsense"}, errReply},
	} {
		redis.cli(step.command...)
		eventually(t, "somebody is told", func() bool { return len(told()) > i })
		if err := told()[i]; !errors.Is(err, step.want) || !strings.Contains(err.Error(), "k:nonce") {
			t.Errorf("%q: %v", step.command, err)
		}
	}
	redis.cli("DEL", "k:nonce")
	eventually(t, "the secret is there", func() bool { return strings.HasPrefix(redis.cli("GET", "k:nonce"), "01000000") })
	if n := len(told()); n != 2 || one.Stale() {
		t.Errorf("told %d times; stale %v", n, one.Stale())
	}
}
