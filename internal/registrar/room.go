package registrar

import (
	"strconv"

	"sipregd/internal/journal"
	"sipregd/internal/location"
)

// makeRoom keeps the number of bindings within the peer's limit, which is not in
// the RFC: those that are unreachable go, then those that were changed longest ago, as far as
// the peer lets them; or the request is refused.
func (g *registration) makeRoom(c *changes) *refusal {
	own := len(c.added) + len(c.refreshed)
	excess := own + len(c.kept) - g.peer.MaxContacts
	if excess <= 0 || len(c.added) == 0 {
		return nil
	}
	if g.peer.RemoveExisting || g.peer.RemoveUnavailable {
		excess -= g.replaceUnreachable(c, excess)
	}
	if own > g.peer.MaxContacts || excess > 0 && !g.peer.RemoveExisting {
		return &refusal{g.request.Respond(403, "Too Many Contacts"), journal.TooManyContacts,
			"max_contacts is " + strconv.Itoa(g.peer.MaxContacts), ""}
	}
	c.replaced, c.kept = append(c.replaced, c.kept[:excess]...), c.kept[excess:]
	return nil
}

// replaceUnreachable has up to so many bindings make room whose phones do not answer,
// those first that were changed longest ago, and returns how many.
func (g *registration) replaceUnreachable(c *changes, most int) (replaced int) {
	reachable := c.kept[:0]
	for _, b := range c.kept {
		if replaced < most && g.IsUnreachable(&b) {
			c.replaced = append(c.replaced, b)
			replaced++
			continue
		}
		reachable = append(reachable, b)
	}
	c.kept = reachable
	return replaced
}

// IsUnreachable tells whether the phone of a binding has lost its connection, or was
// asked and did not answer.
func (r *Registrar) IsUnreachable(b *location.Binding) bool {
	return r.FlowGone(b) || r.qualifier != nil && r.qualifier.Unreachable(b.ID)
}
