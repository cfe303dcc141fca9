package diagnosis

import (
	"fmt"
	"strings"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
)

// explainer puts one event into words. Names in the event may come from the
// network: they go through shown, quoted or printable.
type explainer struct {
	directory *peers.Directory
	names     *names
	event     *journal.Event
	peer      *peers.Peer // that the event is about; nil: of nobody
	times     int         // in a row
}

// explain returns cause and cure.
func (x explainer) explain() (cause, cure string) {
	switch x.event.Kind {
	case journal.Refused:
		return x.refusal()
	case journal.Challenged:
		return x.unanswered()
	case journal.Added, journal.Refreshed:
		return fmt.Sprintf("Registered: %s is bound to %s for %d seconds.", x.aor(), shown(x.event.Contact), x.event.Expires), ""
	case journal.Expired:
		return fmt.Sprintf("The binding of %s to %s has expired: the phone did not refresh it in time.", x.aor(), shown(x.event.Contact)),
			x.event.Reason.Advice()
	case journal.Unreachable:
		return x.unreachable()
	case journal.Redirected:
		return x.redirected()
	case journal.Reachable:
		return fmt.Sprintf("The phone of %s at %s can be reached again: %s.", x.aor(), shown(x.event.Contact), printable(x.event.Detail)), ""
	}
	return x.ended()
}

// unreachable explains a binding that does not get to its phone.
func (x explainer) unreachable() (cause, cure string) {
	if x.event.Reason == journal.StreamGone {
		return fmt.Sprintf("%s is registered at %s, but the phone cannot be reached there: its connection (%s) is gone.",
			x.aor(), shown(x.event.Contact), printable(x.event.Transport)), comesBack
	}
	return fmt.Sprintf("%s is registered at %s, but the phone does not answer: asked at %v over %s, there was %s.",
			x.aor(), shown(x.event.Contact), x.event.Source, printable(x.event.Transport), printable(x.event.Detail)),
		fmt.Sprintf("Look whether the phone is on, awake, and has network. If so, the way to it is lost, as in a NAT: switch the phone's keepalive on, "+
			"or lower qualify_frequency in %s and reload. For a phone that never answers OPTIONS set qualify_frequency = 0 there.", x.place())
}

// comesBack is the cure where just the phone can do something.
const comesBack = "Nothing is to be done: the phone comes back at its next refresh. To have it at once, restart the phone."

// ended explains why a binding went before its time.
func (x explainer) ended() (cause, cure string) {
	what := fmt.Sprintf("The binding of %s to %s was %s", x.aor(), shown(x.event.Contact), x.event.Kind)
	if x.event.Reason == journal.ByConfiguration {
		change, cure := x.changed()
		return fmt.Sprintf("%s by a change of peers.conf: %s.", what, change), cure // which a start finds too
	}
	cause = fmt.Sprintf("%s: %s.", what, ends[x.event.Reason])
	switch x.event.Reason {
	case journal.ByNewerContact:
		return cause, fmt.Sprintf("If both phones are to stay, raise max_contacts in %s and reload.", x.place())
	case journal.ByAdministrator:
		return cause, comesBack
	case journal.StreamGone:
		return cause, "The phone comes back as soon as it sees that. If it does so often, look at the network and at the time limits of routers between; " +
			"if it takes long, switch keepalives on in the phone."
	}
	return cause, ""
}

// ends say why a binding went.
var ends = map[journal.Reason]string{
	journal.ByPhone:         "the phone has unregistered",
	journal.ByAdministrator: "somebody has removed it here",
	journal.ByNewerContact:  "max_contacts is reached, and a newer one has taken its place",
	journal.ByItself:        "the same phone has come with another address, which took its place",
	journal.StreamGone:      "the connection that the phone made it over has ended, and the phone did not come back on another one in time",
}

// taken says what a change of the peers has taken away, as it was then.
var taken = map[string]string{
	peers.PeerGone:     "its peer was gone",
	peers.PeerDisabled: "its peer had enabled = no",
	peers.PeerRekeyed:  "its peer had another secret, or another certificate_name",
	peers.AORTaken:     "its peer might not have that address any more",
}

// changed tells what a change of the peers has taken away, and by the peers of today
// what helps.
func (x explainer) changed() (change, cure string) {
	change, cure = x.changedToday()
	if then := taken[x.event.Detail]; then != "" {
		if x.peer != nil && x.event.Detail != peers.PeerRekeyed && x.directory.Binds(x.event.AOR.Domain, x.event.Authname, x.event.AOR) {
			return then, x.nothingMore()
		}
		if x.peer == nil || x.event.Detail == peers.PeerRekeyed {
			return then, cure
		}
	}
	return change, cure
}

// changedToday tells by the peers of today what a change of them has taken away.
func (x explainer) changedToday() (change, cure string) {
	switch p := x.peer; {
	case p == nil:
		return "its peer is gone", "If the phone is to stay, add its peer to peers.conf again and reload."
	case !p.Enabled:
		return p.String() + " has enabled = no", fmt.Sprintf("If the phone is to stay, set enabled = yes in %s and reload.", x.place())
	case p.Authname != x.event.Authname:
		return p.String() + " has another authname",
			fmt.Sprintf("Set the phone's Auth ID to %s, as %s has it, and see that its password is the secret there.", p.Authname, x.place())
	case !x.directory.MayBind(p, x.event.AOR):
		return fmt.Sprintf("%s may not register %s any more", p, x.aor()), x.listAOR()
	}
	if !x.peer.HasSecret() {
		return fmt.Sprintf("%s has another certificate_name, or has lost its secret", x.peer),
			fmt.Sprintf("Let the phone show a certificate with a name that %s has as certificate_name.", x.place())
	}
	return fmt.Sprintf("%s has another secret", x.peer), fmt.Sprintf("Type the secret of %s into the phone.", x.place())
}

// refusal explains a request that was refused.
func (x explainer) refusal() (cause, cure string) {
	if isMended := mended[x.event.Reason]; isMended != nil && x.peer != nil && isMended(x) {
		cause, _ = x.refusalAsItWas()
		return cause, x.nothingMore()
	}
	return x.refusalAsItWas()
}

func (x explainer) nothingMore() string {
	return fmt.Sprintf("Nothing more is to be done: with %s as it is now, the phone gets in when it tries again.", x.place())
}

// mended tells whether the peers of today let in what was refused for a reason.
var mended = map[journal.Reason]func(x explainer) bool{
	journal.PeerDisabled:       func(x explainer) bool { return x.peer.Enabled },
	journal.SourceNotPermitted: func(x explainer) bool { return x.peer.Permits(x.event.Source.Addr()) },
	journal.AORNotListed:       func(x explainer) bool { return x.directory.MayBind(x.peer, x.event.AOR) },
	journal.CSeqNotRising:      func(x explainer) bool { return x.peer.CSeqReset },
}

func (x explainer) refusalAsItWas() (cause, cure string) {
	if explain := refusals[x.event.Reason]; explain != nil {
		return explain(x)
	}
	return withDetail(causes[x.event.Reason], printable(x.event.Detail)), x.event.Reason.Advice()
}

// refusals explain what takes more than a sentence and the detail.
var refusals = map[journal.Reason]func(explainer) (cause, cure string){
	journal.MethodNotAllowed:   explainer.methodNotAllowed,
	journal.TLSFailed:          explainer.tlsFailed,
	journal.DomainNotServed:    explainer.notServed,
	journal.UnknownAuthname:    explainer.unknownAuthname,
	journal.WrongSecret:        explainer.wrongSecret,
	journal.WrongRealm:         explainer.wrongRealm,
	journal.WrongDigestURI:     explainer.wrongDigestURI,
	journal.WrongAlgorithm:     explainer.wrongAlgorithm,
	journal.StaleNonce:         explainer.stale,
	journal.Replay:             explainer.replayed,
	journal.PeerDisabled:       explainer.disabled,
	journal.SourceNotPermitted: explainer.notPermitted,
	journal.AORNotListed:       explainer.notListed,
	journal.TooManyContacts:    explainer.tooMany,
	journal.ExpiryTooBrief:     explainer.tooBrief,
	journal.CSeqNotRising:      explainer.notRising,
	journal.Banned:             explainer.banned,
	journal.TooManyGuesses:     explainer.guessed,
	journal.ByConfiguration:    explainer.reloaded,

	journal.NotRegistered:       explainer.notRegistered,
	journal.NoSuchAOR:           explainer.noSuchAOR,
	journal.CallerNotRegistered: explainer.callerNotRegistered,
}

// causes are of the other refusals.
var causes = map[journal.Reason]string{
	journal.Malformed:               "The request is malformed",
	journal.SchemeNotSupported:      "The phone's address is no sip: URI",
	journal.SIPSWithoutTLS:          "The phone asks for a secure way (sips:) and does not come by one (TLS, WSS) itself",
	journal.ExtensionNotSupported:   "The phone requires an extension that is not supported",
	journal.BodyNotUnderstood:       "The REGISTER has a body, and its sender wants that to be understood",
	journal.WildcardMisused:         "The phone sends a Contact of * without Expires: 0",
	journal.OutboundMisused:         "The phone registers several flows (reg-id) in one request",
	journal.FirstHopWithoutOutbound: "The phone wants to be reached by the connection that it opens (outbound, RFC 5626), and the proxy between does not say that it keeps that",
	journal.ContactIsGRUU:           "The phone registers an address that was given to it here (a GRUU), which leads back to here",
	journal.ContactMisleads:         "The phone's address is not one that it can be reached by",
	journal.TooManyAORs:             "The peer has as many addresses registered as it may",
	journal.ContactGivenTwice:       "The phone asks for two expirations of one Contact",
	journal.LoopOrMerge:             "The same request came by two ways",
	journal.TooManyRequests:         "Some of what came from there was dropped unread",
	journal.EventNotSupported:       "The phone subscribes to something else than registrations",
	journal.BodyNotAccepted:         "Who subscribes to registrations does not take what is told of them",
	journal.WatcherNotPermitted:     "Somebody wants to watch the registrations of an address that is none of its own",
	journal.TooManySubscriptions:    "There are as many subscriptions to registrations as there may be",
	journal.SubscriptionUnknown:     "A subscription is to go on that is not there any more",
	journal.StoreFailed:             "The binding could not be saved: Redis is away, or the disk fails and require_durable is set",
}

func withDetail(cause, detail string) string {
	if detail == "" {
		return cause + "."
	}
	return cause + ": " + detail + "."
}

func (x explainer) methodNotAllowed() (cause, cure string) {
	return fmt.Sprintf("The phone sends %s, as if this were a proxy.", quoted(x.event.Detail)), x.event.Reason.Advice()
}

func (x explainer) notServed() (cause, cure string) {
	served := listed(x.directory.Domains().Names(), func(name string) string { return name })
	return fmt.Sprintf("The phone registers at %s, which is not served here: [registrar] domain is %s.", quoted(x.event.Detail), served),
		fmt.Sprintf("Set the phone's Domain to one that is served, or add %s to [registrar] domain in sipregd.conf and restart.", shown(x.event.Detail))
}

func (x explainer) disabled() (cause, cure string) {
	return fmt.Sprintf("%s has proved who it is, but it had enabled = no.", x.peerName()),
		fmt.Sprintf("Set enabled = yes in %s, or take the line out, and reload.", x.place())
}

func (x explainer) notPermitted() (cause, cure string) {
	return fmt.Sprintf("%s has proved who it is, but comes from %s: its %s.", x.peerName(), x.source(), printable(x.event.Detail)),
		fmt.Sprintf("Add %s, or its network, to permit in %s and reload; or have the phone come from where it may.", x.source(), x.place())
}

func (x explainer) notListed() (cause, cure string) {
	listed := "aorname was *, which is what no other peer names"
	if x.peer == nil || !x.peer.AnyAOR {
		listed = strings.Replace(printable(x.event.Detail), "aorname is ", "aorname was ", 1)
	}
	cause = fmt.Sprintf("%s has proved who it is, but may not register %s: its %s.", x.peerName(), x.aor(), listed)
	if owners := x.names.binders(x.event.AOR); len(owners) > 0 {
		cause += fmt.Sprintf(" %s belongs to %s.", x.aor(), labels(owners))
	}
	return cause, x.listAOR()
}

// listAOR says how to let the peer have the AOR, or the phone ask for another.
func (x explainer) listAOR() string {
	aor := written(x.event.AOR)
	switch {
	case x.event.AOR.User == "":
		return "Set the phone's User ID: it is empty."
	case x.peer == nil || len(x.peer.AORs) == 0:
		return fmt.Sprintf("Add aorname = %s to %s, or %[1]s to its list, and reload.", aor, x.place())
	case len(x.peer.AORs) >= maxList:
		return fmt.Sprintf("Set the phone's User ID to one of %s. Or add %s to aorname of %s and reload.", joined(x.peer.AORs), aor, x.place())
	}
	one := "" // of several
	if len(x.peer.AORs) > 1 {
		one = "one of "
	}
	return fmt.Sprintf("Set the phone's User ID to %s%s. Or add %s to the list of %s: aorname = %[2]s, %[3]s, and reload.",
		one, joined(x.peer.AORs), aor, x.place())
}

func (x explainer) tooMany() (cause, cure string) {
	cause = fmt.Sprintf("%s is bound to as many Contacts as it may be: %s.", x.aor(), printable(x.event.Detail))
	remedy := ", or set remove_existing = yes, so that the oldest makes room"
	if x.peer != nil && x.peer.RemoveExisting {
		cause = fmt.Sprintf("The phone brings more Contacts for %s at once than it may have: %s.", x.aor(), printable(x.event.Detail))
		remedy = ""
	}
	return cause, fmt.Sprintf("sipregctl contacts %s shows them, and sipregctl remove takes one away. Or raise max_contacts in %s%s, and reload.",
		x.aorForShell(), x.place(), remedy)
}

func (x explainer) tooBrief() (cause, cure string) {
	asked, minimum, _ := strings.Cut(x.event.Detail, "; the minimum is ")
	return fmt.Sprintf("The phone asks to be registered for %s seconds, and the minimum is %s. Most phones ask again for longer; this one has not.",
			printable(asked), printable(minimum)),
		fmt.Sprintf("Set the phone's registration interval to %s seconds or more, or lower minimum_expiration in %s and reload.", printable(minimum), x.place())
}

func (x explainer) notRising() (cause, cure string) {
	return fmt.Sprintf("The request is not newer than the one that made the binding: its Call-ID is the same and its CSeq is no higher (the %s). "+
			"A phone that rebooted with its old Call-ID looks like that.", printable(x.event.Detail)),
		fmt.Sprintf("sipregctl remove %s lets it in at once; else it comes in when its binding expires. "+
			"To let such a phone in by itself, 32 seconds after it was last heard, set cseq_reset = yes in %s and reload.", x.bindingForShell(), x.place())
}

func (x explainer) banned() (cause, cure string) {
	return fmt.Sprintf("Nothing that the phone sends is read: %s.", printable(x.event.Detail)),
		fmt.Sprintf("Mend what is wrong with the phone, then lift the ban: sipregctl ban remove %s", shellQuote(bannedNetwork(x.event)))
}

func (x explainer) guessed() (cause, cure string) {
	return fmt.Sprintf("From %s came so many wrong passwords for the Auth ID %s that just some are looked at, one in 5 seconds, and this one was not.",
			x.source(), quoted(x.event.Authname)),
		x.event.Reason.Advice()
}

func (x explainer) reloaded() (cause, cure string) {
	change, cure := x.changed()
	return fmt.Sprintf("While the phone registered, peers.conf was reloaded: %s.", change), cure
}

// aor returns the AOR for a sentence.
func (x explainer) aor() string {
	if x.event.AOR.User == "" {
		return "an address without a name"
	}
	return shown(x.event.AOR.String())
}

func (x explainer) aorForShell() string { return shellQuote(x.event.AOR.String()) }

// bindingForShell names one binding, so that no other one goes with it.
func (x explainer) bindingForShell() string {
	if x.event.Contact == "" || len(x.event.Contact) > maxText {
		return x.aorForShell()
	}
	return x.aorForShell() + " " + shellQuote(x.event.Contact)
}

func (x explainer) source() string { return x.event.Source.Addr().String() }

// peerName returns the label in brackets.
func (x explainer) peerName() string {
	switch {
	case x.peer != nil:
		return x.peer.String()
	case x.event.Label != "":
		return "[" + shortened(x.event.Label, maxName) + "]"
	}
	return "A peer"
}

// place returns the peer, and where it stands.
func (x explainer) place() string {
	switch {
	case x.peer != nil:
		return x.placeOf(x.peer)
	case x.event.Label != "":
		return x.peerName() + ", which peers.conf does not have any more"
	}
	return "its peer"
}

func (x explainer) placeOf(p *peers.Peer) string {
	return fmt.Sprintf("%s (%s)", p, x.directory.Where(p))
}
