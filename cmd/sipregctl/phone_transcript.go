package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// mostIgnored is how many messages that are no answer are shown.
const mostIgnored = 10

// transcript prints what a phone does, a line for each message: text, or JSON.
type transcript struct {
	out     io.Writer
	json    bool
	whole   bool // messages are printed whole, too
	began   time.Time
	ignores int
	contact string // that was shown last
}

// entry is one line of JSON. Fields that do not apply are left out.
type entry struct {
	Event          string       `json:"event"` // sent, received, ignored, outcome
	Milliseconds   float64      `json:"ms"`    // since the start
	Took           *float64     `json:"took_ms,omitempty"`
	URI            string       `json:"uri,omitempty"`
	CSeq           uint32       `json:"cseq,omitempty"`
	Contact        string       `json:"contact,omitempty"`
	Expires        *uint32      `json:"expires,omitempty"`
	Retransmission int          `json:"retransmission,omitempty"`
	Proofs         []entryProof `json:"credentials,omitempty"`
	Status         int          `json:"status,omitempty"`
	Reason         string       `json:"reason,omitempty"`
	Challenges     []entryProof `json:"challenges,omitempty"`
	Stale          bool         `json:"stale,omitempty"`
	Bindings       []binding    `json:"bindings,omitempty"`
	SeenFrom       string       `json:"seen_from,omitempty"`
	Outcome        string       `json:"outcome,omitempty"` // registered, removed, not registered, not removed
	AOR            string       `json:"aor,omitempty"`
	Authname       string       `json:"authname,omitempty"`
	Sentence       string       `json:"sentence,omitempty"`
	Message        string       `json:"message,omitempty"`
}

type entryProof struct {
	Authname  string `json:"authname,omitempty"`
	Realm     string `json:"realm"`
	Algorithm string `json:"algorithm"`
}

func (t *transcript) sent(q *request, raw string, retransmission int) {
	if t.json {
		line := entry{Event: "sent", URI: q.uri, CSeq: q.cseq, AOR: strings.TrimPrefix(q.aor, "sip:"), Contact: readBinding(q.contact).URI, Expires: &q.expires, Retransmission: retransmission}
		for _, p := range q.proofs {
			line.Proofs = append(line.Proofs, entryProof{p.authname, p.answered.Realm, algorithmOf(&p.answered)})
		}
		t.object(line, raw)
		return
	}
	if retransmission > 0 {
		t.line(fmt.Sprintf("→ again  after %v", time.Since(t.began).Round(100*time.Millisecond)), "")
		return
	}
	parts := []string{"→ REGISTER " + visible(q.uri), "To " + visible(q.user)}
	if contact := readBinding(q.contact).URI; contact != t.contact {
		t.contact = contact
		parts = append(parts, "Contact "+visible(contact))
	}
	parts = append(parts, fmt.Sprintf("expires %d", q.expires))
	for _, p := range q.proofs {
		parts = append(parts, "Auth ID "+visible(p.authname), quoted(p.answered.Realm), short(algorithmOf(&p.answered)))
		if !p.offered {
			parts = append(parts, "(not offered)")
		}
	}
	if len(q.proofs) == 0 {
		parts = append(parts, "(no credentials)")
	}
	t.line(strings.Join(parts, "  "), raw)
}

func (t *transcript) received(r *reply, q *request, took time.Duration) {
	_, challenges := r.challenges()
	stale := false
	for _, c := range challenges {
		stale = stale || c.Stale
	}
	if t.json {
		milliseconds := inMilliseconds(took)
		line := entry{Event: "received", Took: &milliseconds, CSeq: q.cseq, Status: r.StatusCode, Reason: r.Reason,
			Stale: stale, Bindings: r.bindings(), SeenFrom: r.seenFrom(q)}
		for _, c := range challenges {
			line.Challenges = append(line.Challenges, entryProof{Realm: c.Realm, Algorithm: algorithmOf(c)})
		}
		t.object(line, r.raw)
		return
	}
	parts := []string{fmt.Sprintf("← %d %s", r.StatusCode, short(r.Reason))}
	if len(challenges) > 0 {
		parts = append(parts, quoted(challenges[0].Realm), short(algorithms(challenges)))
	}
	if stale {
		parts = append(parts, "stale")
	}
	if seconds, ok := r.seconds("Min-Expires"); ok {
		parts = append(parts, fmt.Sprintf("at least %d s", seconds))
	}
	if r.IsSuccess() {
		parts = append(parts, listed(r.bindings()))
	}
	if seen := r.seenFrom(q); seen != "" {
		parts = append(parts, "seen from "+short(seen))
	}
	t.line(strings.Join(append(parts, fmt.Sprintf("%.1f ms", inMilliseconds(took))), "  "), r.raw)
}

// listed says how many bindings there are, and names some.
func listed(bindings []binding) string {
	const named = 4
	var parts []string
	for i, b := range bindings {
		if i == named {
			parts = append(parts, "…")
			break
		}
		text := short(b.URI)
		if b.Expires != nil {
			text += fmt.Sprintf(" (%d s)", *b.Expires)
		}
		parts = append(parts, text)
	}
	switch len(bindings) {
	case 0:
		return "no bindings"
	case 1:
		return "1 binding: " + parts[0]
	}
	return fmt.Sprintf("%d bindings: %s", len(bindings), strings.Join(parts, ", "))
}

// ignored tells of a message that is no answer. There may be many.
func (t *transcript) ignored(raw []byte, why string) {
	if t.ignores++; t.ignores > mostIgnored {
		return
	}
	if t.json {
		t.object(entry{Event: "ignored", Sentence: why}, string(raw))
		return
	}
	t.line(fmt.Sprintf("← %d bytes passed over: %s", len(raw), short(why)), string(raw))
}

// outcome is the last line.
func (t *transcript) outcome(line entry) {
	line.Event = "outcome"
	if t.json {
		t.object(line, "")
		return
	}
	text := fmt.Sprintf("%s: %s", line.Outcome, line.Sentence)
	t.line(text, "")
}

func (t *transcript) line(text, raw string) {
	fmt.Fprintln(t.out, text)
	if !t.whole || raw == "" {
		return
	}
	for _, line := range visibleLines(raw) {
		fmt.Fprintln(t.out, "  |", line)
	}
}

func (t *transcript) object(line entry, raw string) {
	line.Milliseconds = inMilliseconds(time.Since(t.began))
	if t.whole {
		line.Message = raw
	}
	text, err := json.Marshal(line)
	if err != nil { // of texts and numbers: it does not happen
		panic(err)
	}
	fmt.Fprintf(t.out, "%s\n", visibleJSON(text))
}

func quoted(realm string) string { return `realm "` + short(realm) + `"` }

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
}
