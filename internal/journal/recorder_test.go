package journal

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sipregd/internal/sipuri"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// silent is a log that nobody reads.
type silent struct{}

func (silent) Record(Event)            {}
func (silent) Wants(Kind, Reason) bool { return true }

func newTestRecorder(bytes int) *Recorder {
	return NewRecorder(bytes, func() time.Time { return noon }, silent{})
}

func wholeEvent() Event {
	return Event{
		Kind: Refused, Reason: WrongSecret, Source: netip.MustParseAddrPort("[2001:db8::7]:5060"), Transport: "TCP", Forgeable: true,
		Authname: "7f3a9c", Label: "Kitchen, 1st floor", AOR: sipuri.AOR{User: "2001", Domain: "example.com"},
		Binding: 1795694400000000003, Contact: "sip:2001@192.0.2.7", Expires: 3600, UserAgent: "phone", CallID: "call", Status: 401, Detail: "detail",
	}
}

func TestAnEventIsRememberedWhole(t *testing.T) {
	r := newTestRecorder(1 << 20)
	want := wholeEvent()
	r.Record(want)
	got := r.Last(Filter{}, 1)
	want.Seq, want.Time = uint64(noon.Unix())<<20+1, noon
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	r := newTestRecorder(0)
	e := Event{Kind: Refused}
	for _, text := range e.texts() {
		*text = strings.Repeat("x", 100000)
	}
	r.Record(e)
	if got := r.Last(Filter{}, 1); len(got) != 1 || len(got[0].Detail) != maxKept {
		t.Errorf("got %+v", got)
	}
}

// A ring against a list: it holds the last events, all of them as they were, and
// never more than its room.
func TestRingAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(rapid.IntRange(0, 400000).Draw(t, "limit"))
		var model []Event
		for i := range rapid.IntRange(1, 1500).Draw(t, "events") {
			e := Event{Seq: uint64(i + 1), Time: noon, Kind: Added, Detail: strings.Repeat("x", rapid.IntRange(0, maxKept).Draw(t, "size"))}
			e.Contact, e.CallID = e.Detail, e.Detail
			r.add(&e, 0)
			model = append(model, e)
		}
		held := model[len(model)-int(r.next-r.first):]
		for i := range held {
			if got := decode(r.bytes(r.first + uint64(i))); !reflect.DeepEqual(got, held[i]) {
				t.Fatalf("event %d is %+v", held[i].Seq, got)
			}
		}
		if len(r.data) > r.limit {
			t.Fatalf("%d bytes of %d", len(r.data), r.limit)
		}
		if r.first > 0 && r.lost != model[r.first-1].Seq {
			t.Fatalf("lost up to %d", r.lost)
		}
		after := uint64(rapid.IntRange(0, len(model)).Draw(t, "after"))
		want := max(after, r.first)
		if position, missed := r.after(after); position != want || missed != want-after {
			t.Fatalf("after %d: %d with %d missed; the first is %d", after, position, missed, r.first)
		}
	})
}

func TestFilter(t *testing.T) {
	e := wholeEvent()
	for _, test := range []struct {
		name  string
		kinds []Kind
		picks bool
	}{
		{"", nil, true},
		{"2001", nil, true},
		{"2001@example.com", nil, true},
		{"sip:2001@Example.com", nil, true},
		{"2001@example.org", nil, false},
		{"7f3a9c", nil, true},
		{"kitchen, 1st floor", nil, true},
		{"Kitchen", nil, false},
		{"2001:db8::7", nil, true},
		{"2001:db8::/32", nil, true},
		{"192.0.2.7", nil, false},
		{"2001", []Kind{Added, Refused}, true},
		{"2001", []Kind{Added}, false},
	} {
		if f := NewFilter(test.name, test.kinds...); f.Picks(&e) != test.picks {
			t.Errorf("%q %v: %v", test.name, test.kinds, !test.picks)
		}
	}
}

func TestFilterOr(t *testing.T) {
	e := wholeEvent()
	yes, no := func(*Event) bool { return true }, func(*Event) bool { return false }
	for _, test := range []struct {
		name  string
		also  func(*Event) bool
		kinds []Kind
		picks bool
	}{
		{"2001", no, nil, true},
		{"2999", no, nil, false},
		{"2999", yes, nil, true},
		{"2999", yes, []Kind{Added}, false},
		{"", yes, nil, true},
		{"", no, nil, false},
	} {
		if f := NewFilter(test.name, test.kinds...).Or(test.also); f.Picks(&e) != test.picks {
			t.Errorf("%q %v: %v", test.name, test.kinds, !test.picks)
		}
	}
}

func TestWholeSince(t *testing.T) {
	now := noon
	r := NewRecorder(0, func() time.Time { now = now.Add(time.Second); return now }, silent{})
	r.Record(Event{Kind: Refused, Reason: WrongSecret})
	if since := r.WholeSince(); !since.IsZero() {
		t.Errorf("something is forgotten before %v", since)
	}
	for r.rings[routine].lost == 0 {
		r.Record(Event{Kind: Refreshed, Detail: strings.Repeat("x", maxKept)})
	}
	if since := r.WholeSince(); !since.IsZero() {
		t.Errorf("more than what is routine is forgotten before %v", since)
	}
	for r.rings[changes].lost == 0 {
		r.Record(Event{Kind: Added, Detail: strings.Repeat("x", maxKept)})
	}
	oldest := r.Last(NewFilter("", Added), 1000)
	if since, want := r.WholeSince(), oldest[len(oldest)-1].Time; !since.Equal(want) {
		t.Errorf("whole since %v, want %v", since, want)
	}
}

// order is a log that holds the numbers of events as they came, by AOR.
type order struct {
	mu   sync.Mutex
	seqs map[sipuri.AOR][]uint64
}

func (o *order) Wants(Kind, Reason) bool { return true }

func (o *order) Record(e Event) {
	runtime.Gosched()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seqs[e.AOR] = append(o.seqs[e.AOR], e.Seq)
}

func TestTheLogHasTheEventsOfAnAORInTheirOrder(t *testing.T) {
	log := &order{seqs: map[sipuri.AOR][]uint64{}}
	r := NewRecorder(1<<20, time.Now, log)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := range 4000 {
				r.Record(Event{Kind: Challenged, AOR: sipuri.AOR{User: fmt.Sprint(i % 3)}})
			}
		})
	}
	readers.Wait()
	for aor, seqs := range log.seqs {
		if !slices.IsSorted(seqs) {
			t.Errorf("the events of %s are logged in another order", aor)
		}
	}
}

// What happens often takes nothing away from what happens seldom.
func TestRoutineLeavesRefusalsAlone(t *testing.T) {
	r := newTestRecorder(1 << 20)
	r.Record(Event{Kind: Refused, Reason: WrongSecret})
	r.Record(Event{Kind: Added})
	for range 100000 {
		r.Record(Event{Kind: Challenged})
		r.Record(Event{Kind: Refused, Reason: StaleNonce})
		r.Record(Event{Kind: Refreshed})
	}
	got := r.Last(Filter{Kinds: []Kind{Refused, Added}}, 10)
	if len(got) != 2 || got[0].Kind != Added || got[1].Reason != WrongSecret {
		t.Errorf("got %+v", got)
	}
}

// next reads events of a watch until it has so many.
func next(t *testing.T, w *Watch, count int) (events []Event, missed uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(events) < count {
		more, some, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("%d events of %d: %v", len(events), count, err)
		}
		events, missed = append(events, more...), missed+some
	}
	return events, missed
}

func TestAWatchSeesEventsInTheirOrder(t *testing.T) {
	r := newTestRecorder(64 << 20)
	r.Record(Event{Kind: Added, Detail: "before"})
	w := r.Watch(Filter{}, 0)
	defer w.Close()
	const each = 1000
	var running sync.WaitGroup
	for _, kind := range Kinds() {
		running.Go(func() {
			for i := range each {
				r.Record(Event{Kind: kind, Detail: fmt.Sprint(i)})
			}
		})
	}
	got, missed := next(t, w, each*len(Kinds()))
	running.Wait()
	if missed != 0 || !slices.IsSortedFunc(got, func(a, b Event) int { return int(a.Seq) - int(b.Seq) }) {
		t.Errorf("%d missed, or not in order", missed)
	}
	if got[0].Detail == "before" {
		t.Error("it sees what was before")
	}
}

func TestAWatchThatIsTooSlowIsToldWhatItMissed(t *testing.T) {
	r := newTestRecorder(0)
	w := r.Watch(Filter{}, 0)
	defer w.Close()
	const all = 5000
	for range all {
		r.Record(Event{Kind: Added})
	}
	got, missed := next(t, w, 1)
	if uint64(len(got))+missed != all || missed == 0 {
		t.Errorf("%d events and %d missed of %d", len(got), missed, all)
	}
}

func TestAWatchGoesOnAfterASequenceNumber(t *testing.T) {
	r := newTestRecorder(1 << 20)
	for i := range 10 {
		r.Record(Event{Kind: Kinds()[i%len(Kinds())], Detail: fmt.Sprint(i)})
	}
	seventh := r.Last(Filter{}, 10)[3].Seq
	w := r.Watch(Filter{}, seventh)
	defer w.Close()
	got, missed := next(t, w, 3)
	if missed != 0 || got[0].Detail != "7" || got[2].Detail != "9" {
		t.Errorf("%d missed, got %+v", missed, got)
	}
}

func TestAWatchOfChangesIsNotWokenByRoutine(t *testing.T) {
	r := newTestRecorder(0)
	w := r.Watch(Filter{Kinds: []Kind{Added, Refused}}, 0)
	defer w.Close()
	<-w.wake
	for range 5000 {
		r.Record(Event{Kind: Refreshed})
		r.Record(Event{Kind: Refused, Reason: StaleNonce})
	}
	if len(w.wake) > 0 {
		t.Error("woken")
	}
	r.Record(Event{Kind: Refused, Reason: WrongSecret})
	if got, missed := next(t, w, 1); missed != 0 || got[0].Reason != WrongSecret {
		t.Errorf("%d missed, got %+v", missed, got)
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	w := newTestRecorder(0).Watch(Filter{}, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Next(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	w.Close()
	if left := len(w.recorder.watches); left != 0 {
		t.Errorf("%d watches left", left)
	}
}

func TestWatchesAreCounted(t *testing.T) {
	r := newTestRecorder(1 << 20)
	first, second := r.Watch(Filter{}, 0), r.Watch(Filter{}, 0)
	for _, step := range []struct {
		do   func()
		want int
	}{{func() {}, 2}, {first.Close, 1}, {second.Close, 0}} {
		if step.do(); r.Watches() != step.want {
			t.Errorf("%d watches, want %d", r.Watches(), step.want)
		}
	}
}

func TestNoAnswerAloneIsNeither(t *testing.T) {
	for _, reason := range Reasons() {
		if neither := !reason.Refuses() && !reason.EndsBinding(); neither != (reason == NoAnswer) || reason.Refuses() && reason.EndsBinding() {
			t.Errorf("%s: refuses %v, ends bindings %v", reason, reason.Refuses(), reason.EndsBinding())
		}
	}
}

func TestReasonsForWhichBindingsEnd(t *testing.T) {
	var got []string
	for _, reason := range Reasons() {
		if reason.EndsBinding() {
			got = append(got, reason.String())
		}
	}
	const want = "[by_phone by_administrator peer_changed newer_contact same_phone not_refreshed stream_gone]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestEachReasonHasANameAndAdvice(t *testing.T) {
	names := map[string]bool{}
	for _, reason := range Reasons() {
		if reason.String() == "" || names[reason.String()] || !strings.HasSuffix(reason.Advice(), ".") {
			t.Errorf("%d: %q, %q", reason, reason, reason.Advice())
		}
		names[reason.String()] = true
		var again Reason
		if err := again.UnmarshalText([]byte(reason.String())); err != nil || again != reason {
			t.Errorf("%v is read as %v: %v", reason, again, err)
		}
	}
	for _, kind := range Kinds() {
		var again Kind
		if err := again.UnmarshalText([]byte(kind.String())); err != nil || again != kind {
			t.Errorf("%v is read as %v: %v", kind, again, err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(8<<20, time.Now, silent{})
	e := wholeEvent()
	e.Kind, e.Reason = Refreshed, 0
	b.ReportAllocs()
	for b.Loop() {
		r.Record(e)
	}
}

// Whoever waits for a while, and then again, misses nothing in between.
func TestAWaitThatIsCutShortLosesNothing(t *testing.T) {
	r := newTestRecorder(1 << 20)
	w := r.Watch(Filter{}, 0)
	defer w.Close()
	for i := range 40 {
		r.Record(Event{Kind: Added})
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%10)*watchPause/10)
		got, _, err := w.Next(ctx)
		cancel()
		if err != nil {
			got, _ = next(t, w, 1)
		}
		if len(got) != 1 {
			t.Fatalf("round %d: %d events", i, len(got))
		}
	}
}

// A challenge that nothing has followed is remembered when others like it have long
// made room.
func TestAChallengeWithoutAnAnswerIsRemembered(t *testing.T) {
	r := newTestRecorder(1 << 20)
	const phones = 50
	for i := range phones {
		r.Record(Event{Kind: Challenged, CallID: fmt.Sprint("silent", i), Detail: "silent"})
		r.Record(Event{Kind: Challenged, CallID: fmt.Sprint("sound", i), Detail: "sound"})
		r.Record(Event{Kind: Refreshed, CallID: fmt.Sprint("sound", i)})
	}
	for i := range 20000 {
		r.Record(Event{Kind: Challenged, CallID: fmt.Sprint(i)})
		r.Record(Event{Kind: Refreshed, CallID: fmt.Sprint(i)})
	}
	if r.rings[routine].lost < uint64(noon.Unix())<<20+3*phones {
		t.Fatal("they are still remembered with the others")
	}
	found := map[string]int{}
	for _, e := range r.Last(Filter{}, 100000) {
		found[e.Detail]++
	}
	if found["sound"] > 0 || found["silent"] < phones/2 { // a few meet others in their place
		t.Errorf("found %v", found)
	}
}

// Challenges that make room move on while Last goes through the classes: here they
// do since it takes its time.
func TestLastHasEachEventOnce(t *testing.T) {
	r := newTestRecorder(1 << 20)
	challenge := func(i int) { r.Record(Event{Kind: Challenged, CallID: fmt.Sprint(i)}) }
	for i := range 5000 {
		challenge(i)
	}
	end := make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		for i := 5000; ; i++ {
			select {
			case <-end:
				return
			default:
				challenge(i)
			}
		}
	})
	defer flood.Wait()
	defer close(end)
	slowly := Filter{}.Or(func(*Event) bool {
		time.Sleep(time.Microsecond)
		return true
	})
	for range 20 {
		last := r.Last(slowly, 5000)
		for i := 1; i < len(last); i++ {
			if last[i].Seq == last[i-1].Seq {
				t.Fatalf("event %d of %d comes twice", i, len(last))
			}
		}
	}
}

func TestARingIsNotLargerThanItsPlacesCanTell(t *testing.T) {
	if r := newRing(7 << 30); r.limit > math.MaxUint32 {
		t.Errorf("it grows to %d bytes", r.limit)
	}
}

// A phone that answers late, after thousands of others, is not called silent.
func TestAnAnswerThatComesLateCounts(t *testing.T) {
	r := newTestRecorder(1 << 20)
	r.Record(Event{Kind: Challenged, CallID: "late", Detail: "late"})
	for i := 0; r.rings[routine].lost == 0; i++ {
		r.Record(Event{Kind: Challenged, CallID: fmt.Sprint(i)})
		r.Record(Event{Kind: Refreshed, CallID: fmt.Sprint(i)})
	}
	r.Record(Event{Kind: Refreshed, CallID: "late"})
	for _, e := range r.Last(Filter{}, 100000) {
		if e.Detail == "late" {
			t.Error("its challenge is open")
		}
	}
}
