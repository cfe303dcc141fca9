package admin

import (
	"context"

	"sipregd/internal/journal"
)

// follower takes the events of a recorder that are posted, and knows whether it has
// seen all of them.
type follower struct {
	recorder *journal.Recorder
	filter   journal.Filter
	watch    *journal.Watch
	seen     uint64 // the sequence number of the last event
}

// newFollower follows a recorder from now on.
func newFollower(recorder *journal.Recorder) *follower {
	f := &follower{recorder: recorder, filter: journal.NewFilter("",
		journal.Added, journal.Removed, journal.Replaced, journal.Expired, journal.Refused)}
	f.seen = f.last()
	f.begin()
	return f
}

// begin follows what came after the last event that was seen.
func (f *follower) begin() {
	f.watch = f.recorder.Watch(f.filter, max(f.seen, 1)) // 0 would leave out what has come meanwhile
}

func (f *follower) close() { f.watch.Close() }

// renew has to follow a call of next whose context has ended: that may have taken
// the sign that there are events.
func (f *follower) renew() {
	f.close()
	f.begin()
}

// last returns the sequence number of the last event that was taken down, 0 for none.
func (f *follower) last() uint64 {
	if events := f.recorder.Last(f.filter, 1); len(events) > 0 {
		return events[0].Seq
	}
	return 0
}

// next waits for events as Watch.Next does.
func (f *follower) next(ctx context.Context) (events []journal.Event, missed uint64, err error) {
	events, missed, err = f.watch.Next(ctx)
	if len(events) > 0 {
		f.seen = events[len(events)-1].Seq
	}
	return events, missed, err
}

// behind tells whether there are events to see.
func (f *follower) behind() bool { return f.seen < f.last() }
