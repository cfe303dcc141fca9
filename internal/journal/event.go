// Package journal takes down what the registrar decided and why.
package journal

import (
	"net/netip"

	"sipregd/internal/sipuri"
)

// Kind is what happened.
type Kind string

// The kinds of events, as they stand in the field "event" of a log line.
const (
	Added      Kind = "added"      // a binding
	Refreshed  Kind = "refreshed"  // a binding
	Removed    Kind = "removed"    // a binding, by its phone or by a change of peers.conf
	Replaced   Kind = "replaced"   // a binding, to make room for a newer one
	Expired    Kind = "expired"    // a binding
	Listed     Kind = "listed"     // the bindings of an AOR, for a request that changes nothing
	Challenged Kind = "challenged" // a request without credentials: no failure
	Refused    Kind = "refused"    // a request
)

// Reason is why it happened: one of a closed list.
type Reason string

// The reasons, as they stand in the field "reason" of a log line.
const (
	Malformed             Reason = "malformed"
	MethodNotAllowed      Reason = "method_not_allowed"
	SchemeNotSupported    Reason = "scheme_not_supported"
	DomainNotServed       Reason = "domain_not_served"
	ExtensionNotSupported Reason = "extension_not_supported"
	BodyNotUnderstood     Reason = "body_not_understood"
	UnknownAuthname       Reason = "unknown_authname"
	WrongSecret           Reason = "wrong_secret"
	WrongRealm            Reason = "wrong_realm"
	WrongDigestURI        Reason = "digest_over_another_uri"
	WrongAlgorithm        Reason = "algorithm_not_offered"
	StaleNonce            Reason = "stale_nonce"
	Replay                Reason = "nonce_count_replayed"
	PeerDisabled          Reason = "peer_disabled"
	SourceNotPermitted    Reason = "source_not_permitted"
	AORNotListed          Reason = "aor_not_of_this_peer"
	TooManyContacts       Reason = "too_many_contacts"
	ExpiryTooBrief        Reason = "expiry_too_brief"
	CSeqNotRising         Reason = "cseq_not_rising"
	WildcardMisused       Reason = "contact_wildcard_misused"
	ContactGivenTwice     Reason = "contact_given_twice"
	LoopOrMerge           Reason = "same_request_by_two_ways"
	StoreFailed           Reason = "store_failed"
	ByPhone               Reason = "by_phone"
	ByConfiguration       Reason = "peer_changed"
	ByNewerContact        Reason = "newer_contact"
	NoLongerRefreshed     Reason = "not_refreshed"
	StreamGone            Reason = "stream_gone"
)

// Event is one decision. Empty fields do not apply. All text may come from
// the network: who shows it has to escape it.
type Event struct {
	Kind      Kind
	Reason    Reason
	Source    netip.AddrPort
	Transport string
	Authname  string
	Label     string // of the peer, where it proved who it is
	AOR       sipuri.AOR
	Contact   string
	Expires   int64 // seconds granted
	UserAgent string
	CallID    string
	Status    int    // of a refusal's response
	Detail    string // what exactly, for people
}

// Journal takes events down. It must not block for long, and keep no text of an
// event: those of a request go with it.
type Journal interface {
	Record(Event)
}
