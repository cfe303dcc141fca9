package journal

import "fmt"

// Reason is why it happened: one of a closed list.
type Reason uint8

// The reasons. None is that of what succeeds.
const (
	None Reason = iota
	Malformed
	MethodNotAllowed
	SchemeNotSupported
	SIPSWithoutTLS
	TLSFailed
	DomainNotServed
	ExtensionNotSupported
	BodyNotUnderstood
	UnknownAuthname
	WrongSecret
	WrongRealm
	WrongDigestURI
	WrongAlgorithm
	StaleNonce
	Replay
	PeerDisabled
	SourceNotPermitted
	AORNotListed
	TooManyContacts
	ExpiryTooBrief
	CSeqNotRising
	WildcardMisused
	ContactGivenTwice
	OutboundMisused
	FirstHopWithoutOutbound
	ContactIsGRUU
	ContactMisleads
	TooManyAORs
	LoopOrMerge
	StoreFailed
	Banned
	TooManyRequests
	TooManyGuesses
	EventNotSupported
	BodyNotAccepted
	WatcherNotPermitted
	TooManySubscriptions
	SubscriptionUnknown
	NotRegistered
	NoSuchAOR
	CallerNotRegistered
	NoAnswer
	NotifyRefused
	ByPhone
	ByAdministrator
	ByConfiguration
	ByNewerContact
	ByItself
	NoLongerRefreshed
	StreamGone
)

const reasonCount = StreamGone + 1

// reasons holds of each its name, as it stands in the field "reason" of a log
// line, and a sentence of advice.
var reasons = [...]struct{ name, advice string }{
	Malformed: {"malformed",
		"The phone, or something between it and here, sends what is no sound SIP: look for newer firmware, and switch off any SIP ALG of the router."},
	MethodNotAllowed: {"method_not_allowed",
		"This is a registrar and no proxy: point calls, messages and subscriptions of the phone at the PBX. Or set redirect = yes in [calls] of sipregd.conf, and phones are told where to call."},
	SchemeNotSupported: {"scheme_not_supported",
		"Write the addresses in the phone as sip: URIs, or as plain names and numbers."},
	SIPSWithoutTLS: {"sips_without_tls",
		"Set the phone's transport to TLS, or switch its sips: addresses (often named SIPS, or secure signaling) off."},
	TLSFailed: {"tls_failed",
		"Have the phone trust whoever signed this server's certificate, use a host name that is in it, and speak TLS 1.2 or newer."},
	DomainNotServed: {"domain_not_served",
		"Add the host that the phone uses to [registrar] domain of sipregd.conf and restart, or set the phone's Domain to one that is served."},
	ExtensionNotSupported: {"extension_not_supported",
		"Switch that extension off in the phone: it requires what this registrar does not do."},
	BodyNotUnderstood: {"body_not_understood",
		"Switch off whatever makes the phone put a body into its REGISTER."},
	UnknownAuthname: {"unknown_authname",
		"Set the phone's Auth ID to the authname of its peer, or add a peer with that authname to peers.conf and reload."},
	WrongSecret: {"wrong_secret",
		"Type the password anew into the phone, or correct the secret of the peer in peers.conf and reload."},
	WrongRealm: {"wrong_realm",
		"Clear the phone's Realm setting, or set it to the realm of this server."},
	WrongDigestURI: {"digest_over_another_uri",
		"Set the phone's Domain, Registrar and Outbound Proxy so that they agree, and switch off any SIP ALG of the router: the request was changed on its way, or its digest is for another server."},
	WrongAlgorithm: {"algorithm_not_offered",
		"Let the phone use an algorithm that its peer may answer with, or change the peer's algorithm in peers.conf."},
	StaleNonce: {"stale_nonce",
		"Once is no failure, the phone asks again by itself. Over and over it is: look for newer firmware, or set [security] nonce_lifetime higher than the time that the phone takes."},
	Replay: {"nonce_count_replayed",
		"A phone that does not count its requests asks again by itself; from an unknown source it is a captured request, and nothing is to be done."},
	PeerDisabled: {"peer_disabled",
		"Set enabled = yes in the peer, or take the line out, and reload."},
	SourceNotPermitted: {"source_not_permitted",
		"Add the phone's network to permit of its peer and reload, or have the phone come from where it may."},
	AORNotListed: {"aor_not_of_this_peer",
		"Add the address to aorname of the peer and reload, or set the phone's User ID to one that the peer has."},
	TooManyContacts: {"too_many_contacts",
		"Raise max_contacts, or remove a binding that is not needed any more."},
	ExpiryTooBrief: {"expiry_too_brief",
		"As a rule the phone asks again for longer by itself. If not, raise its registration interval, or lower minimum_expiration."},
	CSeqNotRising: {"cseq_not_rising",
		"An older request came late, or the phone has rebooted with its old Call-ID: remove its binding with sipregctl remove, wait until it expires, or set cseq_reset = yes."},
	WildcardMisused: {"contact_wildcard_misused",
		"Look for newer firmware: a Contact of * is for removing all bindings and has to stand alone with Expires: 0."},
	ContactGivenTwice: {"contact_given_twice",
		"Look for newer firmware: the phone asks for two expirations of one Contact."},
	OutboundMisused: {"reg_id_misused",
		"Look for newer firmware: the phone registers several flows (reg-id) in one request, which RFC 5626 has it do one by one."},
	FirstHopWithoutOutbound: {"first_hop_without_outbound",
		"As a rule the phone asks again without it. If not, switch outbound (RFC 5626, reg-id) off in the phone, or have the proxy between add a Path with ;ob."},
	ContactIsGRUU: {"contact_is_gruu",
		"Look for newer firmware: the phone registers an address that this registrar gave it (a GRUU) as its Contact, which makes a loop."},
	ContactMisleads: {"contact_not_allowed",
		"Look what the phone takes for its own address: switch its STUN and its setting of a public address off, and any SIP ALG of the router. Nobody can be reached by the address that it gives."},
	TooManyAORs: {"too_many_aors",
		"If the peer is to have that many addresses, raise max_aors in its section of peers.conf and reload. If not, look who has its secret."},
	LoopOrMerge: {"same_request_by_two_ways",
		"Have the phone's requests come here by one way: two proxies, or a loop, double them."},
	StoreFailed: {"store_failed",
		"Mend the disk, or make room on it, or have Redis run: sipregctl stats and the log say what is wrong. The phone asks again."},
	Banned: {"banned",
		"Lift the ban with sipregctl ban remove, once the cause is gone."},
	TooManyRequests: {"too_many_requests",
		"If these are phones of yours, nothing is to be done as a rule: they ask again, and get in. If that happens often, raise the rate in [security] of sipregd.conf that the detail names and restart, or have trusted there name the PBX or proxy that they come by."},
	TooManyGuesses: {"too_many_guesses",
		"Type the password anew into the phone that goes on trying: it gets in within some seconds. If no phone of yours does so, somebody guesses, and nothing is to be done."},
	EventNotSupported: {"event_not_supported",
		"Switch that subscription of the phone off, or have it go to the PBX: of event packages there is reg alone, by which one follows registrations."},
	BodyNotAccepted: {"body_not_accepted",
		"Have whoever subscribes take application/reginfo+xml: what is told of registrations is in no other form."},
	WatcherNotPermitted: {"watcher_not_permitted",
		"A peer may watch the addresses that it may register. For a PBX or a proxy that is to watch others add its network to permit in [calls] of sipregd.conf and restart."},
	TooManySubscriptions: {"too_many_subscriptions",
		"Raise the limit in [calls] of sipregd.conf that the detail names and restart, if these are watchers of yours."},
	SubscriptionUnknown: {"subscription_unknown",
		"Nothing is to be done: whoever subscribed does so anew. Subscriptions end when the daemon does."},
	NotRegistered: {"not_registered",
		"Look why the phone that was called is not registered: sipregctl why with its address says so. To have another one answer meanwhile, set defaultname and defaulthost in its peer."},
	NoSuchAOR: {"no_such_aor",
		"Look what was dialled: no peer has that address. If one is to have it, add it to its aorname in peers.conf and reload."},
	CallerNotRegistered: {"caller_not_registered",
		"Have the calling phone register first. If it is a PBX or a proxy, add its address to permit in [calls] of sipregd.conf and restart."},
	NoAnswer: {"no_answer",
		"Look whether the phone is on, and awake. If it is, the way to it through a NAT is lost: switch the phone's keepalive on, or lower qualify_frequency. For one that never answers OPTIONS set qualify_frequency = 0."},
	NotifyRefused: {"notify_refused",
		"Nothing is to be done as a rule: who has subscribed does not know its subscription any more, as after a restart. If it often is so, look at its log."},
	ByPhone: {"by_phone",
		"Nothing is to be done: the phone has unregistered."},
	ByAdministrator: {"by_administrator",
		"Nothing is to be done: somebody has removed it, and the phone comes back at its next refresh."},
	ByConfiguration: {"peer_changed",
		"Nothing is to be done, if peers.conf is as it should be: the peer is gone, or may not have the address any more."},
	ByNewerContact: {"newer_contact",
		"If both phones are to stay, raise max_contacts."},
	ByItself: {"same_phone",
		"Nothing is to be done: the same phone has come with another address, which took the place of this one."},
	NoLongerRefreshed: {"not_refreshed",
		"Look whether the phone has power and network: it did not come back in time."},
	StreamGone: {"stream_gone",
		"Nothing is to be done as a rule: the phone registers anew, as soon as it sees that its connection is gone. If it often is, look at the network, and at time limits of the routers between."},
}

// Reasons returns all reasons.
func Reasons() []Reason {
	var all []Reason
	for i := Malformed; int(i) < len(reasons); i++ {
		all = append(all, i)
	}
	return all
}

// String returns the name, such as "wrong_secret", empty for none.
func (r Reason) String() string { return reasons[r].name }

// Advice returns a sentence for the administrator on what helps, empty for none.
func (r Reason) Advice() string { return reasons[r].advice }

// Refuses tells whether it is a reason for which requests are refused.
func (r Reason) Refuses() bool { return r > None && r < NoAnswer }

// EndsBinding tells whether it is a reason for which bindings end.
func (r Reason) EndsBinding() bool { return r >= ByPhone }

// MarshalText returns the name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText undoes MarshalText.
func (r *Reason) UnmarshalText(text []byte) error {
	*r = 0
	if len(text) == 0 {
		return nil
	}
	for _, reason := range Reasons() {
		if reason.String() == string(text) {
			*r = reason
			return nil
		}
	}
	return fmt.Errorf("%q is no reason", text)
}
