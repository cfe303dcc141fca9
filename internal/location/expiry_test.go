package location

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/sipuri"
)

// modelled is a binding of the model.
type modelled struct {
	aor, contact string
	expires      time.Time
}

// Each binding that is not refreshed or removed is reported once, when its last
// second is over at the latest, and none before its time. The clock goes on by
// seconds and by leaps, and goes back, while phones come and go.
func TestExpireReportsWhatAModelReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(start)
		var model []modelled
		now := start
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			aor := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "aor")
			contact := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "contact")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				expires := now.Add(time.Duration(rapid.IntRange(1, 9000).Draw(t, "ms")) * time.Millisecond)
				_ = m.Update(sipuri.AOR{User: aor}, now, bind(contact, expires), func(expired []Binding) {
					for _, b := range expired {
						model = report(t, model, Entry{sipuri.AOR{User: aor}, b}, now)
					}
				})
				model = slices.DeleteFunc(model, func(b modelled) bool {
					return b.aor == aor && b.contact == contact && b.expires.After(now)
				})
				model = append(model, modelled{aor, contact, expires})
			case 2:
				m.RemoveIf(func(a sipuri.AOR, b *Binding) bool { return a.User == aor && b.Contact == contact }, nil)
				model = slices.DeleteFunc(model, func(b modelled) bool { return b.aor == aor && b.contact == contact })
			case 3:
				pass := rapid.SampledFrom([]int{100, 900, 1000, 2500, 7000, 3_600_000, -500, -3000, -3_600_000}).Draw(t, "pass")
				now = now.Add(time.Duration(pass) * time.Millisecond)
			}
			for _, e := range expire(m, now) {
				model = report(t, model, e, now)
			}
			for _, b := range model {
				if b.expires.Unix() < now.Unix() {
					t.Fatalf("%v is not reported at %v", b, now)
				}
			}
			if _, bindings := m.Count(); bindings != len(model) {
				t.Fatalf("%d bindings, want %d", bindings, len(model))
			}
		}
	})
}

// A refresh plans nothing anew, so that refreshing phones cost no memory.
func TestRefreshesLeaveNoWakesBehind(t *testing.T) {
	m := NewMemory(start)
	aor := sipuri.AOR{User: "a"}
	s := m.shard(aor)
	for second := range 10_000 {
		now := start.Add(time.Duration(second) * time.Second)
		_ = m.Update(aor, now, bind("x", now.Add(time.Minute)), nil)
		if expired := expire(m, now); len(expired) != 0 {
			t.Fatalf("expired in second %d: %+v", second, expired)
		}
	}
	planned := 0
	for _, aors := range s.wakes.at {
		planned += len(aors)
	}
	if planned != 1 {
		t.Errorf("%d wakes are planned for one AOR", planned)
	}
}

func TestRemaining(t *testing.T) {
	b := Binding{Expires: start.Add(60 * time.Second)}
	for _, test := range []struct {
		after time.Duration
		want  int64
	}{{0, 60}, {time.Millisecond, 60}, {time.Second, 59}, {59*time.Second + 999*time.Millisecond, 1}, {time.Minute, 0}} {
		if got := b.Remaining(start.Add(test.after)); got != test.want {
			t.Errorf("after %v: %d, want %d", test.after, got, test.want)
		}
	}
}

// report takes out of the model what the store says has expired.
func report(t *rapid.T, model []modelled, e Entry, now time.Time) []modelled {
	i := slices.Index(model, modelled{e.AOR.User, e.Binding.Contact, e.Binding.Expires})
	if i < 0 || e.Binding.Expires.After(now) {
		t.Fatalf("%v is reported, which is valid or gone", e)
	}
	return slices.Delete(model, i, i+1)
}
