package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sipregd/internal/admin/api"
)

// deskPeers are the peers of whom the tests of why ask. No label is an authname or
// an aorname, and no authname is an aorname.
const deskPeers = `
[Kitchen]
authname = 7f3a9c
secret = any;text#at all
aorname = 2001

[Front desk]
authname = frontdesk
secret = open sesame
aorname = 2002
`

// kitchen and kitchenWith are arguments of sipregctl register.
var kitchen = []string{"--aor", "2001", "--authname", "7f3a9c", "--secret", "any;text#at all"}

func kitchenWith(more ...string) []string { return append(slices.Clone(kitchen), more...) }

// Each cause by a phone that others wrote, or by sipregctl's.
func TestWhy(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	requireProgram(t, "baresip", "baresip-core")
	here := "127.0.0.1"
	tests := []struct {
		story string
		conf  string
		peers string // instead of deskPeers
		try   func(t *testing.T, d *daemon)
		asked []string
		cause string
		cure  string
	}{
		{
			"unknown authname", "", "",
			scenario("wrong-secret", as("2999", "nobody", "x")...),
			[]string{"2999", "nobody", here},
			`sends "nobody" as its Auth ID, and no peer has that authname. Nor has one 2999 in its aorname.`,
			"add a peer to peers.conf with authname = nobody, its secret and aorname = 2999, and reload. If not, a stranger is trying names",
		},
		{
			"User ID as Auth ID", "", phonePeers,
			phoneOfBaresip("udp", "2001", "correct-horse"),
			[]string{"2001", "b41d77", "Workshop", "sip:2001@example.com", here},
			"it is the aorname of [Workshop]: the phone sends its User ID as Auth ID.",
			"Set the phone's Auth ID to b41d77 (on Cisco/Sipura with Use Auth ID = yes), or set authname = 2001 in [Workshop] (",
		},
		{
			"User ID as Auth ID, of two peers", "", deskPeers + phonePeers,
			phoneOfBaresip("udp", "2001", "correct-horse"),
			[]string{"2001", "b41d77", "7f3a9c", "Workshop", "kitchen"},
			"it is the aorname of [Kitchen], [Workshop]: the phone sends its User ID as Auth ID.",
			"Set the phone's Auth ID to the authname of its peer (on Cisco/Sipura with Use Auth ID = yes): 7f3a9c of [Kitchen] (",
		},
		{
			"label as Auth ID", "", phonePeers,
			phoneOfBaresip("tcp", "Workshop", "correct-horse"),
			[]string{"2001", "b41d77", "Workshop", here},
			"it is the label of [Workshop], which no phone has to know.",
			"Set the phone's Auth ID to b41d77",
		},
		{
			"capitals in the Auth ID", "", "",
			testPhone("--aor", "2001", "--authname", "7F3A9C", "--secret", "any;text#at all"),
			[]string{"2001", "7F3A9C", "7f3a9c", "Kitchen"},
			"[Kitchen] has authname = 7f3a9c: small letters and capitals are not the same.",
			"Set the phone's Auth ID to 7f3a9c",
		},
		{
			"another Auth ID", "", "",
			testPhone("--aor", "2001", "--authname", "what", "--secret", "any;text#at all"),
			[]string{"2001", "what", "Kitchen"},
			"It wants to register 2001, which belongs to [Kitchen].",
			"or set authname = what in [Kitchen] (",
		},
		{
			"Auth ID of another domain", "[registrar]\ndomain = a.example, b.example\n", "[Kitchen]\nauthname = k\nsecret = s\naorname = 2001\ndomain = b.example\n",
			testPhone("--aor", "2001@a.example", "--authname", "k", "--secret", "s"),
			[]string{"2001@a.example", "k", "Kitchen"},
			`the Auth ID "k", which is of another domain: [Kitchen] belongs to b.example; the phone used a.example.`,
			"Set the phone's Domain to that of the peer, or domain in the peer",
		},
		{
			"wrong secret", "", phonePeers,
			phoneOfBaresip("udp", "b41d77", "wrong"),
			[]string{"2001", "b41d77", "Workshop", here},
			`the Auth ID "b41d77" of [Workshop] with a wrong password.`,
			"it is the secret of [Workshop] (",
		},
		{
			"wrong secret, of a digest", "", "[Kitchen]\nauthname = 7f3a9c\npassword_digest = MD5:" + kitchenMD5 + "\naorname = 2001\n",
			testPhone("--aor", "2001", "--authname", "7f3a9c", "--secret", "wrong"),
			[]string{"2001", "7f3a9c", "Kitchen"},
			`the Auth ID "7f3a9c" of [Kitchen] with a wrong password.`,
			"If it is right, the password_digest of [Kitchen] (",
		},
		{
			"wrong realm", "", "",
			testPhone(kitchenWith("--realm", "elsewhere")...),
			[]string{"2001", "7f3a9c", "Kitchen", here},
			`answers a challenge of the realm "elsewhere", as of another server. The realm here is "sipregd".`,
			"Clear the phone's Realm setting, or set it to sipregd.",
		},
		{
			"digest over another URI", "", "",
			testPhone(kitchenWith("--digest-uri", "sip:elsewhere.example")...),
			[]string{"2001", "7f3a9c", "Kitchen", here},
			`digest is over the URI "sip:elsewhere.example", and its request is for another one.`,
			"Set the phone's Domain, Registrar and Outbound Proxy so that they agree",
		},
		{
			"digest over another URI, by SIPp", "", "",
			scenario("wrong-secret", as("2001", "7f3a9c", "any;text#at all", "-auth_uri", "elsewhere.example")...),
			[]string{"2001", "7f3a9c", "Kitchen"},
			"digest is over the URI \"sip:elsewhere.example", "switch off any SIP ALG of the router",
		},
		{
			"algorithm that is not offered", "", "",
			testPhone(kitchenWith("--algorithm", "SHA-256")...),
			[]string{"2001", "7f3a9c", "Kitchen", here},
			"an algorithm that it may not use: SHA-256 is not in [registrar] algorithms.",
			"add it there in sipregd.conf and restart",
		},
		{
			"algorithm not of this peer", "[registrar]\nalgorithms = MD5, SHA-256\n", kitchenPeers + "algorithm = SHA-256\n",
			testPhone(kitchenWith("--algorithm", "MD5")...),
			[]string{"2001", "7f3a9c", "kitchen, 1st floor"},
			"an algorithm that it may not use: MD5; this peer has algorithm = SHA-256.",
			"or change algorithm in [Kitchen, 1st floor] (",
		},
		{
			"loop of stale nonces", "[security]\nnonce_lifetime = 1\n", "",
			scenario("stale-loop", as("2001", "7f3a9c", "any;text#at all")...),
			[]string{"2001", "7f3a9c", "Kitchen", here},
			"has answered 3 challenges in a row with a nonce that was too old or used up",
			"look for newer firmware",
		},
		{
			"address of nobody", "", "",
			testPhone("--aor", "2999", "--authname", "7f3a9c", "--secret", "any;text#at all"),
			[]string{"2999", "2001", "7f3a9c", "Kitchen", here},
			"[Kitchen] has proved who it is, but may not register 2999: its aorname was 2001.",
			"Set the phone's User ID to 2001. Or add 2999 to the list of [Kitchen] (",
		},
		{
			"address of another", "", "",
			testPhone("--aor", "2002", "--authname", "7f3a9c", "--secret", "any;text#at all"),
			[]string{"2002", "2001", "7f3a9c", "Kitchen"},
			"2002 belongs to [Front desk].",
			": aorname = 2001, 2002, and reload.",
		},
		{
			"domain that is not served", "[registrar]\ndomain = example.com\n", "",
			testPhone(kitchenWith("--aor", "2001@elsewhere.example")...),
			[]string{"2001", here},
			`registers at "elsewhere.example", which is not served here: [registrar] domain is example.com.`,
			"or add elsewhere.example to [registrar] domain in sipregd.conf and restart",
		},
		{
			"network that is not permitted", "", deskPeers + "permit = 192.0.2.0/24\n",
			testPhone("--aor", "2002", "--authname", "frontdesk", "--secret", "open sesame"),
			[]string{"2002", "frontdesk", "Front desk", "127.0.0.0/8"},
			"[Front desk] has proved who it is, but comes from 127.0.0.1: its permit is 192.0.2.0/24.",
			"Add 127.0.0.1, or its network, to permit in [Front desk] (",
		},
		{
			"peer that is not enabled", "", deskPeers + "enabled = no\n",
			testPhone("--aor", "2002", "--authname", "frontdesk", "--secret", "open sesame"),
			[]string{"2002", "frontdesk", "Front desk"},
			"[Front desk] has proved who it is, but it had enabled = no.",
			"Set enabled = yes in [Front desk] (",
		},
		{
			"too many Contacts", "", kitchenPeers + "max_contacts = 1\nremove_existing = no\n",
			func(t *testing.T, d *daemon) {
				d.register(t, kitchenWith("--contact", "sip:first@127.0.0.1")...)
				d.register(t, kitchenWith("--contact", "sip:second@127.0.0.1")...)
			},
			[]string{"2001", "7f3a9c", "Kitchen, 1st floor", here},
			"2001 is bound to as many Contacts as it may be: max_contacts is 1.",
			"Or raise max_contacts in [Kitchen, 1st floor] (",
		},
		{
			"rebooted with its old Call-ID", "", "",
			func(t *testing.T, d *daemon) {
				d.register(t, kitchenWith("--call-id", "mac-address", "--cseq", "100", "--contact", "sip:a@127.0.0.1")...)
				d.register(t, kitchenWith("--call-id", "mac-address", "--cseq", "1", "--contact", "sip:a@127.0.0.1")...)
			},
			[]string{"2001", "7f3a9c", "Kitchen", here},
			"its Call-ID is the same and its CSeq is no higher (the last was 101). A phone that rebooted with its old Call-ID looks like that.",
			"sipregctl remove 2001 'sip:a@127.0.0.1' lets it in at once",
		},
		{
			"banned", "", "",
			func(t *testing.T, d *daemon) {
				d.register(t, kitchen...)
				d.ask(t, http.MethodPost, "/api/v1/bans", api.NewBan{Network: "127.0.0.0/8"}, nil)
				d.register(t, kitchenWith("--timeout", "500ms")...)
			},
			[]string{here, "127.0.0.0/8", "127.0.0.2", "2001", "7f3a9c", "Kitchen"},
			"Nothing that the phone sends is read: 127.0.0.0/8 is banned until the ban is lifted",
			"lift the ban: sipregctl ban remove '127.0.0.0/8'",
		},
		{
			"malformed", "", "",
			scenario("malformed", "-s", "2001"),
			[]string{"2001", "Kitchen", here},
			"The request is malformed: Unclosed URI In From.",
			"look for newer firmware, and switch off any SIP ALG of the router",
		},
		{
			"unknown extension", "", "",
			scenario("require", as("2001", "7f3a9c", "any;text#at all")...),
			[]string{"2001", here},
			"requires an extension that is not supported: frobnicate",
			"Switch that extension off in the phone",
		},
		{
			"call to a registrar", "", "",
			scenario("publish", as("2001", "7f3a9c", "any;text#at all")...),
			[]string{"2001", here},
			`The phone sends "PUBLISH", as if this were a proxy.`,
			"This is a registrar and no proxy",
		},
		{
			"expired", "[registrar]\nminimum_expiration = 1\n", "",
			testPhone(kitchenWith("--expires", "1")...),
			[]string{"2001", "7f3a9c", "Kitchen", here},
			"has expired: the phone did not refresh it in time.",
			"Look whether the phone has power and network",
		},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			t.Parallel()
			peers := test.peers
			if peers == "" {
				peers = deskPeers
			}
			d := startDaemon(t, test.conf, peers)
			test.try(t, d)
			d.checkWhy(t, test.asked, test.cause, test.cure)
		})
	}
}

// scenario returns a phone that is a scenario of SIPp.
func scenario(name string, arguments ...string) func(*testing.T, *daemon) {
	return func(t *testing.T, d *daemon) { sipp(t, name, "u1", d.udp, arguments...) }
}

// phoneOfBaresip returns a phone that wants to be 2001.
func phoneOfBaresip(transport, authname, secret string) func(*testing.T, *daemon) {
	return func(t *testing.T, d *daemon) { startBaresip(t, d.udp, transport, authname, secret) }
}

// testPhone returns a phone that is sipregctl register.
func testPhone(arguments ...string) func(*testing.T, *daemon) {
	return func(t *testing.T, d *daemon) { d.register(t, arguments...) }
}

// A phone that may still be about to answer has not failed. One that falls silent
// has.
func TestWhyAPhoneFallsSilent(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemon(t, "", deskPeers+phonePeers+"[Hall]\nauthname = hall\nsecret = s\naorname = 2004, 2014\n")
	trace := sipp(t, "register", "u1", d.udp, as("2001", "b41d77", "correct-horse")...)
	line := trace[strings.Index(trace, "Authorization: "):]
	captured, _, _ := strings.Cut(line, "\r\n")
	sipp(t, "captured", "u1", d.udp, "-s", "2001", "-key", "authorization", captured)
	sipp(t, "unanswered", "t1", d.udp, "-s", "2999")
	sipp(t, "too-brief-for-ever", "u1", d.udp, as("2014", "hall", "s")...)
	d.register(t, "--aor", "2002", "--authname", "frontdesk", "--no-auth")
	if why := d.why(t, "2002"); len(why.Attempts) > 0 || !strings.Contains(why.Note, "a phone may take 5 seconds to answer a challenge") {
		t.Errorf("why 2002 at once: %s", inLines(why))
	}
	tests := []struct {
		story       string
		asked       []string
		cause, cure string
	}{
		{
			"challenge never answered", []string{"2002", "Front desk", "frontdesk"},
			"was challenged (401) and never answered: it has not sent a password for 2002.",
			"Enter Auth ID and password into the phone: one that has none, or had a wrong one, gives up in silence. " +
				"If it has them, the 401 does not reach it: it goes to 127.0.0.1 over UDP, where a NAT",
		},
		{
			"challenge of a stranger", []string{"2999"},
			"it has not sent a password for 2999. No peer has that in its aorname.", "it goes to 127.0.0.1 over TCP",
		},
		{
			"expiry too brief", []string{"2014", "hall", "Hall"},
			"asks to be registered for 5 seconds, and the minimum is 60.",
			"Set the phone's registration interval to 60 seconds or more, or lower minimum_expiration in [Hall] (",
		},
		{
			"captured request", []string{"2001", "b41d77", "Workshop"},
			"The credentials are the same as in an earlier request.", "If the phone at 127.0.0.1 is yours",
		},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) { d.checkWhy(t, test.asked, test.cause, test.cure) })
	}
}

// What phones get over by themselves is no failure.
func TestWhyOfPhonesThatAreRegistered(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	tests := []struct{ story, scenario, conf, now string }{
		{"came in at once", "register", "", "Registered: 2001 is bound to sip:"},
		{"expiry raised", "too-brief", "", "for 60 seconds."},
		{"nonce stale once", "stale", "[security]\nnonce_lifetime = 2\n", "Registered: 2001 is bound to sip:"},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, test.conf, deskPeers)
			sipp(t, test.scenario, "u1", d.udp, as("2001", "7f3a9c", "any;text#at all")...)
			for _, name := range []string{"2001", "7f3a9c", "Kitchen", "127.0.0.1"} {
				why := d.why(t, name)
				if len(why.Attempts) != 1 || !strings.Contains(why.Attempts[0].Cause, test.now) || why.Attempts[0].Failed {
					t.Errorf("why %q: %s", name, inLines(why))
				}
			}
			if why := d.why(t, ""); len(why.Attempts) > 0 || !strings.Contains(why.Note, "No phone has failed since") {
				t.Errorf("why, of everybody: %s", inLines(why))
			}
		})
	}
}

func TestWhyNothingHasCome(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", deskPeers)
	for name, note := range map[string]string{
		"":          "No phone has failed since",
		"2001":      "[Kitchen] has authname = 7f3a9c and aorname = 2001 (",
		"7f3a9c":    "nothing that could be its phone has come since",
		"kitchen":   "Look whether the phone has network and this server's address",
		"192.0.2.7": "Nothing has come from 192.0.2.7 since",
		"2999":      "no peer has it as label, authname or aorname",
	} {
		if why := d.why(t, name); len(why.Attempts) > 0 || !strings.Contains(why.Note, note) {
			t.Errorf("why %q: %s", name, inLines(why))
		}
	}
}

// What was mended since is not told as if it still had to be.
func TestWhySaysWhatAReloadHasMended(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", deskPeers)
	d.register(t, "--aor", "2003", "--authname", "7f3a9c", "--secret", "any;text#at all")
	d.checkWhy(t, []string{"2003"}, "may not register 2003: its aorname was 2001.", "Or add 2003 to the list")
	d.writePeers(t, strings.Replace(deskPeers, "2001", "2001, 2003", 1))
	d.ask(t, http.MethodPost, "/api/v1/reload", nil, nil)
	d.checkWhy(t, []string{"2003"}, "may not register 2003: its aorname was 2001.", "Nothing more is to be done: with [Kitchen] (")
}

func TestWhyABindingIsGone(t *testing.T) {
	t.Parallel()
	desk := []string{"--aor", "2002", "--authname", "frontdesk", "--secret", "open sesame"}
	tests := []struct {
		story string
		try   func(d *daemon)
		aor   string
		cause string
		cure  string
	}{
		{"removed here", func(d *daemon) {
			d.register(t, kitchen...)
			d.ask(t, http.MethodDelete, "/api/v1/contacts/2001", nil, nil)
		}, "2001", "was removed: somebody has removed it here.", "To have it at once, restart the phone."},
		{"replaced", func(d *daemon) {
			d.register(t, append(slices.Clone(desk), "--contact", "sip:first@127.0.0.1")...)
			d.register(t, append(slices.Clone(desk), "--contact", "sip:second@127.0.0.1")...)
		}, "2002", "The binding of 2002 to sip:first@127.0.0.1 was replaced: max_contacts is reached", "raise max_contacts in [Front desk] ("},
		{"unregistered", func(d *daemon) { d.register(t, kitchenWith("--remove")...) },
			"2001", "was removed: the phone has unregistered.", ""},
		{"with its peer", func(d *daemon) {
			d.register(t, kitchen...)
			d.writePeers(t, phonePeers)
			d.reload(t, "1 added, 2 removed, 0 changed")
		}, "2001", "was removed by a change of peers.conf: its peer was gone.", "add its peer to peers.conf again"},
	}
	for _, test := range tests {
		d := startDaemon(t, "", deskPeers+"max_contacts = 1\n")
		test.try(d)
		why := d.why(t, test.aor)
		if !slices.ContainsFunc(why.Attempts, func(a api.Attempt) bool {
			return !a.Failed && strings.Contains(a.Cause, test.cause) && strings.Contains(a.Cure, test.cure)
		}) {
			t.Errorf("%s: want %q, %q of %s", test.story, test.cause, test.cure, inLines(why))
		}
	}
}

// A name from the network is never more than a name.
func TestWhyBoundsAndEscapesNames(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemon(t, "", deskPeers)
	name := "2001\x1b[2J'; rm <b>" + strings.Repeat("9", 300)
	d.register(t, "--aor", url.PathEscape(name), "--authname", name, "--secret", "x")
	why := d.why(t, "")
	if len(why.Attempts) != 1 {
		t.Fatal(inLines(why))
	}
	text := why.Attempts[0].Cause + why.Attempts[0].Cure
	if strings.ContainsRune(text, '\x1b') || len(text) > 1000 {
		t.Errorf("%q", text)
	}
	if want := fmt.Sprintf("%q", name[:64]+"…"); !strings.Contains(text, want) {
		t.Errorf("want %s in %s", want, text)
	}
}
