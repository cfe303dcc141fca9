package durable

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// patience is how long a test waits for what has to happen.
const patience = 15 * time.Second

// watcher is an observer that keeps what it is told.
type watcher struct {
	mu         sync.Mutex
	damage     []Damage
	notDurable []error
	durable    int
	loaded     int
	committed  []int // AORs
	took       time.Duration
}

func (w *watcher) Reading(int)   {}
func (w *watcher) Trouble(error) {}

func (w *watcher) Loaded(bindings int, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded = bindings
}

func (w *watcher) Damaged(d Damage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damage = append(w.damage, d)
}

func (w *watcher) NotDurable(cause error, _ int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notDurable = append(w.notDurable, cause)
}

func (w *watcher) Durable(time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.durable++
}

func (w *watcher) Committed(took time.Duration, aors int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed, w.took = append(w.committed, aors), w.took+took
}

func (w *watcher) seen() (damage []Damage, notDurable []error, durable int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.damage), slices.Clone(w.notDurable), w.durable
}

func open(t testing.TB, options Options) (*Store, *watcher) {
	t.Helper()
	w := &watcher{}
	options.Observer = w
	s, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

func aor(user string) sipuri.AOR { return sipuri.AOR{User: user, Domain: "example.com"} }

// register binds an AOR to a Contact until then, and returns when that lasts.
func register(s *Store, user, contact string, cseq uint32, expires time.Time) error {
	mark := s.Begin()
	now := time.Now()
	err := s.Update(aor(user), now, func(current []location.Binding) ([]location.Binding, error) {
		next := location.Binding{
			Contact: contact, Params: `;+sip.instance="<urn:uuid:1>"`, Q: "0.5", CallID: "call-of-" + user, CSeq: cseq,
			Expires: expires, Changed: now, Domain: "example.com", Authname: "a-" + user, Label: "Label of " + user,
			UserAgent: "test", Transport: "UDP", Source: netip.MustParseAddrPort("[2001:db8::1]:5060"),
		}
		var list []location.Binding
		for _, b := range current {
			if b.Contact == contact {
				next.ID = b.ID
			} else {
				list = append(list, b)
			}
		}
		return append(list, next), nil
	}, nil)
	return errors.Join(err, s.Commit(mark))
}

// remove removes all bindings of an AOR, and returns when that lasts.
func remove(s *Store, user string) error {
	mark := s.Begin()
	err := s.Update(aor(user), time.Now(), func([]location.Binding) ([]location.Binding, error) { return nil, nil }, nil)
	return errors.Join(err, s.Commit(mark))
}

// bindings lists what is bound, as "user contact cseq".
func bindings(s *Store) []string {
	var list []string
	s.Memory.RemoveIf(func(aor sipuri.AOR, b *location.Binding) bool {
		list = append(list, fmt.Sprintf("%s %s %d", aor.User, b.Contact, b.CSeq))
		return false
	}, nil)
	slices.Sort(list)
	return list
}

func TestBindingsComeBackAsTheyWere(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	hour := time.Now().Add(time.Hour)
	for i := range 100 {
		for c := range i%3 + 1 {
			if err := register(s, fmt.Sprint(i), fmt.Sprintf("sip:%d@192.0.2.%d", i, c), 1, hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 50 {
		if err := register(s, fmt.Sprint(i), fmt.Sprintf("sip:%d@192.0.2.0", i), 2, hour.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := remove(s, "7"); err != nil {
		t.Fatal(err)
	}
	before := map[string][]location.Binding{}
	for i := range 100 {
		before[fmt.Sprint(i)] = s.Bindings(aor(fmt.Sprint(i)), time.Now())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, w := open(t, Options{Path: path})
	defer again.Close()
	for user, want := range before {
		if got := again.Bindings(aor(user), time.Now()); !slices.Equal(got, want) {
			t.Errorf("%s: got %+v, want %+v", user, got, want)
		}
	}
	if w.loaded != 197 {
		t.Errorf("%d loaded", w.loaded)
	}
}

func TestASecondDaemonIsRefused(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	defer s.Close()
	if _, err := Open(Options{Path: path, Observer: &watcher{}}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// An unchanged refresh writes the small record alone, and a query nothing.
func TestARefreshWritesOnlyWhatChanged(t *testing.T) {
	files := vfs.NewMem()
	s, _ := open(t, Options{Path: "/p", Files: files})
	defer s.Close()
	written := func(do func()) uint64 {
		before := s.disk.engine.Load().db.Metrics().WAL.BytesIn
		do()
		return s.disk.engine.Load().db.Metrics().WAL.BytesIn - before
	}
	hour := time.Now().Add(time.Hour)
	_ = register(s, "first", "sip:a@192.0.2.1", 1, hour) // it is open from here on
	added := written(func() { _ = register(s, "a", "sip:a@192.0.2.1", 1, hour) })
	refreshed := written(func() { _ = register(s, "a", "sip:a@192.0.2.1", 2, hour.Add(time.Second)) })
	query := written(func() {
		mark := s.Begin()
		_ = s.Update(aor("a"), time.Now(), func(current []location.Binding) ([]location.Binding, error) { return slices.Clone(current), nil }, nil)
		_ = s.Commit(mark)
	})
	if refreshed*2 > added || query != 0 {
		t.Errorf("%d bytes for a new binding, %d for a refresh, %d for a query", added, refreshed, query)
	}
}

// What expired while no daemon ran is read and can be reported, once.
func TestExpiryGoesByTheWallClock(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	_ = register(s, "brief", "sip:a@192.0.2.1", 1, time.Now().Add(50*time.Millisecond))
	_ = register(s, "long", "sip:a@192.0.2.1", 1, time.Now().Add(time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond)
	again, _ := open(t, Options{Path: path})
	if got := again.Bindings(aor("brief"), time.Now()); len(got) != 0 {
		t.Errorf("served: %v", got)
	}
	var expired []string
	again.Expire(time.Now().Add(2*time.Second), func(aor sipuri.AOR, _ *location.Binding) { expired = append(expired, aor.User) })
	if fmt.Sprint(expired) != "[brief]" {
		t.Errorf("expired: %v", expired)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	last, _ := open(t, Options{Path: path})
	defer last.Close()
	if got := bindings(last); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

// A clock that was wrong, far in the future, when bindings were made.
func TestAClockThatWentBackDoesNotMakeBindingsImmortal(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	future := time.Now().Add(1000 * time.Hour)
	_ = s.Update(aor("a"), future, func([]location.Binding) ([]location.Binding, error) {
		return []location.Binding{{Contact: "sip:a@192.0.2.1", Changed: future, Expires: future.Add(time.Hour)}}, nil
	}, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, Options{Path: path})
	defer again.Close()
	got := again.Bindings(aor("a"), time.Now())
	if len(got) != 1 || got[0].Remaining(time.Now()) > 3600 {
		t.Errorf("got %+v", got)
	}
}

// What is told of commits is what they have written, and takes no longer than they do.
func TestCommitsAreTold(t *testing.T) {
	s, w := open(t, Options{Path: t.TempDir()})
	began, hour := time.Now(), time.Now().Add(time.Hour)
	for i := range 10 {
		_ = register(s, fmt.Sprint(i), "sip:a@192.0.2.1", 1, hour)
	}
	s.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil) // at once
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for _, aors := range w.committed {
		written += aors
	}
	if first := w.committed[0]; first != 1 || slices.Max(w.committed) < 2 || slices.Min(w.committed) < 1 || written != 20 {
		t.Errorf("told of commits of %v AORs", w.committed)
	}
	if w.took <= 0 || w.took > time.Since(began) {
		t.Errorf("took %v of %v", w.took, time.Since(began))
	}
}

// Two phones behind NAT, or two flows of one phone, may have the same Contact.
func TestEqualContactsOfTwoPhonesOutliveARestart(t *testing.T) {
	path, aor, now := t.TempDir(), sipuri.AOR{User: "2001"}, time.Now()
	for range 2 {
		s, _ := open(t, Options{Path: path})
		if have := len(s.Bindings(aor, now)); have != 0 && have != 2 {
			t.Fatalf("%d bindings after a restart", have)
		}
		err := s.Update(aor, now, func([]location.Binding) ([]location.Binding, error) {
			first := location.Binding{Contact: "sip:2001@192.168.1.10", Params: ";reg-id=1", Changed: now, Expires: now.Add(time.Hour)}
			second := first
			second.Params = ";reg-id=2"
			return []location.Binding{first, second}, nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := open(t, Options{Path: path})
	defer s.Close()
	if have := len(s.Bindings(aor, now)); have != 2 {
		t.Errorf("%d bindings after a restart", have)
	}
}
