package diagnosis

import (
	"fmt"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// explainer puts one event into words.
type explainer struct {
	directory *peers.Directory
	event     *journal.Event
	peer      *peers.Peer // that the event is about; nil: of nobody
}

// explain returns cause and cure.
func (x explainer) explain(times int) (cause, cure string) {
	switch x.event.Kind {
	case journal.Refused:
		return x.refusal(times)
	case journal.Challenged:
		return x.unanswered()
	case journal.Added, journal.Refreshed:
		return fmt.Sprintf("Registered: %s is bound to %s for %d seconds.", x.aor(), x.event.Contact, x.event.Expires), ""
	case journal.Expired:
		return fmt.Sprintf("The binding of %s to %s has expired: the phone did not refresh it in time.", x.aor(), x.event.Contact),
			x.event.Reason.Advice()
	}
	return fmt.Sprintf("The binding of %s to %s was %s: %s.", x.aor(), x.event.Contact, x.event.Kind, endings[x.event.Reason]), ""
}

// endings say why a binding went.
var endings = map[journal.Reason]string{
	journal.ByPhone:         "the phone has unregistered",
	journal.ByAdministrator: "somebody has removed it here",
	journal.ByConfiguration: "its peer is gone from peers.conf, is disabled, has another secret, or may not have this address any more",
	journal.ByNewerContact:  "max_contacts is reached, and a newer one has taken its place",
	journal.StreamGone:      "the daemon was restarted, and the connection was the only way to the phone",
}

// refusal explains a request that was refused.
func (x explainer) refusal(times int) (cause, cure string) {
	switch x.event.Reason {
	case journal.UnknownAuthname:
		return x.unknownAuthname()
	case journal.WrongSecret:
		return x.wrongSecret()
	case journal.AORNotListed:
		return x.notListed()
	case journal.SourceNotPermitted:
		return x.notPermitted()
	case journal.DomainNotServed:
		return x.notServed()
	case journal.TooManyContacts:
		return x.tooMany()
	case journal.StaleNonce, journal.Replay:
		return x.staleLoop(times)
	case journal.CSeqNotRising:
		return fmt.Sprintf("The request is not newer than the one that made the binding: its Call-ID is the same and its CSeq is no higher (the %s). "+
				"A phone that rebooted with its old Call-ID looks like that.", x.event.Detail),
			fmt.Sprintf("sipregctl remove %s lets it in at once; else it comes in when its binding expires.", shellQuote(x.aor()))
	case journal.PeerDisabled:
		return fmt.Sprintf("%s has proved who it is, but it has enabled = no.", x.peerName()),
			fmt.Sprintf("Set enabled = yes in %s, or take the line out, and reload.", x.place())
	case journal.Banned:
		return fmt.Sprintf("The phone's address is banned, and nothing is read that comes from it: %s.", x.event.Detail),
			fmt.Sprintf("Mend what is wrong with the phone, then lift the ban: sipregctl ban list shows it, sipregctl ban remove lifts it. It came from %s.", x.source())
	}
	return x.withDetail(causes[x.event.Reason]), x.event.Reason.Advice()
}

// causes are of the refusals that need no more than their detail.
var causes = map[journal.Reason]string{
	journal.Malformed:             "The request is malformed",
	journal.MethodNotAllowed:      "The phone sends what is no REGISTER, as if this were a proxy",
	journal.SchemeNotSupported:    "The phone's address is no sip: URI",
	journal.ExtensionNotSupported: "The phone requires an extension that is not supported",
	journal.BodyNotUnderstood:     "The REGISTER has a body that has to be understood, and none is",
	journal.WrongRealm:            "The phone's credentials are for another realm, as of another server",
	journal.WrongDigestURI:        "The phone's digest is over another URI than its request is for",
	journal.WrongAlgorithm:        "The phone answers with an algorithm that it may not use",
	journal.ExpiryTooBrief:        "The phone wants to register for too short a time, in seconds",
	journal.WildcardMisused:       "The phone sends a Contact of * without Expires: 0",
	journal.ContactGivenTwice:     "The phone asks for two expirations of one Contact",
	journal.LoopOrMerge:           "The same request came by two ways",
	journal.StoreFailed:           "The binding could not be saved, and require_durable is set",
	journal.ByConfiguration:       "peers.conf was reloaded amid the request",
}

func (x explainer) withDetail(cause string) string {
	if x.event.Detail == "" {
		return cause + "."
	}
	return cause + ": " + x.event.Detail + "."
}

// unknownAuthname tells who the phone may have meant to be.
func (x explainer) unknownAuthname() (cause, cure string) {
	name := x.event.Authname
	sends := fmt.Sprintf("The phone sends %q as its Auth ID, and no peer has that authname.", name)
	switch p, isAORName := x.namesake(); {
	case x.event.Detail != "":
		return fmt.Sprintf("The phone sends the Auth ID %q, which belongs to another domain: %s.", name, x.event.Detail),
			"Set the phone's Domain to that of the peer, or domain in the peer to the one that the phone uses, and reload."
	case p != nil && isAORName:
		return fmt.Sprintf("%s But it is the aorname of %s: the phone sends its User ID as Auth ID.", sends, p), x.setAuthname(p)
	case p != nil:
		return fmt.Sprintf("%s But it is the label of %s, which no phone has to know.", sends, p), x.setAuthname(p)
	}
	if p := x.almost(); p != nil {
		return fmt.Sprintf("%s But %s has %q: case counts, and nothing stands behind the name.", sends, p, p.Authname), x.setAuthname(p)
	}
	if p := x.directory.BinderOf(x.event.AOR); p != nil {
		return fmt.Sprintf("%s It wants to register %s, which %s may.", sends, x.aor(), p), x.setAuthname(p)
	}
	return fmt.Sprintf("%s Nor has a peer %s in its aorname.", sends, x.aor()),
		fmt.Sprintf("If you know the phone at %s, add a peer to peers.conf with authname = %s, its secret and aorname = %s, and reload. "+
			"If not, a stranger is trying names, and nothing is to be done.", x.source(), name, x.event.AOR.User)
}

// namesake returns the peer that has the authname as its aorname, or as its label.
func (x explainer) namesake() (p *peers.Peer, isAORName bool) {
	name := x.event.Authname
	if p := x.directory.BinderOf(x.directory.ReadAOR(name)); p != nil {
		return p, true
	}
	if p := x.directory.BinderOf(sipuri.AOR{User: name, Domain: x.event.AOR.Domain}); p != nil {
		return p, true
	}
	return x.directory.ByLabel(name), false
}

// almost returns a peer whose authname differs in case, or in what stands behind an
// @, from what the phone sent.
func (x explainer) almost() *peers.Peer {
	name, _, _ := strings.Cut(x.event.Authname, "@")
	for p := range x.directory.All() {
		if strings.EqualFold(p.Authname, name) || strings.EqualFold(p.Authname, x.event.Authname) {
			return p
		}
	}
	return nil
}

func (x explainer) setAuthname(p *peers.Peer) string {
	return fmt.Sprintf("Set the phone's Auth ID to %s (on Cisco/Sipura with Use Auth ID = yes), or set authname = %s in %s and reload.",
		p.Authname, x.event.Authname, x.placeOf(p))
}

func (x explainer) wrongSecret() (cause, cure string) {
	cause = fmt.Sprintf("The phone sends the Auth ID %q of %s with a wrong password.", x.event.Authname, x.peerName())
	if x.peer == nil {
		return cause, journal.WrongSecret.Advice()
	}
	cure = fmt.Sprintf("Type the password anew into the phone: it is the secret of %s. Capitals and blanks count.", x.place())
	if x.hasOneDigest() {
		return cause, fmt.Sprintf("Type the password anew into the phone. If it is right, the password_digest of %s was made for another realm "+
			"or authname: sipregctl digest %s makes a new one.", x.place(), shellQuote(x.peer.Label))
	}
	return cause, cure
}

// hasOneDigest tells whether the peer has a password_digest: of a secret all
// digests are known.
func (x explainer) hasOneDigest() bool {
	for _, realm := range x.peer.Realms() {
		if a1, _ := x.peer.A1(realm); !a1.Has(digest.MD5) || !a1.Has(digest.SHA256) {
			return true
		}
	}
	return false
}

func (x explainer) notListed() (cause, cure string) {
	aor := x.aor()
	cause = fmt.Sprintf("%s has proved who it is, but may not register %s: its %s.", x.peerName(), aor, x.event.Detail)
	if owner := x.directory.BinderOf(x.event.AOR); owner != nil {
		cause += fmt.Sprintf(" %s belongs to %s.", aor, owner)
	}
	cure = fmt.Sprintf("Add aorname = %s to %s, or %[1]s to its list, and reload.", aor, x.place())
	if x.peer != nil && len(x.peer.AORs) > 0 {
		cure = fmt.Sprintf("Set the phone's User ID to %s. Or add %s to the list of %s: aorname = %s, %[2]s, and reload.",
			x.peer.AORs[0].User, aor, x.place(), joined(x.peer.AORs))
	}
	return cause, cure
}

func (x explainer) notPermitted() (cause, cure string) {
	address := x.event.Source.Addr()
	return fmt.Sprintf("%s has proved who it is, but comes from %s: its %s.", x.peerName(), address, x.event.Detail),
		fmt.Sprintf("Add %s, or its network, to permit in %s and reload; or have the phone come from where it may.", address, x.place())
}

func (x explainer) notServed() (cause, cure string) {
	served := strings.Join(x.directory.Domains().Names(), ", ")
	return fmt.Sprintf("The phone registers at %q, which is not served here: [registrar] domain is %s.", x.event.Detail, served),
		fmt.Sprintf("Set the phone's Domain to one of these, or add %s to [registrar] domain in sipregd.conf and restart.", x.event.Detail)
}

func (x explainer) tooMany() (cause, cure string) {
	cause = fmt.Sprintf("%s is bound to as many Contacts as it may be: %s.", x.aor(), x.event.Detail)
	remedy := ", or set remove_existing = yes, so that the oldest makes room"
	if x.peer != nil && x.peer.RemoveExisting {
		cause = fmt.Sprintf("The phone brings more Contacts for %s at once than it may have: %s.", x.aor(), x.event.Detail)
		remedy = ""
	}
	return cause, fmt.Sprintf("sipregctl contacts %s shows them, and sipregctl remove takes one away. Or raise max_contacts in %s%s, and reload.",
		shellQuote(x.aor()), x.place(), remedy)
}

func (x explainer) staleLoop(times int) (cause, cure string) {
	return fmt.Sprintf("The phone has answered %d challenges in a row with a nonce that was too old or used up, though its password is right.", times),
		"It takes an old challenge for the new one: look for newer firmware and restart it, and see that one phone alone uses these settings. " +
			"Where answers take very long on their way, raise [security] nonce_lifetime."
}

func (x explainer) unanswered() (cause, cure string) {
	return fmt.Sprintf("The phone was challenged (401) and never answered: it has not sent a password for %s.", x.aor()),
		fmt.Sprintf("Enter Auth ID and password into the phone: one that has none, or had a wrong one, gives up in silence. "+
			"If it has them, the 401 does not reach it: it goes to %s over %s, where a NAT, a packet filter or a SIP ALG may lose it.",
			x.source(), x.event.Transport)
}

func (x explainer) aor() string { return x.event.AOR.String() }

func (x explainer) source() string { return x.event.Source.Addr().String() }

// peerName returns the label in brackets.
func (x explainer) peerName() string {
	if x.peer == nil {
		return "[" + x.event.Label + "]"
	}
	return x.peer.String()
}

// place returns the peer, and where it stands.
func (x explainer) place() string {
	if x.peer == nil {
		return x.peerName()
	}
	return x.placeOf(x.peer)
}

func (x explainer) placeOf(p *peers.Peer) string {
	return fmt.Sprintf("%s (%s)", p, x.directory.Where(p))
}

func joined(aors []sipuri.AOR) string {
	var list []string
	for _, aor := range aors {
		list = append(list, aor.String())
	}
	return strings.Join(list, ", ")
}

// shellQuote quotes a text for a shell where it needs that.
func shellQuote(text string) string {
	isPlain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@._+-", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !isPlain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
