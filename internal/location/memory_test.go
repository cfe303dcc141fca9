package location

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/sipuri"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	long  = start.Add(-1000 * time.Hour) // ago: no clock of the tests goes back that far
)

func bind(contact string, expires time.Time) func([]Binding) ([]Binding, error) {
	return func(current []Binding) ([]Binding, error) {
		next := []Binding{{Contact: contact, Expires: expires, Changed: long}}
		for _, b := range current {
			if b.Contact != contact {
				next = append(next, b)
			}
		}
		return next, nil
	}
}

// ended returns what a store says it has ended.
func ended(by func(told Ended)) (entries []Entry) {
	by(func(aor sipuri.AOR, b *Binding) { entries = append(entries, Entry{aor, *b}) })
	return entries
}

func expire(m *Memory, now time.Time) []Entry {
	return ended(func(told Ended) { m.Expire(now, told) })
}

func TestAnErrorLeavesAllAsItWas(t *testing.T) {
	m := NewMemory(start)
	aor := sipuri.AOR{User: "a"}
	if err := m.Update(aor, start, bind("x", start.Add(time.Minute)), nil); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := m.Update(aor, start, func([]Binding) ([]Binding, error) { return nil, failed }, nil); err != failed {
		t.Errorf("got %v", err)
	}
	if got := m.Bindings(aor, start); len(got) != 1 || got[0].Contact != "x" {
		t.Errorf("bindings %+v", got)
	}
}

func TestRemoveIf(t *testing.T) {
	m := NewMemory(start)
	for i := range 10 {
		aor := sipuri.AOR{User: fmt.Sprint(i)}
		_ = m.Update(aor, start, bind("x", start.Add(time.Minute)), nil)
		_ = m.Update(aor, start, bind("y", start.Add(time.Minute)), nil)
	}
	removed := ended(func(told Ended) {
		m.RemoveIf(func(_ sipuri.AOR, b *Binding) bool { return b.Contact == "y" }, told)
	})
	if aors, bindings := m.Count(); len(removed) != 10 || aors != 10 || bindings != 10 {
		t.Errorf("%d removed, %d AORs with %d bindings left", len(removed), aors, bindings)
	}
	m.RemoveIf(func(sipuri.AOR, *Binding) bool { return true }, nil)
	if aors, _ := m.Count(); aors != 0 {
		t.Errorf("%d AORs left", aors)
	}
}

// The store against a list of all bindings that is gone through each time.
// Time goes on, leaps and goes back.
func TestExpiryAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(start)
		model := map[string]time.Time{} // "aor contact" → expiry
		now := start
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			aor := sipuri.AOR{User: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "aor")}
			contact := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "contact")
			key := aor.User + " " + contact
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				expires := now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
				_ = m.Update(aor, now, bind(contact, expires), nil)
				model[key] = expires
			case 2:
				now = now.Add(time.Duration(rapid.IntRange(-2000, 20000).Draw(t, "pass")) * time.Millisecond)
			case 3:
				for _, e := range expire(m, now) {
					if at := e.Binding.Expires; at.After(now) {
						t.Fatalf("%v expired at %v, it is %v", e.AOR, at, now)
					}
				}
			}
			for key, expires := range model {
				if !expires.After(now) {
					delete(model, key)
				}
			}
			checkModel(t, m, model, now)
		}
		m.Expire(now.Add(time.Hour), nil)
		if aors, _ := m.Count(); aors != 0 {
			t.Fatalf("%d AORs never expire", aors)
		}
	})
}

// checkModel leaves out what a clock that went back has brought to life again.
func checkModel(t *rapid.T, m *Memory, model map[string]time.Time, now time.Time) {
	var want, got []string
	for key := range model {
		want = append(want, key)
	}
	for _, user := range []string{"a", "b", "c"} {
		for _, b := range m.Bindings(sipuri.AOR{User: user}, now) {
			if expires, known := model[user+" "+b.Contact]; known && expires.Equal(b.Expires) {
				got = append(got, user+" "+b.Contact)
			}
		}
	}
	sort.Strings(want)
	sort.Strings(got)
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Fatalf("bindings %v, want %v", got, want)
	}
}

func TestExpireReportsEachOnce(t *testing.T) {
	m := NewMemory(start)
	aor := sipuri.AOR{User: "a"}
	_ = m.Update(aor, start, bind("x", start.Add(1500*time.Millisecond)), nil)
	_ = m.Update(aor, start, bind("y", start.Add(time.Minute)), nil)
	count := 0
	for second := range 10 {
		if second == 2 { // x has expired, and an update comes before it is looked at
			made := func(expired []Binding) { count += len(expired) }
			_ = m.Update(aor, start.Add(1900*time.Millisecond), bind("z", start.Add(time.Minute)), made)
		}
		count += len(expire(m, start.Add(time.Duration(second)*time.Second)))
	}
	if _, bindings := m.Count(); count != 1 || bindings != 2 {
		t.Errorf("%d expired, %d left", count, bindings)
	}
}

func TestABriefBindingBesideALongOneExpiresInTime(t *testing.T) {
	m := NewMemory(start)
	aor := sipuri.AOR{User: "a"}
	_ = m.Update(aor, start, bind("long", start.Add(time.Hour)), nil)
	_ = m.Update(aor, start, bind("brief", start.Add(time.Minute)), nil)
	if got := expire(m, start.Add(61*time.Second)); len(got) != 1 || got[0].Binding.Contact != "brief" {
		t.Errorf("expired %+v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	m := NewMemory(start)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 500 {
				aor := sipuri.AOR{User: fmt.Sprint(i % 10)}
				_ = m.Update(aor, start, bind(fmt.Sprint(worker), start.Add(time.Minute)), nil)
				m.Bindings(aor, start)
				m.Expire(start, nil)
			}
		})
	}
	wait.Wait()
	if aors, bindings := m.Count(); aors != 10 || bindings != 80 {
		t.Errorf("%d AORs, %d bindings", aors, bindings)
	}
}
