package admin

import (
	"strings"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
)

// eventOf returns an event as it is said over HTTP. Its texts may come from the
// network: they are UTF-8 then, whatever they were, and otherwise as they are.
func eventOf(e *journal.Event) api.Event {
	event := api.Event{
		Seq: e.Seq, Time: e.Time.UTC(), Event: e.Kind.String(), Reason: e.Reason.String(),
		Transport: readable(e.Transport), Forgeable: e.Forgeable, Status: e.Status, Label: readable(e.Label), Authname: readable(e.Authname),
		AOR: readable(e.AOR.String()), Contact: readable(e.Contact), Expires: e.Expires, CallID: readable(e.CallID),
		UserAgent: readable(e.UserAgent), Detail: readable(e.Detail),
	}
	if e.Source.IsValid() {
		event.SourceIP, event.Port = e.Source.Addr().Unmap().String(), e.Source.Port()
	}
	return event
}

// readable puts U+FFFD where a text is no UTF-8.
func readable(text string) string { return strings.ToValidUTF8(text, "\ufffd") }
