package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// kitchenMD5: printf '%s' '7f3a9c:sipregd:s' | md5sum
const kitchenMD5 = "5a1bf9a1b5f4e5d6c7b8a90102030405"

// explainedOne returns cause and cure of one event.
func explainedOne(t *testing.T, directory *peers.Directory, e journal.Event) (cause, cure string) {
	t.Helper()
	got := attemptsOf([]journal.Event{e}, directory, now)
	if len(got) != 1 {
		t.Fatalf("%d attempts", len(got))
	}
	return got[0].Cause, got[0].Cure
}

// as returns the event with that authname.
func as(authname string, e journal.Event) journal.Event {
	e.Authname = authname
	return e
}

// proved returns the event of a peer that proved itself.
func proved(label string, e journal.Event) journal.Event {
	e.Label = label
	return e
}

// to returns the event with that AOR.
func to(user, domain string, e journal.Event) journal.Event {
	e.AOR = sipuri.AOR{User: user, Domain: domain}
	return e
}

// contact returns the event of that binding.
func contact(uri string, e journal.Event) journal.Event {
	e.Contact, e.Expires = uri, 60
	return e
}

const office = kitchen + `
[Front desk]
authname = frontdesk
password_digest = MD5:` + kitchenMD5 + `
aorname = 2002, 2003

[Workshop]
authname = b41d77
secret = s
aorname = 2001

[Lab]
authname = lab
secret = s
aorname = *

[Closed]
authname = closed
secret = s
aorname = 2009, 2003
enabled = no

[PBX]
authname = pbx
secret = s
aorname = 1, 2, 3, 4, 5, 6, 7
permit = 198.51.100.0/24
remove_existing = no

[Attic]
authname = attic
secret = s
aorname = 2010
cseq_reset = yes

[Barn]
authname = barn
certificate_name = barn.example.com
aorname = 2011
`

// Where $ stands, the path of peers.conf does.
func TestExplain(t *testing.T) {
	unknown := refused(60, "a", journal.UnknownAuthname)
	wrong := refused(60, "a", journal.WrongSecret)
	notListed := proved("Kitchen", refused(60, "a", journal.AORNotListed))
	algorithm := refused(60, "a", journal.WrongAlgorithm)
	tests := []struct {
		story       string
		event       journal.Event
		cause, cure string
	}{
		{"registered", contact("sip:k@192.0.2.7", added(60, "a")),
			"Registered: 2001 is bound to sip:k@192.0.2.7 for 60 seconds.", ""},
		{"unregistered", contact("sip:k@192.0.2.7", of(60, "a", journal.Removed, journal.ByPhone)),
			"The binding of 2001 to sip:k@192.0.2.7 was removed: the phone has unregistered.", ""},
		{"removed here", contact("sip:k@192.0.2.7", of(60, "a", journal.Removed, journal.ByAdministrator)),
			"The binding of 2001 to sip:k@192.0.2.7 was removed: somebody has removed it here.",
			"Nothing is to be done: the phone comes back at its next refresh. To have it at once, restart the phone."},
		{"replaced", contact("sip:k@192.0.2.7", proved("Kitchen", of(60, "a", journal.Replaced, journal.ByNewerContact))),
			"The binding of 2001 to sip:k@192.0.2.7 was replaced: max_contacts is reached, and a newer one has taken its place.",
			"If both phones are to stay, raise max_contacts in [Kitchen] ($:1) and reload."},
		{"expired", contact("sip:k@192.0.2.7", of(60, "a", journal.Expired, journal.NoLongerRefreshed)),
			"The binding of 2001 to sip:k@192.0.2.7 has expired: the phone did not refresh it in time.",
			"Look whether the phone has power and network: it did not come back in time."},
		{"TLS of a stranger's CA", with(`its client certificate "CN=gw" is not taken: x509: certificate signed by unknown authority`, of(60, "", journal.Refused, journal.TLSFailed)),
			"with 192.0.2.7: its client certificate", "signed by one in [listen] client_ca"},
		{"TLS that the phone does not trust", with("remote error: tls: bad certificate", of(60, "", journal.Refused, journal.TLSFailed)),
			"remote error: tls: bad certificate.", "have it trust whoever signed that"},
		{"TLS that waits", with("the handshake was begun and not finished in 32 s", of(60, "", journal.Refused, journal.TLSFailed)),
			"not finished in 32 s.", "[listen] mutual_tls"},
		{"no TLS at all", with("tls: first record does not look like a TLS handshake", of(60, "", journal.Refused, journal.TLSFailed)),
			"first record", "set the phone's transport to TLS"},
		{"TLS of another kind", with("tls: something", of(60, "", journal.Refused, journal.TLSFailed)), "tls: something.", "Have the phone trust"},
		{"does not answer", contact("sip:k@192.0.2.7", with("no answer to OPTIONS for 3 s", proved("Kitchen", of(60, "a", journal.Unreachable, journal.NoAnswer)))),
			"2001 is registered at sip:k@192.0.2.7, but the phone does not answer: asked at 192.0.2.7:5060 over UDP, there was no answer to OPTIONS for 3 s.",
			"switch the phone's keepalive on, or lower qualify_frequency in [Kitchen] ($:1) and reload. For a phone that never answers OPTIONS set qualify_frequency = 0 there."},
		{"its connection is gone", contact("sip:k@192.0.2.7", with("its connection is gone", of(60, "a", journal.Unreachable, journal.StreamGone))),
			"2001 is registered at sip:k@192.0.2.7, but the phone cannot be reached there: its connection (UDP) is gone.",
			"To have it at once, restart the phone."},
		{"answers again", contact("sip:k@192.0.2.7", with("it answers, after 20.0 ms", of(60, "a", journal.Reachable, journal.None))),
			"The phone of 2001 at sip:k@192.0.2.7 can be reached again: it answers, after 20.0 ms.", ""},

		{"unknown, the aorname of one", as("2002", unknown),
			`The phone sends "2002" as its Auth ID, and no peer has that authname. But it is the aorname of [Front desk]: the phone sends its User ID as Auth ID.`,
			"Set the phone's Auth ID to frontdesk (on Cisco/Sipura with Use Auth ID = yes), " +
				"or set authname = 2002 in [Front desk] ($:6), make its password_digest anew, and reload."},
		{"unknown, the aorname of two", as("2001", unknown),
			"the aorname of [Kitchen], [Workshop]:",
			"Set the phone's Auth ID to the authname of its peer (on Cisco/Sipura with Use Auth ID = yes): 7f3a9c of [Kitchen] ($:1), b41d77 of [Workshop] ($:11)."},
		{"unknown, the aorname of one that is disabled", as("2009", unknown),
			"But it is the aorname of [Closed]: the phone sends its User ID as Auth ID.", "Set the phone's Auth ID to closed"},
		{"unknown, a label", as("FRONT DESK", unknown),
			`The phone sends "FRONT DESK" as its Auth ID, and no peer has that authname. But it is the label of [Front desk], which no phone has to know.`,
			"Set the phone's Auth ID to frontdesk"},
		{"unknown, capitals", as("FrontDesk", unknown),
			"But [Front desk] has authname = frontdesk: small letters and capitals are not the same.", "Set the phone's Auth ID to frontdesk"},
		{"unknown, with a realm", as("frontdesk@sip.example.com", unknown),
			"But [Front desk] has authname = frontdesk: nothing may stand behind it but its realm or domain, and that only with a secret.", "Set the phone's Auth ID to frontdesk"},
		{"unknown, with a blank", as("frontdesk ", unknown),
			"But [Front desk] has authname = frontdesk: blanks around it count.", "Set the phone's Auth ID to frontdesk"},
		{"unknown, for somebody's address", to("2003", "", as("what", unknown)),
			"It wants to register 2003, which belongs to [Front desk].", "or set authname = what in [Front desk] ($:6)"},
		{"unknown, of nobody", to("2999", "", as("what", unknown)),
			`The phone sends "what" as its Auth ID, and no peer has that authname. Nor has one 2999 in its aorname.`,
			"If you know the phone at 192.0.2.7, add a peer to peers.conf with authname = what, its secret and aorname = 2999, and reload. " +
				"If not, a stranger is trying names, and nothing is to be done."},
		{"unknown, of no name", to("", "", as("", unknown)),
			`The phone sends "" as its Auth ID, and no peer has that authname.`,
			"Set the phone's User ID, Auth ID and password: it registers no name at all."},
		{"unknown then, known now", as("frontdesk", unknown),
			`The phone has sent "frontdesk" as its Auth ID, and no peer had that authname then.`,
			"Nothing more is to be done: with [Front desk] ($:6) as it is now, the phone gets in when it tries again."},

		{"wrong secret", wrong,
			`The phone sends the Auth ID "7f3a9c" of [Kitchen] with a wrong password.`,
			"Type the password anew into the phone: it is the secret of [Kitchen] ($:1). Capitals and blanks count."},
		{"wrong secret, of a digest", as("frontdesk", wrong),
			`The phone sends the Auth ID "frontdesk" of [Front desk] with a wrong password.`,
			"Type the password anew into the phone. If it is right, the password_digest of [Front desk] ($:6) was made for another realm or authname: " +
				"sipregctl digest 'Front desk' makes a new one."},
		{"wrong secret, of one that is gone", as("gone", wrong),
			`The phone has sent the Auth ID "gone" with a wrong password, and no peer has that authname any more.`,
			"If the phone at 192.0.2.7 is yours, add its peer to peers.conf again and reload."},

		{"wrong realm", with("Office; the realm here is x; the realm here is sipregd", refused(60, "a", journal.WrongRealm)),
			`The phone answers a challenge of the realm "Office; the realm here is x", as of another server. The realm here is "sipregd".`,
			"Clear the phone's Realm setting, or set it to sipregd."},
		{"wrong digest URI", with("sip:elsewhere", refused(60, "a", journal.WrongDigestURI)),
			`The phone's digest is over the URI "sip:elsewhere", and its request is for another one.`, "so that they agree"},
		{"algorithm not offered", with("SHA-512 is not in [registrar] algorithms", algorithm),
			"The phone answers with an algorithm that it may not use: SHA-512 is not in [registrar] algorithms.",
			"Let the phone use one that is in [registrar] algorithms. Or, if it is MD5 or SHA-256, add it there in sipregd.conf and restart."},
		{"algorithm of the peer", with("MD5; this peer has algorithm = SHA-256", algorithm),
			"The phone answers with an algorithm that it may not use: MD5; this peer has algorithm = SHA-256.",
			"Let the phone use that algorithm, or change algorithm in [Kitchen] ($:1), or take the line out, and reload."},
		{"algorithm of the digest", as("frontdesk", with("SHA-256; this peer's password_digest is of MD5", algorithm)),
			"this peer's password_digest is of MD5.",
			"or add a password_digest of the other one to [Front desk] ($:6) and reload: sipregctl digest 'Front desk' makes it."},
		{"qop not offered", with("qop auth-int is not offered", algorithm),
			"qop auth-int is not offered.", "Set the phone's qop to auth"},

		{"not answered", challenged(60, "a"),
			"The phone was challenged (401) and never answered: it has not sent a password for 2001.",
			"Enter Auth ID and password into the phone: one that has none, or had a wrong one, gives up in silence. " +
				"If it has them, the 401 does not reach it: it goes to 192.0.2.7 over UDP, where a NAT, a packet filter or a SIP ALG may lose it."},
		{"not answered, a call", with("by INVITE", challenged(60, "a")),
			"A caller at 192.0.2.7, 2001 by its own words, was challenged (401) for INVITE and never answered: it has not sent a password.",
			"add its address to permit in [calls] of sipregd.conf and restart."},
		{"redirected", contact("sip:k@192.0.2.9", to("2002", "", with("by INVITE to 2 Contacts", proved("Kitchen", of(60, "a", journal.Redirected, journal.None))))),
			"[Kitchen] asked for 2002 (INVITE), and was told to go to sip:k@192.0.2.9.", "the caller does not follow what it is told (302)"},
		{"called in vain", to("2002", "", with("by INVITE", proved("Kitchen", refused(60, "a", journal.NotRegistered)))),
			"[Kitchen] asked for 2002 (INVITE), and no phone was registered there: it belongs to [Front desk].",
			"sipregctl why 2002 says why its phone is not registered. To have another address answer meanwhile, set defaultname and defaulthost in [Front desk] ($:6) and reload."},
		{"called in vain, by a proxy", to("2002", "", with("by MESSAGE; its phone is reached by its connection alone", as("", refused(60, "a", journal.NotRegistered)))),
			"Somebody at 192.0.2.7 asked for 2002 (MESSAGE), and no phone could be reached there: its phone is reached by its connection alone.", "Call that phone by a proxy"},
		{"called by its Contact", to("2002", "", with("by INVITE; its Contact is what was called", proved("Kitchen", refused(60, "a", journal.NotRegistered)))),
			"no phone could be reached there: its Contact is what was called.", "Take this server out of the Outbound Proxy setting of the caller"},
		{"called, nobody's", to("2999", "", with("by INVITE", proved("Kitchen", refused(60, "a", journal.NoSuchAOR)))),
			"[Kitchen] asked for 2999 (INVITE), and no peer has that in its aorname.", "add aorname = 2999 to its section"},
		{"called, an authname", to("frontdesk", "", with("by INVITE", proved("Kitchen", refused(60, "a", journal.NoSuchAOR)))),
			"But it is the authname of [Front desk].", "Dial what it has as aorname: 2002, 2003."},
		{"called, a label", to("attic", "", with("by INVITE", proved("Kitchen", refused(60, "a", journal.NoSuchAOR)))),
			"But it is the label of [Attic], which nobody has to know.", "Dial what it has as aorname: 2010."},
		{"called by one that is not registered", to("2002", "", with("by INVITE", proved("Kitchen", refused(60, "a", journal.CallerNotRegistered)))),
			"[Kitchen] has proved who it is and asked for 2002 (INVITE), but is not registered itself", "sipregctl why Kitchen says why it is not."},
		{"not answered, with a certificate", with("no peer has a name of the certificate: gw", challenged(60, "a")),
			`it has not sent a password for 2001. Nor does its certificate stand for a peer: no peer has a name of the certificate: gw.`,
			"Enter Auth ID and password into the phone, or write a name of its certificate as certificate_name into its peer and reload."},
		{"a password instead of a certificate", as("barn", wrong), `The phone sends the Auth ID "barn" of [Barn] with a password, and that has a certificate_name alone.`,
			"Let the phone show its certificate, over TLS, and clear its password; or add a secret to [Barn] ("},
		{"unknown, the aorname of one with a certificate", as("2011", unknown), "But it is the aorname of [Barn]", "or set authname = 2011 in [Barn] ($:40) and reload."},
		{"reloaded, with another certificate", proved("Barn", to("2011", "", as("barn", of(60, "a", journal.Removed, journal.ByConfiguration)))),
			"[Barn] has another certificate_name, or has lost its secret.", "Let the phone show a certificate with a name that [Barn] ("},
		{"not answered, by a stranger", to("2999", "", challenged(60, "a")),
			"it has not sent a password for 2999. No peer has that in its aorname.", ""},
		{"not answered, for any address", to("2999", "", proved("Lab", as("lab", refused(60, "a", journal.StaleNonce)))),
			"The phone has answered a challenge that was too old, was challenged anew (401, stale=true), and never answered that, for 2999.",
			"it goes to 192.0.2.7 over UDP."},
		{"used credentials", refused(60, "a", journal.Replay),
			"The credentials are the same as in an earlier request. They were challenged anew, and nothing has come of that.",
			"If the phone at 192.0.2.7 is yours, look for newer firmware"},

		{"not listed, of nobody", to("2999", "", with("aorname is 2001", notListed)),
			"[Kitchen] has proved who it is, but may not register 2999: its aorname was 2001.",
			"Set the phone's User ID to 2001. Or add 2999 to the list of [Kitchen] ($:1): aorname = 2001, 2999, and reload."},
		{"not listed, of others", to("2002", "", with("aorname is 2001", notListed)),
			"its aorname was 2001. 2002 belongs to [Front desk].", ""},
		{"not listed, of many", to("2999", "", proved("PBX", as("pbx", with("aorname is 1, 2", notListed)))),
			"[PBX] has proved who it is", "Set the phone's User ID to one of 1, 2, 3, 4, 5, …. Or add 2999 to aorname of [PBX] ("},
		{"not listed, of two", to("2999", "", proved("Front desk", as("frontdesk", with("aorname is 2002, 2003", notListed)))),
			"its aorname was 2002, 2003.", "Set the phone's User ID to one of 2002, 2003. Or add 2999 to the list"},
		{"not listed, for any", to("2001", "", proved("Lab", as("lab", with("aorname is ", notListed)))),
			"[Lab] has proved who it is, but may not register 2001: its aorname was *, which is what no other peer names. 2001 belongs to [Kitchen], [Workshop].",
			"Add aorname = 2001 to [Lab] ("},
		{"not listed, odd", to("a b,c", "", with("aorname is 2001", notListed)),
			`may not register "a b,c": its`, "aorname = 2001, a%20b%2Cc, and reload."},
		{"not listed, empty", to("", "", with("aorname is 2001", notListed)),
			"may not register an address without a name: its", "Set the phone's User ID: it is empty."},
		{"not listed, of one that is gone", to("2999", "", proved("Gone", as("gone", with("aorname is 1", notListed)))),
			"[Gone] has proved who it is, but may not register 2999: its aorname was 1.",
			"Add aorname = 2999 to [Gone], which peers.conf does not have any more, or 2999 to its list, and reload."},
		{"not listed then, listed now", with("aorname is 7", notListed),
			"may not register 2001: its aorname was 7.", "Nothing more is to be done: with [Kitchen] ($:1) as it is now, the phone gets in when it tries again."},

		{"disabled", proved("Closed", as("closed", refused(60, "a", journal.PeerDisabled))),
			"[Closed] has proved who it is, but it had enabled = no.", "Set enabled = yes in [Closed] ("},
		{"disabled then", proved("Kitchen", refused(60, "a", journal.PeerDisabled)),
			"[Kitchen] has proved who it is, but it had enabled = no.", "Nothing more is to be done"},
		{"not permitted", proved("PBX", as("pbx", with("permit is 198.51.100.0/24", refused(60, "a", journal.SourceNotPermitted)))),
			"[PBX] has proved who it is, but comes from 192.0.2.7: its permit is 198.51.100.0/24.",
			"Add 192.0.2.7, or its network, to permit in [PBX] ("},
		{"not permitted then", proved("Kitchen", with("permit is 198.51.100.0/24", refused(60, "a", journal.SourceNotPermitted))),
			"its permit is 198.51.100.0/24.", "Nothing more is to be done"},

		{"too many", to("7", "", proved("PBX", as("pbx", with("max_contacts is 1", refused(60, "a", journal.TooManyContacts))))),
			"7 is bound to as many Contacts as it may be: max_contacts is 1.",
			"sipregctl contacts 7 shows them, and sipregctl remove takes one away. Or raise max_contacts in [PBX] ("},
		{"too many at once", proved("Kitchen", with("max_contacts is 1", refused(60, "a", journal.TooManyContacts))),
			"The phone brings more Contacts for 2001 at once than it may have: max_contacts is 1.",
			"Or raise max_contacts in [Kitchen] ($:1), and reload."},
		{"too brief", proved("Kitchen", with("5; the minimum is 60", refused(60, "a", journal.ExpiryTooBrief))),
			"The phone asks to be registered for 5 seconds, and the minimum is 60. Most phones ask again for longer; this one has not.",
			"Set the phone's registration interval to 60 seconds or more, or lower minimum_expiration in [Kitchen] ($:1) and reload."},
		{"too brief, of a peer with another authname since", proved("Front desk", as("before", with("5; the minimum is 60", refused(60, "a", journal.ExpiryTooBrief)))),
			"", "or lower minimum_expiration in [Front desk] ($:6) and reload."},
		{"CSeq not rising", proved("Kitchen", with("last was 7", refused(60, "a", journal.CSeqNotRising))),
			"and its CSeq is no higher (the last was 7). A phone that rebooted with its old Call-ID looks like that.",
			"sipregctl remove 2001 lets it in at once; else it comes in when its binding expires. " +
				"To let such a phone in by itself, 32 seconds after it was last heard, set cseq_reset = yes in [Kitchen] ($:1) and reload."},
		{"CSeq not rising yet", proved("Attic", with("last was 7; cseq_reset = yes, but that was no more than 32 s ago", refused(60, "a", journal.CSeqNotRising))),
			"(the last was 7; cseq_reset = yes, but that was no more than 32 s ago)",
			"Nothing more is to be done: with [Attic] ("},
		{"banned", with("192.0.2.0/24 is banned until the ban is lifted; messages dropped so far: 7", refused(60, "", journal.Banned)),
			"Nothing that the phone sends is read: 192.0.2.0/24 is banned until the ban is lifted; messages dropped so far: 7.",
			"lift the ban: sipregctl ban remove '192.0.2.0/24'"},
		{"malformed", with("Malformed Via", refused(60, "a", journal.Malformed)), "The request is malformed: Malformed Via.", "SIP ALG"},
		{"no REGISTER", with("INVITE", refused(60, "a", journal.MethodNotAllowed)), `The phone sends "INVITE", as if this were a proxy.`, "no proxy"},
		{"reloaded meanwhile", proved("Kitchen", refused(60, "a", journal.ByConfiguration)),
			"While the phone registered, peers.conf was reloaded: [Kitchen] has another secret.", "Type the secret of [Kitchen] ($:1) into the phone."},
		{"reloaded, gone", contact("sip:k@192.0.2.7", proved("Gone", as("gone", of(60, "a", journal.Removed, journal.ByConfiguration)))),
			"The binding of 2001 to sip:k@192.0.2.7 was removed by a change of peers.conf: its peer is gone.",
			"If the phone is to stay, add its peer to peers.conf again and reload."},
		{"reloaded, with another authname", proved("Kitchen", as("before", of(60, "a", journal.Removed, journal.ByConfiguration))),
			": [Kitchen] has another authname.", "Set the phone's Auth ID to 7f3a9c, as [Kitchen] ($:1) has it, and see that its password is the secret there."},
		{"reloaded, disabled", to("2009", "", proved("Closed", of(60, "a", journal.Removed, journal.ByConfiguration))),
			"was removed by a change of peers.conf: [Closed] has enabled = no.", "If the phone is to stay, set enabled = yes in [Closed] ("},
		{"reloaded, with another aorname", to("2999", "", proved("Kitchen", of(60, "a", journal.Removed, journal.ByConfiguration))),
			"was removed by a change of peers.conf: [Kitchen] may not register 2999 any more.", "Or add 2999 to the list of [Kitchen] ($:1)"},
	}
	directory := load(t, office)
	path, _, _ := strings.Cut(directory.Where(directory.ByLabel("Kitchen")), ":")
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			cause, cure := explainedOne(t, directory, test.event)
			if !strings.Contains(cause, test.cause) {
				t.Errorf("cause:\n%s\nwant:\n%s", cause, test.cause)
			}
			if want := strings.ReplaceAll(test.cure, "$", path); !strings.Contains(cure, want) {
				t.Errorf("cure:\n%s\nwant:\n%s", cure, want)
			}
		})
	}
}

func TestExplainDomains(t *testing.T) {
	directory := load(t, "[A]\nauthname = a\nsecret = s\naorname = 1\n[B]\nauthname = b\nsecret = s\naorname = 2\ndomain = b.example\n", "a.example", "b.example")
	tests := []struct {
		story       string
		event       journal.Event
		cause, cure string
	}{
		{"not served", with("c.example", refused(60, "a", journal.DomainNotServed)),
			`The phone registers at "c.example", which is not served here: [registrar] domain is a.example, b.example.`,
			"Set the phone's Domain to one that is served, or add c.example to [registrar] domain in sipregd.conf and restart."},
		{"authname of another domain", to("2", "a.example", as("b", with("[B] belongs to b.example; the phone used a.example", refused(60, "a", journal.UnknownAuthname)))),
			`The phone sends the Auth ID "b", which is of another domain: [B] belongs to b.example; the phone used a.example.`,
			"Set the phone's Domain to that of the peer, or domain in the peer to the one that the phone uses, and reload."},
		{"not listed", to("2", "a.example", proved("A", as("a", with("aorname is 1@a.example", refused(60, "a", journal.AORNotListed))))),
			"[A] has proved who it is, but may not register 2@a.example: its aorname was 1@a.example.",
			"Set the phone's User ID to 1@a.example. Or add 2@a.example to the list of [A]"},
		{"wrong realm, of another domain", with("b.example; the realm here is a.example", refused(60, "a", journal.WrongRealm)),
			`The phone answers a challenge of the realm "b.example", and its request is for the domain of the realm "a.example".`,
			"Set the phone's Domain and Realm so that they agree, or clear its Realm setting."},
		{"wrong secret, sent with a realm", to("2", "b.example", as("b", with("sent as b@b.example", refused(60, "a", journal.WrongSecret)))),
			`The phone sends the Auth ID "b@b.example" of [B] with a wrong password.`, "it is the secret of [B]"},
		{"wrong secret, To of another domain", to("2", "c.example", as("b", refused(60, "a", journal.WrongSecret))),
			`the Auth ID "b" of [B] with a wrong password.`, "it is the secret of [B]"},
		{"User ID as Auth ID, with its domain", to("2", "b.example", as("2@b.example", refused(60, "a", journal.UnknownAuthname))),
			"But it is the aorname of [B]", "Set the phone's Auth ID to b "},
		{"User ID as Auth ID, of that domain", to("2", "b.example", as("2", refused(60, "a", journal.UnknownAuthname))),
			"But it is the aorname of [B]", "Set the phone's Auth ID to b "},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			cause, cure := explainedOne(t, directory, test.event)
			if !strings.Contains(cause, test.cause) || !strings.Contains(cure, test.cure) {
				t.Errorf("cause:\n%s\ncure:\n%s", cause, cure)
			}
		})
	}
}

// everyEvent returns an event of each kind and reason that go together.
func everyEvent() (events []journal.Event) {
	ofBindings := map[journal.Reason]journal.Kind{
		journal.ByPhone: journal.Removed, journal.ByAdministrator: journal.Removed, journal.StreamGone: journal.Removed,
		journal.ByNewerContact: journal.Replaced, journal.NoLongerRefreshed: journal.Expired,
		journal.ByItself: journal.Replaced,
		journal.NoAnswer: journal.Unreachable,
	}
	for _, reason := range journal.Reasons() {
		kind, ofBinding := ofBindings[reason]
		if !ofBinding {
			kind = journal.Refused
		}
		events = append(events, of(60, "a", kind, reason))
	}
	events = append(events, of(60, "a", journal.Unreachable, journal.StreamGone), of(60, "a", journal.Reachable, journal.None))
	return append(events, of(60, "a", journal.Removed, journal.ByConfiguration), added(60, "a"), refreshed(60, "a"), challenged(60, "a"))
}

// Every reason has a cause of its own, in whole sentences, and what failed has a
// cure, whether its peer is there or not.
func TestEveryReasonIsExplained(t *testing.T) {
	for story, directory := range map[string]*peers.Directory{"a peer": load(t, kitchen), "no peer": load(t, "[Other]\nauthname = o\nsecret = s\naorname = 1\n")} {
		causes := map[string]journal.Reason{}
		for _, e := range everyEvent() {
			if e.Kind == journal.Refreshed {
				continue // as added
			}
			t.Run(fmt.Sprintf("%s %s %s", story, e.Kind, e.Reason), func(t *testing.T) {
				e = contact("sip:k@192.0.2.7", with("5; the minimum is 60", e))
				cause, cure := explainedOne(t, directory, e)
				if !isSentence(cause) {
					t.Errorf("cause %q", cause)
				}
				if other, known := causes[cause]; known {
					t.Errorf("the cause of %s is that of %s: %s", e.Reason, other, cause)
				}
				causes[cause] = e.Reason
				if isFailure(&e) && !isSentence(cure) && e.Reason != journal.Banned { // that ends in a command
					t.Errorf("cure %q", cure)
				}
			})
		}
	}
}

func isSentence(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return (unicode.IsUpper(first) || first == '[' || strings.HasPrefix(text, "sipregctl ") || unicode.IsDigit(first)) &&
		strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "..") &&
		!slices.ContainsFunc([]string{": .", "  ", "%!", "[]", " ,", "= ,", "(the )"}, func(sign string) bool { return strings.Contains(text, sign) })
}

// A name from the network is no more than a name: it is not long, does nothing to a
// terminal, and closes no quotation.
func TestNamesFromTheNetworkAreBounded(t *testing.T) {
	for _, hostile := range []string{
		"\x1b[2J\x9b\u202e\r\n", "<script>alert(1)</script>", `"; the phone is fine. "`, "'; rm -rf / #", "$(reboot)`reboot`", "\xff\xfe", "",
	} {
		name := hostile + strings.Repeat("n", 600)
		for _, e := range everyEvent() {
			e.AOR, e.Authname, e.Label = sipuri.AOR{User: name, Domain: ""}, name, ""
			e.Contact, e.Detail, e.UserAgent, e.CallID = name, name, name, name
			cause, cure := explainedOne(t, load(t, kitchen), e)
			for _, text := range []string{cause, cure} {
				if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(text) {
					t.Errorf("%s %s: a character at %d does not print: %q", e.Kind, e.Reason, i, text)
				}
				if utf8.RuneCountInString(text) > 900 {
					t.Errorf("%s %s: %d characters: %s", e.Kind, e.Reason, utf8.RuneCountInString(text), text)
				}
			}
		}
	}
}

func TestWording(t *testing.T) {
	long := strings.Repeat("n", 70)
	tests := []struct{ story, got, want string }{
		{"plain", shown("2001@example.com"), "2001@example.com"},
		{"empty", shown(""), `""`},
		{"with a blank", shown("a b"), `"a b"`},
		{"long", shown(long), `"` + long[:64] + `…"`},
		{"long, in characters", shortened(strings.Repeat("ü", 70), 64), strings.Repeat("ü", 64) + "…"},
		{"as long as may be", shortened(strings.Repeat("ü", 64), 64), strings.Repeat("ü", 64)},
		{"no UTF-8", quoted("a\xffb"), `"a�b"`},
		{"for a shell", shellQuote("2001"), "2001"},
		{"for a shell, a blank", shellQuote("Front desk"), "'Front desk'"},
		{"for a shell, a quotation mark", shellQuote("Bob's"), `'Bob'\''s'`},
		{"for a shell, nothing", shellQuote(""), "''"},
		{"for a shell, a control character", shellQuote("a\x1b'b"), `$'a\x1b\'b'`},
		{"aorname", written(sipuri.AOR{User: "2001", Domain: "example.com"}), "2001@example.com"},
		{"aorname, escaped", written(sipuri.AOR{User: "a@b, c*ü"}), "a%40b%2C%20c%2A%C3%BC"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: got %s, want %s", test.story, test.got, test.want)
		}
	}
}

// What is said to be written into aorname is read back.
func TestWrittenAORNamesLoad(t *testing.T) {
	for _, user := range []string{"2001", "a b", "a,b", "a@b", "*", "ü", "a;b#c", `a"b`, "%41"} {
		directory := load(t, "[P]\nauthname = p\nsecret = s\naorname = "+written(sipuri.AOR{User: user})+"\n")
		if got := directory.ByLabel("P").AORs; len(got) != 1 || got[0].User != user {
			t.Errorf("%q is read back as %q", user, got)
		}
	}
}

// Names of a ban that keeps out others than the one that it tells of.
func TestConcerns(t *testing.T) {
	directory := load(t, office)
	ban := with("192.0.2.0/24 is banned until the ban is lifted; messages dropped so far: 1", refused(60, "", journal.Banned))
	ban.AOR, ban.Authname = sipuri.AOR{}, ""
	kitchens := []string{"kitchen", "7f3a9c"}
	tests := []struct {
		story string
		names []string
		event journal.Event
		want  bool
	}{
		{"proved", kitchens, proved("Kitchen", added(60, "a")), true},
		{"proved with another authname", kitchens, to("2999", "", proved("Kitchen", as("before", added(60, "a")))), true},
		{"claimed", kitchens, refused(60, "a", journal.WrongSecret), true},
		{"claimed, for another address", kitchens, to("2999", "", refused(60, "a", journal.WrongSecret)), true},
		{"challenged for its address", kitchens, challenged(60, "a"), true},
		{"unknown, for its address", kitchens, as("what", refused(60, "a", journal.UnknownAuthname)), true},
		{"of another peer of the address", kitchens, proved("Workshop", as("b41d77", added(60, "a"))), false},
		{"claimed as another peer of the address", kitchens, as("b41d77", refused(60, "a", journal.WrongSecret)), false},
		{"of another address", kitchens, to("2002", "", challenged(60, "a")), false},

		{"its peer asks for another address", []string{"2001", "sip:2001", "2001@example.com"}, to("2999", "", proved("Kitchen", refused(60, "a", journal.AORNotListed))), true},
		{"its peer asks for another of its addresses", []string{"2002"}, to("2003", "", as("frontdesk", refused(60, "a", journal.CSeqNotRising))), false},
		{"its peer is registered for any", []string{"2001"}, to("2999", "", added(60, "a")), false},
		{"another peer asks for another", []string{"2001"}, to("2999", "", as("frontdesk", refused(60, "a", journal.AORNotListed))), false},

		{"banned with others", []string{"192.0.2.200"}, ban, true},
		{"not banned", []string{"198.51.100.1"}, ban, false},
		{"no name", []string{"", "2999"}, challenged(60, "a"), false},
	}
	for _, test := range tests {
		for _, name := range test.names {
			if got := Concerns(name, directory)(&test.event); got != test.want {
				t.Errorf("%s: %q: %v", test.story, name, got)
			}
		}
	}
}

func TestBans(t *testing.T) {
	ban := with("192.0.2.0/24 is banned until the ban is lifted", refused(60, "", journal.Banned))
	ban.Source = netip.MustParseAddrPort("192.0.2.99:5060")
	tests := []struct {
		story string
		event journal.Event
		want  bool
	}{
		{"of its network", from("192.0.2.7", added(60, "a")), true},
		{"of the very address", from("192.0.2.99", added(60, "a")), true},
		{"from elsewhere", from("198.51.100.1", added(60, "a")), false},
	}
	for _, test := range tests {
		if got := Bans([]journal.Event{test.event})(&ban); got != test.want {
			t.Errorf("%s: %v", test.story, got)
		}
	}
	one := with("192.0.2.7 is banned until the ban is lifted", refused(60, "", journal.Banned))
	if !Bans([]journal.Event{added(60, "a")})(&one) {
		t.Error("the ban of one address concerns nobody")
	}
	other := refused(60, "a", journal.WrongSecret)
	if Bans([]journal.Event{other})(&other) {
		t.Error("a wrong secret is taken for a ban")
	}
}

func TestNothing(t *testing.T) {
	directory := load(t, office)
	tests := []struct {
		story, name string
		registered  bool
		want        string
	}{
		{"of everybody", "", false, "No phone has failed since 2026-11-26 12:00:00 UTC."},
		{"registered", "2001", true, "Nothing else is remembered since 2026-11-26 12:00:00 UTC."},
		{"a peer's address", "2002", false, "[Front desk] has authname = frontdesk and aorname = 2002, 2003 ("},
		{"a peer's authname", "lab", false, "[Lab] has authname = lab and aorname = * ("},
		{"a peer's label", "front desk", false, "and nothing that could be its phone has come since 2026-11-26 12:00:00 UTC. Look whether"},
		{"an address", "192.0.2.7", false, "Nothing has come from 192.0.2.7 since 2026-11-26 12:00:00 UTC, or nothing that could be read as SIP."},
		{"of nobody", "2\x1b[2J", false, "Nothing has come with that name since 2026-11-26 12:00:00 UTC, and no peer has it as label, authname or aorname."},
		{"registered for any", "2\x1b[2J", true, "Nothing else is remembered"},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			if got := Nothing(test.name, directory, test.registered, now); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := NotYet("2001"); got != "2001 has come, and nothing has failed so far." {
		t.Errorf("got %q", got)
	}
}
