package shared

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// versionOf returns the version of an AOR, among those of others.
func versionOf(t *testing.T, s *Store, aor sipuri.AOR) string {
	t.Helper()
	versions, err := s.Versions(t.Context(), []sipuri.AOR{{User: "nobody"}, aor, {User: "nobody"}})
	if err != nil || len(versions) != 3 || versions[0] != "" || versions[2] != "" {
		t.Fatalf("versions: %q, %v", versions, err)
	}
	return versions[1]
}

// What changes at one node has another version at all, unlike any before.
func TestVersionsTellOfChanges(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	now := time.Now()
	seen := []string{versionOf(t, two, alice)}
	if seen[0] != "" {
		t.Errorf("before anything is bound it is %q", seen[0])
	}
	first, second := phone("sip:a@h", now), phone("sip:b@h", now)
	for _, step := range []struct {
		name   string
		change change
		bound  bool
	}{
		{"registered", bind(first), true},
		{"refreshed", bind(phone("sip:a@h", now.Add(time.Second))), true},
		{"another", bind(second), true},
		{"unregistered", removeAll, false},
		{"the same once more", bind(first), true},
	} {
		update(t, one, alice, now, step.change)
		version := versionOf(t, two, alice)
		if version == "" == step.bound || step.bound && slices.Contains(seen, version) {
			t.Errorf("%s: %q, after %q", step.name, version, seen)
		}
		if again := versionOf(t, one, alice); again != version {
			t.Errorf("%s: %q at one node, %q at another", step.name, again, version)
		}
		seen = append(seen, version)
	}
	update(t, one, alice, now, func(current []location.Binding) ([]location.Binding, error) { return current, nil })
	if version := versionOf(t, two, alice); version != seen[len(seen)-1] {
		t.Errorf("as it was, it is %q, and was %q", version, seen[len(seen)-1])
	}
}

// Many are asked for in pipelines, each for its own; what stands under a key of somebody
// else's is none, and keeps nobody from the others.
func TestManyVersions(t *testing.T) {
	redis := startServer(t)
	one, w := open(t, redis.url(), "one")
	const count = 2*versionsAtOnce + 10
	aors := make([]sipuri.AOR, count)
	for i := range aors {
		aors[i] = sipuri.AOR{User: fmt.Sprint("phone", i), Domain: "example.com"}
		if i%3 == 0 {
			update(t, one, aors[i], time.Now(), bind(phone("sip:a@h", time.Now())))
		}
	}
	redis.cli("SET", keyOf(aors[1]), "strange")
	versions, err := one.Versions(t.Context(), aors)
	if err != nil || len(versions) != count {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	seen := map[string]bool{}
	for i, version := range versions {
		if version == "" == (i%3 == 0) || version != "" && seen[version] {
			t.Errorf("%d: %q", i, version)
		}
		seen[version] = true
	}
	if none, err := one.Versions(t.Context(), nil); len(none) > 0 || err != nil {
		t.Error(none, err)
	}
	if away, _ := w.seen(); len(away) > 0 {
		t.Error(away)
	}
}

// While Redis is away no version is known, and nobody waits long to be told so.
func TestVersionsWhileRedisIsAway(t *testing.T) {
	redis := startServer(t)
	one, _ := openBrief(t, redis.url(), "one")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	before := versionOf(t, one, alice)
	redis.signal(syscall.SIGSTOP)
	for _, when := range []string{"first", "later"} {
		began := time.Now()
		versions, err := one.Versions(t.Context(), []sipuri.AOR{alice})
		if !errors.Is(err, location.ErrNotDurable) || versions != nil || time.Since(began) > second {
			t.Errorf("%s: %q, %v, after %v", when, versions, err, time.Since(began))
		}
	}
	if !one.Stale() {
		t.Error("nobody has noticed that Redis is away")
	}
	redis.signal(syscall.SIGCONT)
	eventually(t, "Redis is back", func() bool { return !one.Stale() })
	if after := versionOf(t, one, alice); after != before {
		t.Errorf("it was %q, and is %q", before, after)
	}
}

// Who stops waiting takes Redis for no further away than it is.
func TestWhoAsksForVersionsMayLeave(t *testing.T) {
	redis := startServer(t)
	one, w := open(t, redis.slowly(time.Second), "one")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := one.Versions(ctx, []sipuri.AOR{alice}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if away, _ := w.seen(); one.Stale() || len(away) > 0 {
		t.Error(away)
	}
}

func TestVersionsNeedNoFurtherRights(t *testing.T) {
	redis := startServer(t)
	redis.cli(append([]string{"ACL", "SETUSER", "default", "resetkeys", "~b:*", "~k:*", "-@all"}, strings.Fields(leastRights)...)...)
	one, w := open(t, redis.url(), "one")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	if away, _ := w.seen(); versionOf(t, one, alice) == "" || len(away) > 0 {
		t.Error(away)
	}
}
