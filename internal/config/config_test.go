package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
)

// load reads text as sipregd.conf of the directory /etc/x.
func load(text string) (Config, error) {
	file, err := inifile.Parse("/etc/x/sipregd.conf", []byte(text))
	if err != nil {
		return Config{}, err
	}
	return read(file)
}

func TestDefaults(t *testing.T) {
	got, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Peers.Files = []string{"/etc/x/peers.conf"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("empty file: %+v, want %+v", got, want)
	}
	if got := Default().Peers.Files; !reflect.DeepEqual(got, []string{"/etc/sipregd/peers.conf"}) {
		t.Errorf("peers of the default configuration: %q", got)
	}
}

func TestSampleStatesTheDefaults(t *testing.T) {
	got, err := Load("../../configs/sipregd.conf")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults("../../configs")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	file, err := inifile.Load("../../configs/sipregd.conf")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, section := range file.Sections {
		keys += len(section.Keys)
	}
	if want := len(settings(&got, "")); keys != want {
		t.Errorf("the sample has %d keys, there are %d", keys, want)
	}
}

func TestLoadMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Load("sipregd.conf")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	const want = "sipregd.conf: no such file or directory; write it, or name another one with --config"
	if err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
	if err := os.Mkdir("directory", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load("directory"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory: %v", err)
	}
}

func TestAllSettings(t *testing.T) {
	got, err := load(`
[listen]
udp = 192.0.2.1:5060, [2001:db8::1]:5062 ; two
tcp =
tls = 192.0.2.1
ws = 127.0.0.1
wss = 192.0.2.1, [::1]:8443
certificate = tls/chain.pem
private_key = /etc/ssl/key.pem
client_ca = tls/phones.pem
transaction_memory = 128
[registrar]
domain = Example.COM, sales.example.com
realm = Office "one"
default_expiration = 600
minimum_expiration = 120
maximum_expiration = 900
max_contacts = 3
max_aors = 7
algorithms = sha-256, MD5
remove_existing = no
remove_unavailable = yes
cseq_reset = yes
recognize_phone = YES
disconnect_grace = 5
service_route = <sip:proxy.example.com;lr>
flow_timer = 0
qualify_frequency = 60
qualify_timeout = 5
expiry_jitter = 10
[peers]
file = peers.conf, /srv/peers.d/*.conf
[location]
store = memory
path = state
require_durable = yes
redis = rediss://:pass@redis.example:6380/1
[security]
nonce_lifetime = 60
nonce_secret = any text; with blanks
rate = 0
unknown_rate = 100
known_rate = 50
ban = off
trusted = 192.0.2.7/24, 2001:db8::7
[calls]
redirect = yes
permit = 192.0.2.9
events = yes
max_subscriptions = 9
subscriptions_per_aor = 8
subscriptions_per_peer = 7
[admin]
socket =
http = :8060
token = 0123456789abcdef
webhook = https://u:p@pbx.example.com/events
webhook_secret = 0123456789abcdef#
recent_memory = 16
[log]
level = DEBUG
format = json
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: Listen{
			UDP:         []string{"192.0.2.1:5060", "[2001:db8::1]:5062"},
			TLS:         []string{"192.0.2.1:5061"},
			WS:          []string{"127.0.0.1:80"},
			WSS:         []string{"192.0.2.1:443", "[::1]:8443"},
			Certificate: "/etc/x/tls/chain.pem",
			PrivateKey:  "/etc/ssl/key.pem",
			ClientCA:    "/etc/x/tls/phones.pem",

			TransactionMemory: 128,
			MaxStreams:        50000,
			StreamsPerSource:  500,
		},
		Registrar: Registrar{
			Domains:           []string{"example.com", "sales.example.com"},
			RemoveUnavailable: true,
			CSeqReset:         true,
			RecognizePhone:    "yes",
			DisconnectGrace:   5,
			ServiceRoute:      "<sip:proxy.example.com;lr>",
			QualifyFrequency:  60,
			QualifyTimeout:    5,
			ExpiryJitter:      10,
			Realm:             `Office "one"`,
			DefaultExpiration: 600,
			MinimumExpiration: 120,
			MaximumExpiration: 900,
			MaxContacts:       3,
			MaxAORs:           7,
			Algorithms:        []digest.Algorithm{digest.SHA256, digest.MD5},
		},
		Peers: Peers{Files: []string{"/etc/x/peers.conf", "/srv/peers.d/*.conf"}},
		Location: Location{Store: "memory", Path: "/etc/x/state", RequireDurable: true,
			Redis: "rediss://:pass@redis.example:6380/1", Remembered: 1000000},
		Security: Security{NonceLifetime: 60, NonceSecret: "any text; with blanks", UnknownRate: 100, KnownRate: 50,
			Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::7/128")}},
		Calls: Calls{Redirect: true, Permit: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}, Events: true,
			MaxSubscriptions: 9, SubscriptionsPerAOR: 8, SubscriptionsPerPeer: 7},
		Admin: Admin{HTTP: ":8060", Token: "0123456789abcdef", Webhook: "https://u:p@pbx.example.com/events",
			WebhookSecret: "0123456789abcdef#", RecentMemory: 16},
		Log: Log{Level: "debug", Format: "json"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSectionsAndKeysInAnyCase(t *testing.T) {
	got, err := load("[Security]\nNonce_Lifetime = 7\n")
	if err != nil || got.Security.NonceLifetime != 7 {
		t.Errorf("got %+v, %v", got.Security, err)
	}
}

func TestAddresses(t *testing.T) {
	const (
		brackets = "put an IPv6 address in brackets, such as [::1]:5060"
		port     = "write host:port with a port from 1 to 65535, such as 127.0.0.1:5060"
		host     = "write host:port, such as 192.0.2.1:5060, or :5060 for every address"
	)
	tests := []struct {
		name, value string
		want        []string
		advice      string
	}{
		{"any host", ":5060", []string{":5060"}, ""},
		{"no port", "127.0.0.1", []string{"127.0.0.1:5060"}, ""},
		{"IPv6", "[::1]:5062", []string{"[::1]:5062"}, ""},
		{"IPv6 without port", "[2001:db8::1]", []string{"[2001:db8::1]:5060"}, ""},
		{"IPv6 with zone", "[fe80::1%eth0]:5060", []string{"[fe80::1%eth0]:5060"}, ""},
		{"name", "localhost:5060", []string{"localhost:5060"}, ""},
		{"several", ":5060 , 127.0.0.1:5070", []string{":5060", "127.0.0.1:5070"}, ""},
		{"IPv6 without brackets", "::1", nil, brackets},
		{"long IPv6 without brackets", "2001:db8::1", nil, brackets},
		{"bracket left open", "[::1:5060", nil, host},
		{"IPv4 in brackets", "[192.0.2.1]:5060", nil, host},
		{"just a port", "5060", nil, host},
		{"asterisk", "*:5060", nil, host},
		{"number too large in IPv4", "192.0.2.300:5060", nil, host},
		{"blank in the name", "a b:5060", nil, host},
		{"port 0", "127.0.0.1:0", nil, port},
		{"port too large", ":65536", nil, port},
		{"port that is a word", ":sip", nil, port},
		{"no port behind the colon", "127.0.0.1:", nil, port},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := load("[listen]\nudp = " + test.value)
			if test.advice == "" {
				if err != nil || !reflect.DeepEqual(got.Listen.UDP, test.want) {
					t.Errorf("got %q, %v", got.Listen.UDP, err)
				}
				return
			}
			want := `/etc/x/sipregd.conf:2: [listen] udp holds "` + test.value + `", which is no address to listen on; ` + test.advice
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestRedisURLs(t *testing.T) {
	for _, url := range []string{
		"redis://127.0.0.1:6379/0", "redis://redis.example", "rediss://sipregd:pa%23ss@[2001:db8::7]:6380/15?ca=/etc/ca.pem&server_name=redis.example",
		"valkey://10.0.0.1:7000,10.0.0.2:7000,10.0.0.3:7000", "redis://:p@s1:26379,s2:26379/0?master_set=mymaster&sentinel_password=x",
		"unix:///run/redis/redis.sock", "unix://sipregd:p@/run/redis/redis.sock?db=2",
	} {
		if got, err := load("[location]\nredis = " + url); err != nil || got.Location.Redis != url {
			t.Errorf("%s: %q, %v", url, got.Location.Redis, err)
		}
	}
}

func TestSettingsOfANode(t *testing.T) {
	got, err := load("[location]\nstore = redis\nnode = sip1.example\noutbound = sip:sip1.example.com;transport=tcp\nremembered = 5")
	if err != nil || got.Location.Node != "sip1.example" || got.Location.Remembered != 5 || got.Location.Outbound != "<sip:sip1.example.com;transport=tcp;lr>" {
		t.Errorf("got %+v, %v", got.Location, err)
	}
}

// Files that a URL names are looked for where sipregd.conf is.
func TestPathsInARedisURL(t *testing.T) {
	for url, want := range map[string]string{
		"rediss://:p%23@h/0?ca=tls/ca.pem":                                      "rediss://:p%23@h/0?ca=%2Fetc%2Fx%2Ftls%2Fca.pem",
		"valkeys://h?certificate=a.pem&private_key=/srv/a.key&skip_verify=true": "valkeys://h?certificate=%2Fetc%2Fx%2Fa.pem&private_key=%2Fsrv%2Fa.key&skip_verify=true",
	} {
		if got, err := load("[location]\nredis = " + url); err != nil || got.Location.Redis != want {
			t.Errorf("%s: %q, %v", url, got.Location.Redis, err)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // without the path in front of each line
	}{
		{"syntax", "[listen]\nudp :5060", "2: [listen] the line is no section, no key and no comment; write [section], key = value, or ; before a comment"},
		{"address twice", "[listen]\ntcp = :5060, :5060", "2: [listen] tcp holds :5060 twice; keep one of the two"},
		{"list with a hole", "[listen]\ntcp = :5060,", "2: [listen] tcp has an empty place in its list; write one comma between two values, and none at the end"},
		{"tls without certificate", "[listen]\ntls = :5061", "2: [listen] tls needs a certificate; write certificate and private_key too, paths of PEM files"},
		{"wss without certificate", "[listen]\nwss = 192.0.2.1", "2: [listen] wss needs a certificate; write certificate and private_key too, paths of PEM files"},
		{"wss of bad form", "[listen]\nwss = ::1", `2: [listen] wss holds "::1", which is no address to listen on; put an IPv6 address in brackets, such as [::1]:5060`},
		{"certificate without key", "[listen]\ncertificate = a.pem", "2: [listen] certificate and private_key belong together; write both, or none"},
		{"client_ca without tls", "[listen]\ncertificate = a.pem\nprivate_key = b.pem\nclient_ca = c.pem",
			"4: [listen] client_ca is of no use without tls and wss; write where to listen as tls or wss, or leave client_ca empty"},
		{"http for all", "[admin]\nhttp = :8060", "2: [admin] http is open to others than this machine; write a token too, or listen on 127.0.0.1"},
		{"http for a network", "[admin]\nhttp = 192.0.2.1:8060", "2: [admin] http is open to others than this machine; write a token too, or listen on 127.0.0.1"},
		{"short token", "[admin]\ntoken = hunter2", "2: [admin] token is too easy to guess, or has a blank or another character that is not ASCII; write 16 characters or more, such as what openssl rand -hex 24 prints"},
		{"webhook", "[admin]\nwebhook = ftp://u:hunter2@h/", "2: [admin] webhook is no URL to post to; write one such as https://pbx.example.com/sip-events"},
		{"webhook without a host", "[admin]\nwebhook = http://:80/events", "2: [admin] webhook is no URL to post to; write one such as https://pbx.example.com/sip-events"},
		{"webhook of nothing", "[admin]\nrecent_memory = 0\nwebhook = http://h/", "3: [admin] webhook needs events, and recent_memory = 0 keeps none; write recent_memory = 8, or leave webhook empty"},
		{"webhook_secret alone", "[admin]\nwebhook_secret = 0123456789abcdef", "2: [admin] webhook_secret is of no use without webhook; write the URL to post to as webhook"},
		{"http without port", "[admin]\nhttp = 127.0.0.1", `2: [admin] http holds "127.0.0.1", which is no address to listen on; write host:port with a port from 1 to 65535, such as 127.0.0.1:5060`},
		{"unknown store", "[location]\nstore = disk", `2: [location] store is "disk"; write memory, file or redis`},
		{"no path", "[location]\npath =", "2: [location] path is empty; write a path, or leave the line out"},
		{"ports shared without bindings", "[listen]\nshare_ports = yes", "2: [listen] share_ports is for daemons that share their bindings, in Redis; write store = redis in [location], or share_ports = no"},
		{"redis URL keeps its password", "[location]\nredis = http://:hunter2@h", "2: [location] redis is no URL of a Redis server; write one such as redis://127.0.0.1:6379/0; in a password write # / ? % and blanks as %23 %2F %3F %25 %20"},
		{"redis URL of a socket", "[location]\nredis = unix://run/redis.sock", "2: [location] redis names a socket without a whole path; write three slashes, as in unix:///run/redis/redis.sock"},
		{"redis URL with a bad port", "[location]\nredis = redis://:hunter2@h:70000", "2: [location] redis names no host and port of a Redis server; write one such as redis://127.0.0.1:6379/0"},
		{"redis URL with a bad database", "[location]\nredis = redis://:hunter2@h/sip", "2: [location] redis names no database; write its number behind the host, as the 0 in redis://127.0.0.1:6379/0"},
		{"redis URL with a slash alone", "[location]\nredis = redis://h:6379/", "2: [location] redis names no database; write its number behind the host, as the 0 in redis://127.0.0.1:6379/0"},
		{"redis URL with a slash too many", "[location]\nredis = redis://h:6379/0/", "2: [location] redis names no database; write its number behind the host, as the 0 in redis://127.0.0.1:6379/0"},
		{"redis URL with a bad db", "[location]\nredis = redis://h?db=hunter2", "2: [location] redis has a db that is no number; write that of the database, as db=0"},
		{"redis URL with a bad skip_verify", "[location]\nredis = rediss://h?skip_verify=perhaps", "2: [location] redis has a skip_verify that is neither true nor false; write skip_verify=true to take any certificate, or leave it out"},
		{"redis URL with a ca and no TLS", "[location]\nredis = redis://:hunter2@h/0?ca=ca.pem", "2: [location] redis has ca, and without TLS that is of no use; write rediss:// in front, or leave ca out"},
		{"redis socket with TLS", "[location]\nredis = unix:///run/redis.sock?server_name=h", "2: [location] redis has server_name, and without TLS that is of no use; write rediss:// in front, or leave server_name out"},
		{"redis URL with a certificate alone", "[location]\nredis = rediss://h?certificate=a.pem", "2: [location] redis has one of certificate and private_key alone; write both, or none"},
		{"redis URL with a thing twice", "[location]\nredis = redis://h?db=1&db=2", "2: [location] redis has db twice behind its ?; keep one of the two"},
		{"redis URL with a # in its password", "[location]\nredis = redis://:hun#ter2@h/0", "2: [location] redis is no URL of a Redis server; write one such as redis://127.0.0.1:6379/0; in a password write # / ? % and blanks as %23 %2F %3F %25 %20"},
		{"redis URL with a hole in its hosts", "[location]\nredis = redis://:hunter2@h:1,,i:2", "2: [location] redis names no host and port of a Redis server; write one such as redis://127.0.0.1:6379/0"},
		{"redis URL with an unknown word", "[location]\nredis = redis://h/0?hunter2=1", "2: [location] redis has something behind its ? that is not known; known are master_set, addr, db, sentinel_username, sentinel_password, ca, certificate, private_key, server_name, skip_verify"},
		{"redis URL with a bad addr", "[location]\nredis = redis://h/0?addr=hunter2:", "2: [location] redis has an addr that is no host and port; write each as addr=10.0.0.6:6379"},
		{"redis URL without a master", "[location]\nredis = redis://h/0?master_set=", "2: [location] redis has an empty master_set; write the name that the Sentinels know it by, as master_set=mymaster"},
		{"redis Cluster with a database", "[location]\nredis = redis://a:1,b:2/3", "2: [location] redis names a Cluster and another database than 0, and a Cluster has no other; leave the number behind the hosts out"},
		{"redis Sentinels without a master", "[location]\nredis = redis://a:1/0?sentinel_password=hunter2", "2: [location] redis has a name or password for Sentinels, and no master_set; write the name that the Sentinels know the master by, as master_set=mymaster"},
		{"node", "[location]\nnode = sip 1", "2: [location] node is no name of a node; write up to 63 letters, digits, hyphens, dots and underscores, such as sip1"},
		{"outbound", "[location]\noutbound = sip1.example.com", "2: [location] outbound is no SIP URI; write one that leads to this node, such as sip:sip1.example.com:5060"},
		{"several outbound", "[location]\noutbound = <sip:a;lr>,<sip:b;lr>", "2: [location] outbound is no SIP URI; write one that leads to this node, such as sip:sip1.example.com:5060"},
		{"node without redis", "[location]\nstore = memory\nnode = sip1", "3: [location] node is of no use without store = redis; write that too, or leave node out"},
		{"outbound without redis", "[location]\noutbound = sip:sip1.example.com", "2: [location] outbound is of no use without store = redis; write that too, or leave outbound out"},
		{"remembered without redis", "[location]\nremembered = 5", "2: [location] remembered is of no use without store = redis; write that too, or leave remembered out"},
		{"permit for nothing", "[calls]\npermit = 192.0.2.1", "2: [calls] permit is of no use without redirect and events; write redirect = yes or events = yes too, or leave permit empty"},
		{"max_subscriptions without events", "[calls]\nmax_subscriptions = 5", "2: [calls] max_subscriptions is of no use without events; write events = yes too, or leave max_subscriptions out"},
		{"subscriptions_per_aor without events", "[calls]\nredirect = yes\nsubscriptions_per_aor = 5", "3: [calls] subscriptions_per_aor is of no use without events; write events = yes too, or leave subscriptions_per_aor out"},
		{"subscriptions_per_peer without events", "[calls]\nsubscriptions_per_peer = 5", "2: [calls] subscriptions_per_peer is of no use without events; write events = yes too, or leave subscriptions_per_peer out"},
		{"nonce_secret", "[security]\nnonce_secret = hunter2", "2: [security] nonce_secret is too easy to guess; write 16 characters or more, such as what openssl rand -hex 24 prints"},
		{"jitter", "[registrar]\nexpiry_jitter = 51", `2: [registrar] expiry_jitter is "51"; write a whole number from 0 to 50, or auto`},
		{"expiration with a unit", "[registrar]\ndefault_expiration = 1h", `2: [registrar] default_expiration is "1h"; write a whole number from 1 to 4294967295`},
		{"expiration 0", "[registrar]\nminimum_expiration = 0", `2: [registrar] minimum_expiration is "0"; write a whole number from 1 to 4294967295`},
		{"expiration beyond 32 bits", "[registrar]\nmaximum_expiration = 4294967296", `2: [registrar] maximum_expiration is "4294967296"; write a whole number from 1 to 4294967295`},
		{"minimum above default", "[registrar]\nminimum_expiration = 900\ndefault_expiration = 600",
			"3: [registrar] minimum_expiration = 900 (line 2) is above default_expiration = 600 (line 3); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"default above maximum", "[registrar]\nmaximum_expiration = 1800",
			"2: [registrar] default_expiration = 3600 (the default) is above maximum_expiration = 1800 (line 2); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"max_contacts 0", "[registrar]\nmax_contacts = 0", `2: [registrar] max_contacts is "0"; write a whole number from 1 to 2147483647`},
		{"unknown algorithm", "[registrar]\nalgorithms = MD5, SHA-512", `2: [registrar] algorithms holds "SHA-512"; write MD5, SHA-256, or both with a comma`},
		{"algorithm twice", "[registrar]\nalgorithms = MD5, md5", "2: [registrar] algorithms holds MD5 twice; keep one of the two"},
		{"no algorithm", "[registrar]\nalgorithms =", "2: [registrar] algorithms is empty; write MD5, SHA-256, or both with a comma"},
		{"domain with a port", "[registrar]\ndomain = example.com:5060", `2: [registrar] domain holds "example.com:5060", which is no host name; write names such as example.com, without sip: and without a port`},
		{"domain twice", "[registrar]\ndomain = example.com, EXAMPLE.com.", "2: [registrar] domain holds example.com twice; keep one of the two"},
		{"frequency", "[registrar]\nqualify_frequency = often", `2: [registrar] qualify_frequency is "often"; write a whole number from 0 to 86400, or auto`},
		{"switch", "[registrar]\nremove_existing = maybe", `2: [registrar] remove_existing is "maybe"; write yes or no`},
		{"no peers", "[peers]\nfile =", "2: [peers] file is empty; write the path of a file with peers, such as peers.conf"},
		{"nonce_lifetime", "[security]\nnonce_lifetime = 86401", `2: [security] nonce_lifetime is "86401"; write a whole number from 1 to 86400`},
		{"level", "[log]\nlevel = loud", `2: [log] level is "loud"; write debug, info, warn or error`},
		{"format", "[log]\nformat = xml", `2: [log] format is "xml"; write auto, json or text`},
		{"unknown key", "[registrar]\nmax_contact = 1", "2: [registrar] unknown key max_contact; did you mean max_contacts?"},
		{"key of another section", "[listen]\nrealm = x", "2: [listen] unknown key realm; write it below [registrar]"},
		{"unknown section", "[registar]\nrealm = x", "1: [registar] unknown section; did you mean registrar?"},
		{"unknown section like none", "[general]", "1: [general] unknown section; the sections are listen, registrar, peers, location, security, calls, admin, log"},
		{"key before the sections", "realm = x", "1: realm stands before the first section; write it below [registrar]"},
		{"unknown key before the sections", "foo = x", "1: foo stands before the first section; write it below its section, such as [listen]"},
		{"key twice", "[log]\nlevel = info\n\nlevel = info", "4: [log] level stands on line 2 already; keep one of the two"},
		{"section twice", "[log]\n[admin]\n[LOG]", "3: [log] the section stands on line 1 already; keep one of the two"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(test.text)
			if err == nil {
				t.Fatal("no error")
			}
			if got, want := err.Error(), "/etc/x/sipregd.conf:"+test.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load("[listen]\nudp = 5060\n[log]\nlevel = x\nformat = y\n")
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("got %v", err)
	}
}
