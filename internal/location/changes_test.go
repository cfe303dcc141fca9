package location

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
	"unsafe"

	"sipregd/internal/sipuri"
)

func contacts(p Packed) string {
	var list []string
	for _, b := range p.unpack() {
		list = append(list, b.Contact)
	}
	return fmt.Sprint(list)
}

// What is taken says what was bound before and what is bound now, whatever has
// happened in between.
func TestTakeChanges(t *testing.T) {
	aor := sipuri.AOR{User: "a"}
	late := start.Add(time.Hour)
	add := func(contact string) func(*Memory) {
		return func(m *Memory) { _ = m.Update(aor, start, bind(contact, late), nil) }
	}
	unbind := func(m *Memory) {
		_ = m.Update(aor, start, func([]Binding) ([]Binding, error) { return nil, nil }, nil)
	}
	for name, row := range map[string]struct {
		steps         []func(*Memory)
		before, after string
	}{
		"one change":      {[]func(*Memory){add("y")}, "[x]", "[y x]"},
		"two":             {[]func(*Memory){add("y"), add("z")}, "[x]", "[z y x]"},
		"removed":         {[]func(*Memory){unbind}, "[x]", "[]"},
		"and added":       {[]func(*Memory){unbind, add("y")}, "[x]", "[y]"},
		"undone":          {[]func(*Memory){add("y"), (*Memory).UndoChanges}, "[x]", "[x]"},
		"undone and more": {[]func(*Memory){add("y"), (*Memory).UndoChanges, add("z")}, "[x]", "[z x]"},
		"expired":         {[]func(*Memory){add("y"), func(m *Memory) { m.Expire(late.Add(time.Minute), nil) }}, "[x]", "[]"},
		"taken back": {[]func(*Memory){add("y"), func(m *Memory) {
			changes, _ := m.TakeChanges(nil, 10)
			m.ReturnChanges(changes)
		}, add("z")}, "[x]", "[z y x]"},
		"changed before it is taken back": {[]func(*Memory){add("y"), func(m *Memory) {
			changes, _ := m.TakeChanges(nil, 10)
			add("z")(m)
			m.ReturnChanges(changes)
		}}, "[x]", "[z y x]"},
		"loaded": {[]func(*Memory){add("y"), func(m *Memory) {
			m.Load(Entry{aor, Binding{ID: 1, Contact: "w", Expires: late, Changed: long.Add(-1)}})
		}}, "[x w]", "[w y x]"},
		"all": {[]func(*Memory){add("y"), (*Memory).MarkAll}, "[]", "[y x]"},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMemory(start)
			m.Track()
			add("x")(m)
			m.TakeChanges(nil, 10)
			for _, step := range row.steps {
				step(m)
			}
			changes, more := m.TakeChanges(nil, 10)
			if len(changes) != 1 || more || m.Changed() {
				t.Fatalf("%d changes, more: %v, still changed: %v", len(changes), more, m.Changed())
			}
			if c := changes[0]; contacts(c.Before) != row.before || contacts(c.After) != row.after {
				t.Errorf("from %s to %s", contacts(c.Before), contacts(c.After))
			}
		})
	}
}

// Many changes are taken in parts, each once, and then few again.
func TestTakeChangesInParts(t *testing.T) {
	const all = 30_000
	m := NewMemory(start)
	m.Track()
	for range 2 {
		for i := range all {
			_ = m.Update(sipuri.AOR{User: fmt.Sprint(i)}, start, bind(fmt.Sprint(m.lastID.Load()), start.Add(time.Hour)), nil)
		}
		taken := map[string]int{}
		for more := true; more; {
			var changes []Change
			changes, more = m.TakeChanges(nil, 1000)
			if len(changes) > 1000 {
				t.Fatalf("%d at once", len(changes))
			}
			for i := range changes {
				taken[changes[i].AOR.User]++
			}
		}
		if most := slices.Max(slices.Collect(maps.Values(taken))); len(taken) != all || most != 1 {
			t.Errorf("%d taken, up to %d times", len(taken), most)
		}
	}
}

// The text of an AOR is a part of a datagram, and the next one comes in its place.
func TestChangesKeepNoTextOfTheirCaller(t *testing.T) {
	m := NewMemory(start)
	m.Track()
	user := []byte("a")
	for i := range 3 {
		aor := sipuri.AOR{User: unsafe.String(&user[0], 1)}
		if err := m.Update(aor, start, bind(fmt.Sprint(i), start.Add(time.Minute)), nil); err != nil {
			t.Fatal(err)
		}
	}
	user[0] = '#'
	if changes, _ := m.TakeChanges(nil, 10); len(changes) != 1 || changes[0].AOR.User != "a" {
		t.Errorf("changes %+v", changes)
	}
}
