package shared

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

var alice = sipuri.AOR{User: "alice", Domain: "example.com"}

// phone is a usual binding that lasts an hour from now on.
func phone(contact string, now time.Time) location.Binding {
	return location.Binding{
		Contact: contact, CallID: "6f1b2a90d3c4e587@192.0.2.7", CSeq: 1, Expires: now.Add(time.Hour), Changed: now,
		Domain: "example.com", Authname: "7f3a9c", Label: "Kitchen, 1st floor", UserAgent: "Example Phone 2.4.1",
		Transport: "UDP", Source: netip.MustParseAddrPort("192.0.2.7:5060"), Local: netip.MustParseAddrPort("192.0.2.1:5060"),
	}
}

// bind returns a change that binds to a Contact, and leaves the others as they are.
func bind(b location.Binding) change {
	return func(current []location.Binding) ([]location.Binding, error) {
		var next []location.Binding
		for _, there := range current {
			if there.Contact == b.Contact {
				b.ID = there.ID
			} else {
				next = append(next, there)
			}
		}
		return append(next, b), nil
	}
}

func removeAll([]location.Binding) ([]location.Binding, error) { return nil, nil }

func contacts(bindings []location.Binding) string {
	var list []string
	for _, b := range bindings {
		list = append(list, b.Contact)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func update(t *testing.T, s *Store, aor sipuri.AOR, now time.Time, change change) (expired []location.Binding) {
	t.Helper()
	times := 0
	err := s.Update(aor, now, change, func(e []location.Binding) { expired, times = slices.Clone(e), times+1 })
	if err != nil || times != 1 {
		t.Fatalf("update: %v, made was called %d times", err, times)
	}
	return expired
}

func TestABindingIsTheSameForAllNodes(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	now := time.Now().Round(0).UTC()
	full := phone("sip:a@192.0.2.7;x=\"<>&\x01é", now)
	full.Params, full.Q, full.Path, full.NAT, full.Stream, full.CSeq = ";+sip.instance=\"<urn:x>\"", "0.5", "<sip:p;lr>", true, 1<<63, 1<<32-1
	for name, b := range map[string]location.Binding{
		"usual": phone("sip:a@192.0.2.7", now), "full": full, "bare": {Contact: "sip:b@h", Expires: now.Add(time.Hour), Changed: now},
	} {
		t.Run(name, func(t *testing.T) {
			aor := sipuri.AOR{User: name}
			update(t, one, aor, now, bind(b))
			for _, s := range []*Store{one, two} {
				got := s.Bindings(aor, now)
				if len(got) != 1 {
					t.Fatalf("%s has %d bindings", s.node, len(got))
				}
				if d := got[0].Expires.Sub(b.Expires).Abs(); d > 2*time.Second {
					t.Errorf("%s: it expires %v apart", s.node, d)
				}
				if d := got[0].Changed.Sub(b.Changed).Abs(); d > 2*time.Second {
					t.Errorf("%s: it was changed %v apart", s.node, d)
				}
				if got[0].ID == 0 {
					t.Error("it has no ID")
				}
				want := b
				want.Node, want.ID, want.Expires, want.Changed = "one", got[0].ID, got[0].Expires, got[0].Changed
				if got[0] != want {
					t.Errorf("%s has\n%+v, not\n%+v", s.node, got[0], want)
				}
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	redis := startServer(t)
	refuse := errors.New("refused")
	type step struct {
		node   int
		change change
		fails  error
		want   string // Contacts afterwards
		asks   uint64 // scripts that the step runs; 0: any
	}
	now := time.Now()
	a, b, c := phone("sip:a@h", now), phone("sip:b@h", now), phone("sip:c@h", now)
	refuseWhere := func(contact string) change {
		return func(current []location.Binding) ([]location.Binding, error) {
			if strings.Contains(contacts(current), contact) {
				return nil, refuse
			}
			return bind(c)(current)
		}
	}
	same := func(current []location.Binding) ([]location.Binding, error) { return current, nil }
	for name, steps := range map[string][]step{
		"a new phone is one round trip":             {{0, bind(a), nil, "sip:a@h", 1}},
		"a phone that stays is one round trip":      {{0, bind(a), nil, "sip:a@h", 1}, {0, bind(a), nil, "sip:a@h", 1}},
		"a phone that moves is two":                 {{0, bind(a), nil, "sip:a@h", 1}, {1, bind(a), nil, "sip:a@h", 2}, {1, bind(a), nil, "sip:a@h", 1}, {0, bind(a), nil, "sip:a@h", 2}},
		"two phones at two nodes":                   {{0, bind(a), nil, "sip:a@h", 1}, {1, bind(b), nil, "sip:a@h sip:b@h", 2}, {0, bind(a), nil, "sip:a@h sip:b@h", 2}},
		"all are removed elsewhere":                 {{0, bind(a), nil, "sip:a@h", 1}, {0, bind(b), nil, "sip:a@h sip:b@h", 1}, {1, removeAll, nil, "", 2}, {0, bind(c), nil, "sip:c@h", 2}},
		"nothing is removed of nothing":             {{0, removeAll, nil, "", 1}},
		"a refusal of what was seen is looked into": {{0, bind(a), nil, "sip:a@h", 1}, {1, removeAll, nil, "", 2}, {0, refuseWhere("sip:a@h"), nil, "sip:c@h", 2}},
		"a refusal of nothing seen is looked into":  {{0, bind(a), nil, "sip:a@h", 1}, {1, func(current []location.Binding) ([]location.Binding, error) { return refuseIfNone(current, refuse, a) }, nil, "sip:a@h", 0}},
		"a refusal stands":                          {{0, bind(a), nil, "sip:a@h", 1}, {1, refuseWhere("sip:a@h"), refuse, "sip:a@h", 1}, {0, refuseWhere("sip:a@h"), refuse, "sip:a@h", 1}, {0, bind(a), nil, "sip:a@h", 1}},
		"one that looks asks nobody":                {{0, bind(a), nil, "sip:a@h", 1}, {0, func([]location.Binding) ([]location.Binding, error) { return nil, location.ErrAsItWas }, location.ErrAsItWas, "sip:a@h", 0}},
		"what is not changed is confirmed":          {{0, bind(a), nil, "sip:a@h", 1}, {1, bind(b), nil, "sip:a@h sip:b@h", 2}, {0, same, nil, "sip:a@h sip:b@h", 2}, {0, same, nil, "sip:a@h sip:b@h", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			one, _ := open(t, redis.url(), "one")
			two, _ := open(t, redis.url(), "two")
			aor := sipuri.AOR{User: name}
			for i, step := range steps {
				s := []*Store{one, two}[step.node]
				before, made := s.Numbers().Operations, 0
				err := s.Update(aor, time.Now(), step.change, func([]location.Binding) { made++ })
				asked := s.Numbers().Operations - before
				if !errors.Is(err, step.fails) || (made == 1) != (err == nil) {
					t.Fatalf("step %d: %v, made was called %d times", i, err, made)
				}
				if step.asks > 0 && asked != step.asks {
					t.Errorf("step %d ran %d scripts, not %d", i, asked, step.asks)
				}
				for _, s := range []*Store{one, two} {
					if got := contacts(s.Bindings(aor, time.Now())); got != step.want {
						t.Errorf("step %d: %s has %q, not %q", i, s.node, got, step.want)
					}
				}
			}
		})
	}
}

func refuseIfNone(current []location.Binding, refusal error, b location.Binding) ([]location.Binding, error) {
	if len(current) == 0 {
		return nil, refusal
	}
	return bind(b)(current)
}

func TestAnIDStaysAsLongAsItsBinding(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	now := time.Now()
	update(t, one, alice, now, bind(phone("sip:a@h", now)))
	first := one.Bindings(alice, now)[0].ID
	update(t, two, alice, now, bind(phone("sip:a@h", now)))
	if again := one.Bindings(alice, now)[0]; again.ID != first || again.Node != "two" {
		t.Errorf("it was %d, and is %d of %s", first, again.ID, again.Node)
	}
	update(t, two, alice, now, removeAll)
	update(t, one, alice, now, bind(phone("sip:a@h", now)))
	if again := one.Bindings(alice, now)[0].ID; again == first {
		t.Error("an ID is used again")
	}
}

// TestRedisClockCounts has a node whose clock is an hour off.
func TestRedisClockCounts(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	for name, off := range map[string]time.Duration{"fast": time.Hour, "slow": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			clock := func() time.Time { return time.Now().Add(off) }
			aor := sipuri.AOR{User: name}
			b := phone("sip:a@h", clock())
			b.Expires = clock().Add(2 * time.Second)
			update(t, one, aor, clock(), bind(b))
			if left := one.Bindings(aor, clock())[0].Remaining(clock()); left != 2 {
				t.Errorf("%d seconds are left for the node itself", left)
			}
			if left := two.Bindings(aor, time.Now())[0].Remaining(time.Now()); left != 2 {
				t.Errorf("%d seconds are left for another node", left)
			}
			if age := time.Since(two.Bindings(aor, time.Now())[0].Changed).Abs(); age > 2*time.Second {
				t.Errorf("it was changed %v ago", age)
			}
			eventually(t, "the binding has expired", func() bool { return len(two.Bindings(aor, time.Now())) == 0 })
			if expired := update(t, one, aor, clock(), bind(phone("sip:b@h", clock()))); contacts(expired) != "sip:a@h" {
				t.Errorf("expired: %q", contacts(expired))
			}
			if fields := redis.cli("HLEN", keyOf(aor)); fields != "2" {
				t.Errorf("%s fields are there, not v and one binding", fields)
			}
		})
	}
}

// TestNoChangeIsLost has four nodes count up CSeqs of one AOR's bindings at once.
func TestNoChangeIsLost(t *testing.T) {
	redis := startServer(t)
	const nodes, workers, rounds = 4, 4, 25
	var stores []*Store
	for i := range nodes {
		s, _ := openWith(t, Options{URL: redis.url(), Node: fmt.Sprint("node", i), Timeout: calm})
		stores = append(stores, s)
	}
	now := time.Now()
	b := phone("sip:a@h", now)
	b.CSeq = 0
	update(t, stores[0], alice, now, bind(b))
	var mu sync.Mutex
	counted := map[uint32]int{}
	refused := 0
	var all sync.WaitGroup
	for _, s := range stores {
		for range workers {
			all.Go(func() {
				for done := 0; done < rounds; {
					var count uint32
					err := s.Update(alice, now, func(current []location.Binding) ([]location.Binding, error) {
						if len(current) == 0 { // this node has not seen it yet
							return nil, errors.New("nothing is there")
						}
						next := slices.Clone(current)
						next[0].CSeq++
						count = next[0].CSeq
						return next, nil
					}, func([]location.Binding) {
						mu.Lock()
						counted[count]++
						mu.Unlock()
					})
					mu.Lock()
					if err == nil {
						done++
					} else {
						refused++ // too many were quicker: nothing was changed
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	want := uint32(nodes * workers * rounds)
	if got := stores[0].Bindings(alice, now)[0].CSeq; got != want {
		t.Errorf("%d changes were made, and count %d", want, got)
	}
	for n := uint32(1); n <= want; n++ {
		if counted[n] != 1 {
			t.Errorf("%d was counted %d times", n, counted[n])
		}
	}
	conflicts := uint64(0)
	for _, s := range stores {
		conflicts += s.Numbers().Conflicts
	}
	if conflicts == 0 {
		t.Error("the nodes never met")
	}
	t.Logf("%d conflicts, %d refused", conflicts, refused)
}

func TestReplay(t *testing.T) {
	redis := startServer(t)
	type step struct {
		node     int
		use      location.Use
		replayed bool
	}
	const lately, usual = 1_700_000_000, 1 << 62 // as long as what nodes give
	n := func(issued uint32, number uint64, count uint32) location.Use {
		return location.Use{Issued: issued + lately, Number: number + usual, Count: count}
	}
	many := func(from, to uint32) (steps []step) {
		for i := from; i <= to; i++ {
			steps = append(steps, step{int(i % 2), n(i, uint64(i), 1), false})
		}
		return steps
	}
	for name, steps := range map[string][]step{
		"at the same node":        {{0, n(100, 7, 1), false}, {0, n(100, 7, 1), true}},
		"at another node":         {{0, n(100, 7, 1), false}, {1, n(100, 7, 1), true}, {1, n(100, 7, 2), false}, {0, n(100, 7, 2), true}, {0, n(100, 7, 1), true}},
		"a count that jumps":      {{0, n(100, 7, 9), false}, {1, n(100, 7, 8), true}, {1, n(100, 7, 10), false}},
		"a number issued twice":   {{0, n(100, 7, 1), false}, {1, n(101, 7, 1), false}, {0, n(101, 7, 1), true}, {0, n(100, 7, 1), true}},
		"the largest numbers":     {{0, n(1<<32-1-lately, 1<<64-1-usual, 1<<32-1), false}, {1, n(1<<32-1-lately, 1<<64-1-usual, 1<<32-1), true}, {1, n(1<<32-1-lately, 1<<64-2-usual, 1), false}},
		"forgotten ones":          append(many(100, 120), step{0, n(100, 100, 1), true}, step{1, n(112, 112, 2), true}, step{1, n(112, 9999, 1), true}, step{0, n(120, 120, 1), true}, step{0, n(120, 120, 2), false}),
		"an older one not used":   {{0, n(100, 7, 1), false}, {1, n(90, 6, 1), false}, {0, n(90, 6, 1), true}},
		"eight nonces are listed": append(many(100, 107), step{0, n(100, 100, 1), true}, step{1, n(100, 100, 2), false}),
	} {
		t.Run(name, func(t *testing.T) {
			one, _ := open(t, redis.url(), "one")
			two, _ := open(t, redis.url(), "two")
			aor := sipuri.AOR{User: name}
			for i, step := range steps {
				s := []*Store{one, two}[step.node]
				before := s.Bindings(aor, time.Now())
				b := phone("sip:a@h", time.Now())
				b.CSeq = uint32(i)
				err := s.UpdateProved(aor, time.Now(), step.use, bind(b), nil)
				if step.replayed != errors.Is(err, location.ErrReplayed) || !step.replayed && err != nil {
					t.Fatalf("step %d (%v): %v", i, step.use, err)
				}
				if after := s.Bindings(aor, time.Now()); step.replayed && after[0].CSeq != before[0].CSeq {
					t.Errorf("step %d changed a binding", i)
				}
			}
		})
	}
}

func TestUsesOutliveBindings(t *testing.T) {
	redis := startServer(t)
	one, _ := openWith(t, Options{URL: redis.url(), Node: "one", NonceLifetime: 2 * time.Second})
	two, _ := openWith(t, Options{URL: redis.url(), Node: "two", NonceLifetime: 2 * time.Second})
	use := location.Use{Issued: 100, Number: 7, Count: 1}
	now := time.Now()
	if err := one.UpdateProved(alice, now, use, bind(phone("sip:a@h", now)), nil); err != nil {
		t.Fatal(err)
	}
	use.Count = 2
	if err := two.UpdateProved(alice, now, use, removeAll, nil); err != nil {
		t.Fatal(err)
	}
	if err := one.UpdateProved(alice, now, use, bind(phone("sip:a@h", now)), nil); !errors.Is(err, location.ErrReplayed) {
		t.Errorf("replayed after the bindings were gone: %v", err)
	}
	update(t, two, alice, now, removeAll)
	if fields := redis.cli("HKEYS", keyOf(alice)); fields != "r" {
		t.Errorf("what is left: %q", fields)
	}
	eventually(t, "the hash goes", func() bool { return redis.cli("EXISTS", keyOf(alice)) == "0" })
}

func TestAUseWithoutAChangeIsRemembered(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	use := location.Use{Issued: 100, Number: 7, Count: 1}
	if err := one.UpdateProved(alice, time.Now(), use, removeAll, nil); err != nil {
		t.Fatal(err)
	}
	if err := two.UpdateProved(alice, time.Now(), use, removeAll, nil); !errors.Is(err, location.ErrReplayed) {
		t.Error(err)
	}
}

func TestExpire(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	brief := func(contact string) location.Binding {
		b := phone(contact, time.Now())
		b.Expires = time.Now().Add(1500 * time.Millisecond)
		return b
	}
	left, moved, removed := sipuri.AOR{User: "left"}, sipuri.AOR{User: "moved"}, sipuri.AOR{User: "removed"}
	for _, aor := range []sipuri.AOR{left, moved, removed} {
		update(t, one, aor, time.Now(), bind(brief("sip:a@h")))
	}
	update(t, two, left, time.Now(), bind(brief("sip:b@h")))
	update(t, two, moved, time.Now(), bind(phone("sip:a@h", time.Now())))
	update(t, two, removed, time.Now(), removeAll)
	var mu sync.Mutex
	told := map[string]int{}
	expire := func(s *Store) {
		s.Expire(time.Now(), func(aor sipuri.AOR, b *location.Binding) {
			mu.Lock()
			defer mu.Unlock()
			told[aor.User+" "+b.Contact]++
		})
	}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		expire(one)
		expire(two)
	}
	if want := map[string]int{"left sip:a@h": 1, "left sip:b@h": 1}; !maps.Equal(told, want) {
		t.Errorf("ended: %v, not %v", told, want)
	}
	if fields := redis.cli("EXISTS", keyOf(left)); fields != "0" {
		t.Error("the hash is there")
	}
	if aors, bindings := one.Count(); aors != 1 || bindings != 1 {
		t.Errorf("node one remembers %d, %d, not what moved", aors, bindings)
	}
	if got := contacts(one.Bindings(moved, time.Now())); got != "sip:a@h" {
		t.Errorf("moved: %q", got)
	}
}

// TestWhatOthersForgetIsToldOf has a node change an AOR after it forgot what another one's
// phone was bound to.
func TestWhatOthersForgetIsToldOf(t *testing.T) {
	for name, change := range map[string]change{"all go": removeAll, "one comes": bind(phone("sip:c@h", time.Now()))} {
		t.Run(name, func(t *testing.T) {
			redis := startServer(t)
			one, _ := open(t, redis.url(), "one")
			two, _ := open(t, redis.url(), "two")
			brief := phone("sip:a@h", time.Now())
			brief.Expires = time.Now().Add(time.Second)
			update(t, one, alice, time.Now(), bind(brief))
			update(t, two, alice, time.Now(), bind(phone("sip:b@h", time.Now())))
			eventually(t, "node two has forgotten it", func() bool {
				two.Expire(time.Now(), nil)
				return contacts(two.seen.Look(alice)) == "sip:b@h"
			})
			if expired := update(t, two, alice, time.Now(), change); contacts(expired) != "sip:a@h" {
				t.Errorf("expired: %q", contacts(expired))
			}
		})
	}
}

func TestRemoveIf(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	const count = 300
	for i := range count {
		aor := sipuri.AOR{User: fmt.Sprint(i)}
		update(t, one, aor, time.Now(), bind(phone("sip:one@h", time.Now())))
		update(t, two, aor, time.Now(), bind(phone("sip:two@h", time.Now())))
	}
	var mu sync.Mutex
	ended := map[string]int{}
	two.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, func(aor sipuri.AOR, b *location.Binding) {
		mu.Lock()
		defer mu.Unlock()
		ended[aor.User+" "+b.Contact]++
	})
	if len(ended) != count {
		t.Errorf("%d were ended", len(ended))
	}
	for i := range count {
		if got := contacts(one.Bindings(sipuri.AOR{User: fmt.Sprint(i)}, time.Now())); got != "sip:one@h" {
			t.Fatalf("%d: %q", i, got)
		}
	}
}

// What is picked has the times of this machine's clock, and stays where it was refreshed
// since then.
func TestRemoveIfLeavesWhatWasRefreshed(t *testing.T) {
	one, _ := open(t, startServer(t).url(), "one")
	now := time.Now()
	bob := sipuri.AOR{User: "bob"}
	first, again := phone("sip:a@h", now), phone("sip:a@h", now.Add(time.Second))
	again.CSeq++
	update(t, one, alice, now, bind(first))
	update(t, one, bob, now, bind(first))
	one.RemoveIf(func(aor sipuri.AOR, b *location.Binding) bool {
		if b.CSeq == again.CSeq {
			return false // by then it is not picked any more
		}
		if apart := b.Changed.Sub(now).Abs(); apart > 100*time.Millisecond {
			t.Errorf("changed at another time, %v apart", apart)
		}
		if aor == alice {
			again.ID = b.ID
			update(t, one, alice, now, bind(again))
		}
		return true
	}, nil)
	if got := one.Bindings(alice, now); len(got) != 1 || got[0].CSeq != again.CSeq {
		t.Errorf("of the refreshed one is left %+v", got)
	}
	if got := one.Bindings(bob, now); len(got) != 0 {
		t.Errorf("of the other one is left %+v", got)
	}
}

// TestBindingsOfAnEarlierLife has a node begin anew, or remember little.
func TestBindingsOfAnEarlierLife(t *testing.T) {
	for name, test := range map[string]struct {
		remembered int
		adopts     bool
	}{
		"it knows nothing of them yet": {0, false},
		"it has taken them in":         {0, true},
		"they are too many":            {10, true},
	} {
		t.Run(name, func(t *testing.T) {
			redis := startServer(t)
			before, err := Open(Options{URL: redis.url(), Node: "one", Observer: &watcher{}, Timeout: calm})
			if err != nil {
				t.Fatal(err)
			}
			two, _ := open(t, redis.url(), "two")
			const count = 700
			for i := range count {
				aor := sipuri.AOR{User: fmt.Sprint(i)}
				update(t, before, aor, time.Now(), bind(phone("sip:one@h", time.Now())))
				update(t, two, aor, time.Now(), bind(phone("sip:two@h", time.Now())))
			}
			update(t, two, alice, time.Now(), bind(phone("sip:two@h", time.Now())))
			_ = before.Close()
			one, err := Open(Options{URL: redis.url(), Node: "one", Observer: &watcher{}, Timeout: calm, Remembered: test.remembered})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			if test.adopts {
				if err := one.Adopt(); err != nil {
					t.Fatal(err)
				}
				want := count
				if test.remembered > 0 {
					want = test.remembered
				}
				if n := one.Numbers().Remembered; n != want {
					t.Errorf("%d AORs are remembered, not %d", n, want)
				}
			}
			var mu sync.Mutex
			ended := map[string]int{}
			one.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, func(aor sipuri.AOR, b *location.Binding) {
				mu.Lock()
				defer mu.Unlock()
				ended[aor.User+" "+b.Contact]++
			})
			if len(ended) != count {
				t.Errorf("%d were ended", len(ended))
			}
			for i := range count {
				if got := contacts(two.Bindings(sipuri.AOR{User: fmt.Sprint(i)}, time.Now())); got != "sip:two@h" {
					t.Fatalf("%d: %q", i, got)
				}
			}
		})
	}
}

func TestAll(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	const count = 1200
	for i := range count {
		update(t, one, sipuri.AOR{User: fmt.Sprint(i)}, time.Now(), bind(phone(fmt.Sprintf("sip:%d@h", i), time.Now())))
	}
	redis.cli("SET", "b:{string}", "x")
	redis.cli("HSET", "b:{strange}", "1", "x", "y", "z", "v", "w")
	all := func(s *Store) map[string]string {
		found := map[string]string{}
		for aor, bindings := range s.All() {
			found[aor.User] = contacts(bindings)
		}
		return found
	}
	check := func(found map[string]string, want int) {
		t.Helper()
		if len(found) != want {
			t.Errorf("%d AORs, not %d", len(found), want)
		}
		for user, contact := range found {
			if contact != "sip:"+user+"@h" {
				t.Errorf("%s is bound to %s", user, contact)
			}
		}
	}
	check(all(two), count)
	for range two.All() {
		break // no more is wanted
	}
	if aors, _ := one.Count(); aors != count {
		t.Errorf("node one counts %d", aors)
	}
	redis.kill()
	eventually(t, "Redis is away", func() bool { return one.Stale() && two.Stale() })
	check(all(one), count)
	check(all(two), 0)
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	redis := startServer(t)
	one, _ := openWith(t, Options{URL: redis.url(), Node: "one", Timeout: calm, Remembered: 10})
	for range 2 {
		for i := range 20 {
			update(t, one, sipuri.AOR{User: fmt.Sprint(i)}, time.Now(), bind(phone("sip:a@h", time.Now())))
		}
	}
	if n := one.Numbers().Remembered; n != 10 {
		t.Errorf("%d AORs are remembered", n)
	}
	if aors, _ := one.Count(); aors != 10 {
		t.Errorf("%d AORs are counted", aors)
	}
}

// TestWhatIsNotSureIsBoundedToo has changes fail, so that it is not known any more whether what
// was seen last is still there, and others come.
func TestWhatIsNotSureIsBoundedToo(t *testing.T) {
	redis := startServer(t)
	one, _ := openWith(t, Options{URL: redis.url(), Node: "one", Timeout: calm, Remembered: 10})
	for i := range 10 {
		aor := sipuri.AOR{User: fmt.Sprint(i)}
		update(t, one, aor, time.Now(), bind(phone("sip:a@h", time.Now())))
		redis.cli("SET", keyOf(aor), "x")
		if err := one.Update(aor, time.Now(), removeAll, nil); !errors.Is(err, location.ErrNotDurable) {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		update(t, one, sipuri.AOR{User: fmt.Sprint("other", i)}, time.Now(), bind(phone("sip:a@h", time.Now())))
	}
	if aors, _ := one.Count(); aors != 10 {
		t.Errorf("%d AORs are remembered", aors)
	}
	redis.cli("DEL", keyOf(sipuri.AOR{User: "0"}))
	update(t, one, sipuri.AOR{User: "0"}, time.Now(), removeAll) // which makes room
	update(t, one, sipuri.AOR{User: "other"}, time.Now(), bind(phone("sip:a@h", time.Now())))
	if aors, _ := one.Count(); aors != 10 || one.Numbers().Remembered != 10 || len(one.seen.Look(sipuri.AOR{User: "other"})) != 1 {
		t.Errorf("%d AORs are remembered, and counted %d", aors, one.Numbers().Remembered)
	}
}

// TestOwn goes through what a node has bound, in this life or an earlier one, and remembers.
func TestOwn(t *testing.T) {
	redis := startServer(t)
	before, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	for i, s := range []*Store{before, before, two, two} {
		update(t, s, sipuri.AOR{User: fmt.Sprint(i)}, time.Now(), bind(phone("sip:a@h", time.Now())))
	}
	update(t, two, sipuri.AOR{User: "1"}, time.Now(), bind(phone("sip:b@h", time.Now())))
	for name, test := range map[string]struct{ remembered, scans int }{"it remembers all": {0, 0}, "it does not": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			one, _ := openWith(t, Options{URL: redis.url(), Node: "one", Timeout: calm, Remembered: test.remembered})
			if err := one.Adopt(); err != nil {
				t.Fatal(err)
			}
			began := redis.scans()
			found := map[string]string{}
			for aor, bindings := range one.Own() {
				found[aor.User] = contacts(bindings)
			}
			if want := map[string]string{"0": "sip:a@h", "1": "sip:a@h sip:b@h"}; !maps.Equal(found, want) {
				t.Errorf("%v, not %v", found, want)
			}
			if scans := redis.scans() - began; scans != test.scans {
				t.Errorf("all of Redis was gone through %d times", scans)
			}
		})
	}
}

// scans returns how often SCAN was called.
func (s *server) scans() (calls int) {
	_, stats, _ := strings.Cut(s.cli("INFO", "commandstats"), "cmdstat_scan:calls=")
	_, _ = fmt.Sscan(strings.ReplaceAll(stats, ",", " "), &calls)
	return calls
}
