package journal

import (
	"strings"
	"unicode"

	"github.com/rs/zerolog"
)

// maxText bounds the length of a text from the network in a log line, in bytes.
const maxText = 256

// Log is the journal that writes a line for each event.
type Log struct{ logger zerolog.Logger }

// NewLog returns a journal that writes to the logger.
func NewLog(logger zerolog.Logger) *Log { return &Log{logger} }

// Wants tells whether Record writes a line for such an event.
func (l *Log) Wants(kind Kind, reason Reason) bool { return level(kind, reason) >= l.logger.GetLevel() }

// Record writes the event: what is routine at the level debug, bindings that
// come and go at info, refusals at warn. Fields whose text does not come from
// the network stand first.
func (l *Log) Record(e Event) {
	line := l.logger.WithLevel(level(e.Kind, e.Reason))
	if line == nil { // a level that is not logged
		return
	}
	line.Str("event", e.Kind.String())
	if e.Source.IsValid() {
		line.Str("src_ip", e.Source.Addr().Unmap().String()).Uint16("src_port", e.Source.Port())
	}
	text(line, "transport", e.Transport)
	if e.Forgeable {
		line.Bool("forgeable", true)
	}
	text(line, "reason", e.Reason.String())
	if e.Status != 0 {
		line.Int("status", e.Status)
	}
	text(line, "label", e.Label)
	text(line, "authname", e.Authname)
	text(line, "aor", e.AOR.String())
	text(line, "contact", e.Contact)
	if e.Expires != 0 {
		line.Int64("expires", e.Expires)
	}
	text(line, "call_id", e.CallID)
	text(line, "user_agent", e.UserAgent)
	text(line, "detail", e.Detail)
	if e.Seq != 0 {
		line.Uint64("seq", e.Seq)
	}
	line.Msg(message(e))
}

func level(kind Kind, reason Reason) zerolog.Level {
	switch kind {
	case Refreshed, Challenged, Listed, Redirected:
		return zerolog.DebugLevel
	case Refused:
		if reason == StaleNonce { // phones retry by themselves
			return zerolog.DebugLevel
		}
		if reason == NotRegistered { // as phones are off at times
			return zerolog.InfoLevel
		}
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

func text(line *zerolog.Event, name, value string) {
	if value == "" {
		return
	}
	if len(value) > maxText {
		value = value[:maxText] + "…"
	}
	line.Str(name, strings.Map(withoutControls, value))
}

// withoutControls replaces the control characters beyond ASCII and those that turn
// the direction of writing, which JSON leaves as they are and a terminal or
// journalctl may act upon.
func withoutControls(character rune) rune {
	if 0x80 <= character && character <= 0x9f || unicode.Is(unicode.Bidi_Control, character) {
		return '\ufffd'
	}
	return character
}

func message(e Event) string {
	switch e.Kind {
	case Challenged:
		return "request challenged"
	case Listed:
		return "bindings listed"
	case Refused:
		return "request refused"
	case Redirected:
		return "request redirected"
	}
	return "binding " + e.Kind.String()
}
