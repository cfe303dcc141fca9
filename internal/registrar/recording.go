package registrar

import (
	"sipregd/internal/journal"
	"sipregd/internal/location"
)

// takeDown tells of what was made of the request, within the step that does so.
func (g *registration) takeDown(expired []location.Binding) {
	g.recordChanges(expired)
	bound := g.next[len(g.changes.kept):] // which have their IDs by now
	for i := range bound {
		g.flows.bind(bound[i].Stream, g.aor)
		if g.qualifier != nil {
			g.qualifier.Bound(g.peer, g.aor, &bound[i], g.now)
		}
	}
}

func (g *registration) recordChanges(expired []location.Binding) {
	c := &g.changes
	for _, change := range [...]struct {
		kind     journal.Kind
		reason   journal.Reason
		bindings []location.Binding
	}{
		{journal.Expired, journal.NoLongerRefreshed, expired},
		{journal.Removed, journal.ByPhone, c.removed},
		{journal.Replaced, journal.ByNewerContact, c.replaced},
		{journal.Replaced, journal.ByItself, c.moved},
		{journal.Refreshed, journal.None, c.refreshed},
		{journal.Added, journal.None, c.added},
	} {
		for i := range change.bindings {
			b := &change.bindings[i]
			event := bindingEvent(change.kind, change.reason, g.aor, b)
			event.Time = g.now
			if change.kind == journal.Added || change.kind == journal.Refreshed {
				event.Expires = b.Remaining(g.now)
			}
			g.journal.Record(event)
		}
	}
}
