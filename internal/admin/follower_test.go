package admin

import (
	"context"
	"testing"
	"time"

	"sipregd/internal/journal"
)

// A follower whose wait was cut short sees what has come meanwhile, once.
func TestFollowerIsRenewed(t *testing.T) {
	recorder := newTestRecorder(1 << 20)
	f := newFollower(recorder)
	defer func() { f.close() }()
	if f.behind() {
		t.Fatal("behind nothing")
	}
	recorded, seen := 0, 0
	for cut := false; !cut; { // until a wait ends amid the pause between two looks
		record(recorder, recorded, 1)
		recorded++
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		events, _, err := f.next(ctx)
		cancel()
		seen += len(events)
		cut = err != nil
	}
	f.renew()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events []journal.Event
	for f.behind() {
		more, missed, err := f.next(ctx)
		if events = append(events, more...); err != nil || missed != 0 {
			t.Fatalf("%d missed: %v", missed, err)
		}
	}
	if seen+len(events) != recorded || len(events) == 0 {
		t.Errorf("%d and %d events of %d", seen, len(events), recorded)
	}
}
