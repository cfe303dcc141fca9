package journal

import "hash/maphash"

// knownCalls is how many Call-IDs there is room for. Where two challenges meet in one
// place, the earlier one is forgotten: better that than to call one open that was
// answered.
const knownCalls = 1 << 13

// call stands for a Call-ID.
type call uint32

// calls know where the last challenge of each Call-ID stands, as long as nothing has
// followed it.
type calls struct {
	seed maphash.Seed
	open []openCall
}

// openCall holds positions in rings, counted from 1; 0: nowhere.
type openCall struct{ routine, unanswered uint64 }

func newCalls() calls { return calls{maphash.MakeSeed(), make([]openCall, knownCalls)} }

func (c *calls) of(callID string) call { return call(maphash.String(c.seed, callID)) }

func (c *calls) place(of call) *openCall { return &c.open[of%knownCalls] }

// follow takes down that something has come of a call after its last challenge.
func (r *Recorder) follow(c call) {
	open := r.calls.place(c)
	if open.routine > 0 && r.rings[routine].markFollowed(open.routine-1, c) {
		open.routine = 0
	}
	if open.unanswered > 0 && r.rings[unanswered].markFollowed(open.unanswered-1, c) {
		open.unanswered = 0
	}
}

// challenge takes down that a challenge is the last of its call, at the end of its
// ring.
func (r *Recorder) challenge(c call) {
	open, ring := r.calls.place(c), &r.rings[routine]
	if other := open.routine; other > ring.first {
		ring.slot(other - 1).followed = true
	}
	open.routine = ring.next
}

// keepUnanswered keeps a challenge that makes room, and that nothing has followed.
func (r *Recorder) keepUnanswered(s *slot, encoded []byte) {
	kept := &r.rings[unanswered]
	copy(kept.room(slot{seq: s.seq, size: s.size, call: s.call, kind: s.kind}), encoded)
	r.calls.place(s.call).unanswered = kept.next
}
