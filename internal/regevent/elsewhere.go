package regevent

import (
	"context"
	"slices"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Versions are those of bindings that others change too, whom a notifier does not hear.
type Versions interface {
	// Versions returns the versions of what AORs are bound to, in their order. One is
	// unlike any other ever, and empty where nothing is bound. It fails where they are not
	// known.
	Versions(ctx context.Context, aors []sipuri.AOR) ([]string, error)
}

const (
	// maxAsked bounds how many AORs LookElsewhere asks about.
	maxAsked = 4000

	// sameTime is how far apart the times of a binding may be read that has not changed:
	// they are by another machine's clock. Who counts CSeq anew is later than this.
	sameTime = 10 * time.Second

	// expirySlack is how long before its end a binding may be gone that has expired.
	expirySlack = 2 * time.Second
)

// LookElsewhere has those told who watch an address-of-record that was changed elsewhere, or
// of whose bindings one should have expired. It asks about those that it has not asked about
// for longest, and is to be called about once a second, by one goroutine. Where nothing is
// known nobody is told anything: what has changed is found later.
func (n *Notifier) LookElsewhere(ctx context.Context) {
	if n.changes.watched.Load() == 0 {
		return
	}
	asked := slices.DeleteFunc(n.nextAsked(), n.registrar.IsStaleOf)
	versions, err := n.Versions.Versions(ctx, asked)
	if err != nil {
		return
	}
	if changed := n.changedElsewhere(asked, versions, n.Clock()); len(changed) > 0 {
		for _, aor := range changed {
			n.changes.touch(aor)
		}
		n.rouse()
	}
}

// nextAsked returns what is to be asked about, and puts it last in the round.
func (n *Notifier) nextAsked() []sipuri.AOR {
	n.mu.Lock()
	defer n.mu.Unlock()
	aors := make([]sipuri.AOR, min(n.round.Len(), maxAsked))
	for i := range aors {
		first := n.round.Front()
		n.round.MoveToBack(first)
		aors[i] = first.Value.(*resource).aor
	}
	return aors
}

// changedElsewhere returns the AORs that are to be looked at. What this node has changed
// itself is among them, and then there is nothing left to be told.
func (n *Notifier) changedElsewhere(asked []sipuri.AOR, versions []string, now time.Time) (changed []sipuri.AOR) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, aor := range asked {
		r := n.resources[aor]
		if r == nil || r.isKnown && r.version == versions[i] && !r.isOverdue(now) {
			continue
		}
		r.isKnown, r.version = true, versions[i]
		changed = append(changed, aor)
	}
	return changed
}

// isOverdue tells whether a binding should have expired since all were seen: that alone
// makes no other version.
func (r *resource) isOverdue(now time.Time) bool {
	return !r.firstExpiry.IsZero() && !r.firstExpiry.After(now)
}

// see takes in what is bound.
func (r *resource) see(bindings []location.Binding) {
	r.firstExpiry = time.Time{}
	for i := range bindings {
		r.firstExpiry = earlier(r.firstExpiry, bindings[i].Expires)
	}
}

// isElsewhere tells whether bindings change that this notifier does not hear of.
func (n *Notifier) isElsewhere() bool { return n.Versions != nil }
