package transport

import (
	"errors"
	"fmt"
	"time"

	"sipregd/internal/message"
)

var (
	// ErrNoFlow says that nothing goes by a flow any more.
	ErrNoFlow = errors.New("the flow to the phone has ended")
	// ErrBusy says that nothing goes by a flow just now: the phone does not take
	// what was sent before.
	ErrBusy = errors.New("the phone does not take what is sent")
)

const (
	sendTime = time.Second            // for a phone to take what is sent on its stream, once that has begun
	lockGap  = 100 * time.Microsecond // between two looks whether somebody else has written on a stream
)

// Send sends a message by the flow that another one came by: over UDP from the
// address and port that that one came to, else on its connection. A flow over UDP
// without such an address has any. An error is ErrNoFlow, ErrBusy or what the network
// says of that datagram. A stream ends where just a part of the message could be
// written on it. The data is not kept.
func (s *Server) Send(flow message.Flow, data []byte) error {
	if !flow.Reliable() {
		return s.post(flow.Local, flow.Source, data)
	}
	st := s.streams.find(flow.Stream)
	if st == nil {
		return ErrNoFlow
	}
	return st.send(data)
}

// beginStreams has the IDs of streams begin with the time: none is that of an earlier
// life of the daemon.
func (s *Server) beginStreams(now time.Time) { s.streams.next = uint64(now.UnixNano()) }

// find returns a stream that is open, else nil.
func (s *streams) find(id uint64) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// end lets a stream go, and tells of it where somebody may be reached by it.
func (s *Server) end(st *stream) {
	if st.secure != nil {
		_ = st.secure.Close() // says that it is the end
	}
	if !st.proved && !st.proveBy.IsZero() && !time.Now().Before(st.proveBy) {
		s.streams.refusals.late.Add(1)
	}
	s.streams.remove(st)
	st.conn.Close()
	if st.proved && s.Closed != nil && !s.closing.Load() {
		s.Closed(st.flow.Stream)
	}
}

// send writes what answers nothing. Whoever does not read holds up nobody: a message
// begins only where it has room.
func (s *stream) send(data []byte) error {
	until := time.Now().Add(sendTime)
	if !s.lockUntil(until) {
		return ErrBusy
	}
	defer s.mu.Unlock()
	switch {
	case !s.ready:
		return ErrNoFlow
	case !s.hasRoom():
		return ErrBusy
	}
	s.until.Store(until.UnixNano())
	defer s.until.Store(0)
	if err := s.writeMessage(data, textFrame); err != nil {
		s.conn.Close() // a part may be written, and in TLS it is encrypted
		return fmt.Errorf("%w: %w", ErrNoFlow, err)
	}
	return nil
}

// lockUntil waits for another writer, but not for one that waits for the phone itself.
func (s *stream) lockUntil(until time.Time) bool {
	for !s.mu.TryLock() {
		if !s.hasRoom() || time.Now().After(until) {
			return false
		}
		time.Sleep(lockGap)
	}
	return true
}
