package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/diagnosis"
	"sipregd/internal/journal"
)

// notable are the kinds that a watcher sees who does not ask for others: not those
// that come with each phone all the time.
var notable = []journal.Kind{journal.Added, journal.Removed, journal.Replaced, journal.Expired,
	journal.Unreachable, journal.Reachable, journal.Refused}

// streamEvents sends events as they happen, as server-sent events.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	kinds, err := kindsOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	after, err := afterOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%d watch already: end one of them first", maxWatchers))
		return
	}
	watch := s.Recorder.Watch(s.filterOf(r.URL.Query().Get("q"), kinds), after)
	defer watch.Close()
	stream := newEventStream(w, s.answerTime)
	for err := stream.begin(); err == nil; {
		err = stream.sendNext(r.Context(), watch, s.keepalive)
	}
}

// filterOf returns a filter that picks what why tells of a name. It may be used by one
// watch.
func (s *Server) filterOf(name string, kinds []journal.Kind) journal.Filter {
	filter := journal.NewFilter(name, kinds...)
	if name == "" {
		return filter
	}
	directory := s.Daemon.Directory()
	isConcern := diagnosis.Concerns(name, directory)
	return filter.Or(func(e *journal.Event) bool {
		if today := s.Daemon.Directory(); today != directory { // a watch may outlast a reload
			directory, isConcern = today, diagnosis.Concerns(name, today)
		}
		return isConcern(e)
	})
}

// kindsOf reads the query's kinds. None: all.
func kindsOf(r *http.Request) ([]journal.Kind, error) {
	switch text := r.URL.Query().Get("kinds"); text {
	case "":
		return notable, nil
	case "all":
		return nil, nil
	default:
		var kinds []journal.Kind
		for name := range strings.SplitSeq(text, ",") {
			var kind journal.Kind
			if err := kind.UnmarshalText([]byte(name)); err != nil {
				return nil, fmt.Errorf("%w: write some of %v with commas, or all", err, journal.Kinds())
			}
			kinds = append(kinds, kind)
		}
		return kinds, nil
	}
}

// afterOf reads the sequence number to go on after; 0: from now on.
func afterOf(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errors.New("after is no sequence number of an event")
	}
	return after, nil
}

// eventStream writes server-sent events.
type eventStream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // with a watcher that does not read
	text     bytes.Buffer  // messages to be sent
	encoder  *json.Encoder // of values in text
}

func newEventStream(w http.ResponseWriter, patience time.Duration) *eventStream {
	s := &eventStream{w: w, control: http.NewResponseController(w), patience: patience}
	s.encoder = json.NewEncoder(&s.text)
	return s
}

func (s *eventStream) begin() error {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("Cache-Control", "no-store")
	s.w.Header().Set("X-Accel-Buffering", "no") // a proxy is to pass it on at once
	return s.write([]byte(": events follow\n\n"))
}

// sendNext waits for events and sends them, or a sign of life.
func (s *eventStream) sendNext(ctx context.Context, watch *journal.Watch, keepalive time.Duration) error {
	patience, cancel := context.WithTimeout(ctx, keepalive)
	defer cancel()
	events, missed, err := watch.Next(patience)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return s.write([]byte(": alive\n\n"))
	}
	s.text.Reset()
	if missed > 0 {
		s.add("event: missed\ndata: ", &api.Missed{Missed: missed})
	}
	for i := range events {
		event := eventOf(&events[i])
		s.text.WriteString("id: ")
		s.text.Write(strconv.AppendUint(s.text.AvailableBuffer(), event.Seq, 10))
		s.add("\nevent: event\ndata: ", &event)
	}
	return s.write(s.text.Bytes())
}

// add adds a message that ends in a value.
func (s *eventStream) add(head string, value any) {
	s.text.WriteString(head)
	_ = s.encoder.Encode(value) // plain structs; a line of text
	s.text.WriteByte('\n')
}

// write gives the watcher a while to take it.
func (s *eventStream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.control.Flush()
}
