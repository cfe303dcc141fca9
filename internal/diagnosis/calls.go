package diagnosis

import (
	"fmt"
	"strings"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
)

// What follows explains why a call, or another request for a phone, has not found it.

// method returns that of the request, as the journal has it, and what else it says.
func (x explainer) method() (method, more string, isCall bool) {
	detail, isCall := strings.CutPrefix(x.event.Detail, journal.CallBy)
	detail, more, _ = strings.Cut(detail, "; ")
	method, _, _ = strings.Cut(detail, " ")
	return shown(method), printable(more), isCall && method != ""
}

// caller says who has called.
func (x explainer) caller() string {
	if x.event.Label == "" {
		return "Somebody at " + x.source()
	}
	return x.peerName()
}

// redirected tells of a call that was told where the phone is.
func (x explainer) redirected() (cause, cure string) {
	method, _, _ := x.method()
	return fmt.Sprintf("%s asked for %s (%s), and was told to go to %s.", x.caller(), x.aor(), method, shown(x.event.Contact)),
		"If the phone did not ring all the same, the caller does not follow what it is told (302), or has no way to there: " +
			"a phone behind a NAT is reached from its own network alone, or by a proxy."
}

func (x explainer) notRegistered() (cause, cure string) {
	method, more, _ := x.method()
	cause = fmt.Sprintf("%s asked for %s (%s), and no phone was registered there", x.caller(), x.aor(), method)
	if more != "" {
		cause = fmt.Sprintf("%s asked for %s (%s), and no phone could be reached there: %s", x.caller(), x.aor(), method, more)
		if strings.HasSuffix(more, "what was called") {
			return cause + ".", "Take this server out of the Outbound Proxy setting of the caller: it is told where the phone is, and asks here again."
		}
		return cause + ".", "Call that phone by a proxy or PBX which keeps its connection, or register it over UDP, TCP or TLS."
	}
	stands := ""
	if owners := x.names.binders(x.event.AOR); len(owners) > 0 {
		cause += ": it belongs to " + labels(owners)
		stands = " To have another address answer meanwhile, set defaultname and defaulthost in " + x.placeOf(owners[0]) + " and reload."
	}
	return cause + ".", fmt.Sprintf("sipregctl why %s says why its phone is not registered.%s", x.aorForShell(), stands)
}

func (x explainer) noSuchAOR() (cause, cure string) {
	method, _, _ := x.method()
	cause = fmt.Sprintf("%s asked for %s (%s), and no peer has that in its aorname.", x.caller(), x.aor(), method)
	if p := x.names.withLabel(x.event.AOR.User); p != nil {
		return cause + fmt.Sprintf(" But it is the label of %s, which nobody has to know.", p), x.dial([]*peers.Peer{p})
	}
	if named := x.names.withAuthname(x.event.AOR.User); len(named) > 0 {
		return cause + fmt.Sprintf(" But it is the authname of %s.", labels(named)), x.dial(named)
	}
	return cause, fmt.Sprintf("Look what was dialled. If a peer is to have it, add aorname = %s to its section, or to the list there, and reload.",
		written(x.event.AOR))
}

// dial says what to dial for a peer.
func (x explainer) dial(owners []*peers.Peer) string {
	return fmt.Sprintf("Dial what it has as aorname: %s.", aornames(owners[0]))
}

func (x explainer) callerNotRegistered() (cause, cure string) {
	method, _, _ := x.method()
	return fmt.Sprintf("%s has proved who it is and asked for %s (%s), but is not registered itself: just peers that are may call.",
			x.peerName(), x.aor(), method),
		fmt.Sprintf("Have the phone register: sipregctl why %s says why it is not. If it is a PBX or a proxy at %s, "+
			"add that to permit in [calls] of sipregd.conf and restart.", x.labelForShell(), x.source())
}

// callUnanswered explains the challenge of a call that nothing followed.
func (x explainer) callUnanswered(method string) (cause, cure string) {
	return fmt.Sprintf("A caller at %s, %s by its own words, was challenged (401) for %s and never answered: it has not sent a password.",
			x.source(), x.aor(), method),
		"Enter Auth ID and password into the phone that calls. If it is a PBX or a proxy of yours, add its address to permit in [calls] of sipregd.conf and restart. " +
			"If you do not know it, a stranger tries to call, and nothing is to be done."
}
