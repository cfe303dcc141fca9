package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// What follows explains why a phone has not proved who it is.

// unanswered explains a challenge that nothing followed.
func (x explainer) unanswered() (cause, cure string) {
	if method, _, isCall := x.method(); isCall {
		return x.callUnanswered(method)
	}
	cause = fmt.Sprintf("The phone was challenged (401) and never answered: it has not sent a password for %s.", x.aor())
	if len(x.names.binders(x.event.AOR)) == 0 {
		cause += " No peer has that in its aorname."
	}
	if x.event.Detail != "" { // it has shown a certificate
		return fmt.Sprintf("%s Nor does its certificate stand for a peer: %s.", cause, printable(x.event.Detail)),
			"Enter Auth ID and password into the phone, or write a name of its certificate as certificate_name into its peer and reload. " +
				"One that has expired has to be renewed."
	}
	return cause, fmt.Sprintf("Enter Auth ID and password into the phone: one that has none, or had a wrong one, gives up in silence. "+
		"If it has them, the 401 does not reach it: it goes to %s over %s, where a NAT, a packet filter or a SIP ALG may lose it.",
		x.source(), printable(x.event.Transport))
}

// stale explains nonces that were too old, of which one is no failure.
func (x explainer) stale() (cause, cure string) {
	if x.times < staleLoop {
		return fmt.Sprintf("The phone has answered a challenge that was too old, was challenged anew (401, stale=true), and never answered that, for %s.", x.aor()),
			fmt.Sprintf("Look whether the phone is still there. If it is, the 401 does not reach it: it goes to %s over %s.", x.source(), printable(x.event.Transport))
	}
	return fmt.Sprintf("The phone has answered %d challenges in a row with a nonce that was too old or used up, though its password is right.", x.times),
		"It takes an old challenge for the new one: look for newer firmware and restart it, and see that one phone alone uses these settings. " +
			"Where answers take very long on their way, raise [security] nonce_lifetime."
}

// replayed explains credentials that came a second time.
func (x explainer) replayed() (cause, cure string) {
	if x.times >= staleLoop {
		return x.stale()
	}
	return "The credentials are the same as in an earlier request. They were challenged anew, and nothing has come of that.",
		fmt.Sprintf("If the phone at %s is yours, look for newer firmware: it does not count its requests (nc). "+
			"If not, somebody has sent a copy of what was read on the network, and nothing is to be done.", x.source())
}

func (x explainer) wrongSecret() (cause, cure string) {
	sent := x.event.Authname
	if long, isLong := strings.CutPrefix(x.event.Detail, "sent as "); isLong {
		sent = long
	}
	cause = fmt.Sprintf("The phone sends the Auth ID %s of %s with a wrong password.", quoted(sent), x.peerName())
	switch {
	case x.peer == nil:
		return fmt.Sprintf("The phone has sent the Auth ID %s with a wrong password, and no peer has that authname any more.", quoted(x.event.Authname)),
			fmt.Sprintf("If the phone at %s is yours, add its peer to peers.conf again and reload.", x.source())
	case !x.peer.HasSecret():
		return fmt.Sprintf("The phone sends the Auth ID %s of %s with a password, and that has a certificate_name alone.", quoted(sent), x.peerName()),
			fmt.Sprintf("Let the phone show its certificate, over TLS, and clear its password; or add a secret to %s and reload.", x.place())
	case hasOneDigest(x.peer):
		return cause, fmt.Sprintf("Type the password anew into the phone. If it is right, the password_digest of %s was made for another realm or authname: "+
			"sipregctl digest %s makes a new one.", x.place(), shellQuote(x.peer.Label))
	}
	return cause, fmt.Sprintf("Type the password anew into the phone: it is the secret of %s. Capitals and blanks count.", x.place())
}

// hasOneDigest tells whether the peer has a password_digest: of a secret all
// digests are known.
func hasOneDigest(p *peers.Peer) bool {
	for _, realm := range p.Realms() {
		if a1, _ := p.A1(realm); p.HasSecret() && (!a1.Has(digest.MD5) || !a1.Has(digest.SHA256)) {
			return true
		}
	}
	return false
}

func (x explainer) wrongRealm() (cause, cure string) {
	const between = "; the realm here is "
	theirs, ours := x.event.Detail, ""
	if at := strings.LastIndex(x.event.Detail, between); at >= 0 {
		theirs, ours = x.event.Detail[:at], x.event.Detail[at+len(between):]
	}
	if slices.Contains(x.directory.Domains().Names(), theirs) {
		return fmt.Sprintf("The phone answers a challenge of the realm %s, and its request is for the domain of the realm %s.", quoted(theirs), quoted(ours)),
			"Set the phone's Domain and Realm so that they agree, or clear its Realm setting."
	}
	return fmt.Sprintf("The phone answers a challenge of the realm %s, as of another server. The realm here is %s.", quoted(theirs), quoted(ours)),
		fmt.Sprintf("Clear the phone's Realm setting, or set it to %s.", shown(ours))
}

func (x explainer) wrongDigestURI() (cause, cure string) {
	return fmt.Sprintf("The phone's digest is over the URI %s, and its request is for another one.", quoted(x.event.Detail)), x.event.Reason.Advice()
}

func (x explainer) wrongAlgorithm() (cause, cure string) {
	detail := printable(x.event.Detail)
	cause = fmt.Sprintf("The phone answers with an algorithm that it may not use: %s.", detail)
	switch {
	case strings.HasPrefix(detail, "qop "):
		return fmt.Sprintf("The phone's answer is of a kind that it may not be: %s.", detail), "Set the phone's qop to auth, or look for newer firmware."
	case strings.HasSuffix(detail, "[registrar] algorithms"):
		return cause, "Let the phone use one that is in [registrar] algorithms. Or, if it is MD5 or SHA-256, add it there in sipregd.conf and restart."
	case strings.Contains(detail, "password_digest"):
		return cause, fmt.Sprintf("Let the phone use that algorithm, or add a password_digest of the other one to %s and reload: sipregctl digest %s makes it.",
			x.place(), x.labelForShell())
	}
	return cause, fmt.Sprintf("Let the phone use that algorithm, or change algorithm in %s, or take the line out, and reload.", x.place())
}

func (x explainer) labelForShell() string {
	if x.peer == nil {
		return shellQuote(x.event.Label)
	}
	return shellQuote(x.peer.Label)
}

// unknownAuthname tells who the phone may have meant to be.
func (x explainer) unknownAuthname() (cause, cure string) {
	name := x.event.Authname
	switch {
	case x.peer != nil:
		return fmt.Sprintf("The phone has sent %s as its Auth ID, and no peer had that authname then.", quoted(name)), x.nothingMore()
	case x.event.Detail != "":
		return fmt.Sprintf("The phone sends the Auth ID %s, which is of another domain: %s.", quoted(name), printable(x.event.Detail)),
			"Set the phone's Domain to that of the peer, or domain in the peer to the one that the phone uses, and reload."
	}
	sends := fmt.Sprintf("The phone sends %s as its Auth ID, and no peer has that authname.", quoted(name))
	if named := x.namedAs(name); len(named) > 0 {
		return fmt.Sprintf("%s But it is the aorname of %s: the phone sends its User ID as Auth ID.", sends, labels(named)), x.setAuthname(named)
	}
	if p := x.names.withLabel(name); p != nil {
		return fmt.Sprintf("%s But it is the label of %s, which no phone has to know.", sends, p), x.setAuthname([]*peers.Peer{p})
	}
	if almost, difference := x.almost(); len(almost) > 0 {
		return fmt.Sprintf("%s But %s has authname = %s: %s.", sends, almost[0], almost[0].Authname, difference), x.setAuthname(almost)
	}
	if binders := x.names.binders(x.event.AOR); len(binders) > 0 {
		return fmt.Sprintf("%s It wants to register %s, which belongs to %s.", sends, x.aor(), labels(binders)), x.setAuthname(binders)
	}
	if x.event.AOR.User == "" {
		return sends, "Set the phone's User ID, Auth ID and password: it registers no name at all."
	}
	return fmt.Sprintf("%s Nor has one %s in its aorname.", sends, x.aor()),
		fmt.Sprintf("If you know the phone at %s, add a peer to peers.conf with %s, its secret and aorname = %s, and reload. "+
			"If not, a stranger is trying names, and nothing is to be done.", x.source(), asAuthname(name), written(x.event.AOR))
}

// namedAs returns the peers that have the authname as their aorname.
func (x explainer) namedAs(name string) []*peers.Peer {
	if binders := x.names.binders(x.directory.ReadAOR(name)); len(binders) > 0 {
		return binders
	}
	return x.names.binders(sipuri.AOR{User: name, Domain: x.event.AOR.Domain})
}

// almost returns the peers whose authname differs little from what the phone sent,
// and in what.
func (x explainer) almost() (almost []*peers.Peer, difference string) {
	name := x.event.Authname
	if same := x.names.withAuthname(name); len(same) > 0 {
		return same, "small letters and capitals are not the same"
	}
	if bare := strings.TrimSpace(name); bare != name {
		return x.names.withAuthname(bare), "blanks around it count"
	}
	bare, _, hasHost := strings.Cut(name, "@")
	if !hasHost {
		return nil, ""
	}
	return x.names.withAuthname(bare), "nothing may stand behind it but its realm or domain, and that only with a secret"
}

// setAuthname says how to make the authname and the phone's Auth ID the same.
func (x explainer) setAuthname(owners []*peers.Peer) string {
	if len(owners) > 1 {
		return fmt.Sprintf("Set the phone's Auth ID to the authname of its peer (on Cisco/Sipura with Use Auth ID = yes): %s.",
			listed(owners, func(p *peers.Peer) string { return p.Authname + " of " + x.placeOf(p) }))
	}
	p, anew := owners[0], ""
	if hasOneDigest(p) {
		anew = ", make its password_digest anew,"
	}
	onPhone := fmt.Sprintf("Set the phone's Auth ID to %s (on Cisco/Sipura with Use Auth ID = yes)", p.Authname)
	if !isAuthname(x.event.Authname) {
		return onPhone + "."
	}
	return fmt.Sprintf("%s, or set authname = %s in %s%s and reload.", onPhone, x.event.Authname, x.placeOf(p), anew)
}
