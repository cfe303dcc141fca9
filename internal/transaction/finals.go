package transaction

import (
	"sync"
	"time"

	"sipregd/internal/message"
)

// timerH is when a final response to an INVITE is given up that no ACK has come for, and
// timerG first sends it again (RFC 3261 §17.2.1, table 4): each time after twice as long
// as before, up to T2.
const (
	timerH = 64 * timerT1
	timerG = timerT1
)

// Finals are final responses to INVITEs over UDP that no ACK has come for yet (§17.2.1,
// "completed"): without a goroutine or a timer for any of them. Whoever made them steps.
// They may be used by many goroutines at once.
//
// The transaction itself is in the table of the layer, which answers copies of the INVITE
// as long as Timer H runs. Once the ACK has come ("confirmed") there is nothing that
// another ACK could end: it is ignored, which is all that Timer I is for.
type Finals struct {
	send     Send
	maxBytes int

	mu     sync.Mutex
	open   map[string]*final   // by the text of the identity of the INVITE
	due    repetitions[*final] // of the same
	bytes  int                 // that they take
	noRoom uint64
	noACK  uint64
}

// final is a response that is sent again until it is acknowledged.
type final struct {
	text       string
	flow       message.Flow
	data       []byte
	repetition // by Timers G and H
}

// finalBytes is about what one takes beside its texts.
const finalBytes = 256

func (f *final) size() int { return finalBytes + len(f.text) + len(f.data) }

// NewFinals returns none yet. They take so many bytes at most: where there is no more room
// a response is sent again just when its INVITE is, as clients do that have no answer.
func NewFinals(send Send, maxBytes int) *Finals {
	return &Finals{send: send, maxBytes: maxBytes, open: map[string]*final{}}
}

// begin keeps a response that was sent to that address, by a flow that is not reliable.
func (f *Finals) begin(id identity, flow message.Flow, reply *Reply, now time.Time) {
	next := &final{
		text: string(id.text), data: append([]byte(nil), reply.Data...),
		repetition: repetition{ends: now.Add(timerH), repeats: now.Add(timerG), interval: timerG},
		flow:       message.Flow{Transport: flow.Transport, Source: reply.To, Local: flow.Local},
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes+next.size() > f.maxBytes {
		f.noRoom++
		return
	}
	f.remove(f.open[next.text]) // none as a rule
	f.open[next.text] = next
	f.bytes += next.size()
	f.due.add(next)
}

// acknowledge ends the repetition of the response to an INVITE, if there is any.
func (f *Finals) acknowledge(id identity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(f.open[string(id.text)])
}

// remove takes one out, nil too.
func (f *Finals) remove(one *final) {
	if one == nil {
		return
	}
	delete(f.open, one.text)
	f.bytes -= one.size()
	f.due.remove(one)
}

// Step sends again what is due. It is to be called several times in the first interval of
// Timer G.
func (f *Finals) Step(now time.Time) {
	for _, one := range f.take(now) {
		_ = f.send(one.flow, one.data) // what is lost here is as good as lost by the network
	}
}

// take gives up what Timer H has fired for, and returns what is to be sent again.
func (f *Finals) take(now time.Time) (again []*final) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.due.due(now, func(one *final) {
		f.noACK++
		f.remove(one)
	})
}

// addTo adds to what is counted.
func (f *Finals) addTo(counts *Counts) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	counts.Unacknowledged, counts.Bytes = len(f.open), counts.Bytes+f.bytes
	counts.NoRoom, counts.NoACK = f.noRoom, f.noACK
}
