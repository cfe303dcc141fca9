// Package config reads sipregd.conf into one struct.
package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
)

// DefaultPath is where sipregd.conf is looked for when nobody says where.
const DefaultPath = "/etc/sipregd/sipregd.conf"

// Config is what sipregd.conf says, checked, with defaults for what it does not
// say. Two that say the same are equal by reflect.DeepEqual. Paths are resolved
// against the directory of sipregd.conf.
type Config struct {
	Listen    Listen
	Registrar Registrar
	Peers     Peers
	Location  Location
	Security  Security
	Calls     Calls
	Admin     Admin
	Log       Log
}

// Listen is where requests are taken: lists of host:port as net.Listen wants
// them, an empty host for every address of the machine. An empty list is not
// listened on.
type Listen struct {
	UDP, TCP, TLS, WS, WSS []string
	MutualTLS              []string // TLS where phones are asked for certificates; empty: TLS and WSS ask
	Certificate            string   // path of a chain in PEM, empty: none, and neither TLS nor WSS
	PrivateKey             string   // likewise, of its key
	ClientCA               string   // likewise, of those who sign client certificates; empty: none is asked for
	TransactionMemory      int      // MB, for what retransmissions are answered with
	MaxStreams             int      // that are open at once
	StreamsPerSource       int      // of them from one IPv4 address or one /64 of IPv6
	SharePorts             bool     // with another daemon that shares the bindings
}

// Registrar is what holds for every peer that does not say otherwise.
type Registrar struct {
	Domains           []string // served, canonical, the primary one first; none: one domain for all hosts
	Realm             string   // empty: the matched domain, or sipregd where there is none
	DefaultExpiration uint32   // seconds
	MinimumExpiration uint32   // seconds
	MaximumExpiration uint32   // seconds
	MaxContacts       int      // bindings of one address-of-record, at least 1
	MaxAORs           int      // of a peer with aorname = *, at least 1
	Algorithms        []digest.Algorithm
	RemoveExisting    bool
	CSeqReset         bool   // a phone may begin to count anew with its old Call-ID
	RecognizePhone    string // auto, yes or no: by its Call-ID, its push token or its account's number
	DisconnectGrace   int    // seconds that a binding outlives its connection
	ServiceRoute      string // values of Service-Route, empty: none
	FlowTimer         int    // seconds, how often phones are told to send keepalives; 0: they are not
	RemoveUnavailable bool   // with RemoveExisting off: bindings that are unreachable make room
	QualifyFrequency  int    // seconds between two questions whether a phone is there; 0: never; inifile.Auto: behind NAT alone
	QualifyTimeout    int    // seconds without an answer that make it unreachable
	ExpiryJitter      int    // percent that a time is shortened by at most, by chance; inifile.Auto: after an outage of a shared store alone
}

// Peers is where peers are read from.
type Peers struct {
	Files []string // paths and glob patterns, at least one
}

// Location is where bindings are kept.
type Location struct {
	Store          string // memory, file or redis
	Path           string
	RequireDurable bool
	Redis          string // URL; it may hold a password
	Node           string // name of this daemon among those that share the bindings, empty: that of the machine
	Outbound       string // value of Path by which others reach the phones whose flow is here, empty: none
	Remembered     int    // AORs of which is kept here what there is in the store that nodes share
}

// Security is what keeps strangers off. Rates are in requests a second, 0: no limit.
type Security struct {
	NonceLifetime int            // seconds
	NonceSecret   string         // which all have that take each other's nonces, empty: that of the shared store, or none
	Rate          int            // of each source where no peer has proved itself lately
	UnknownRate   int            // of all those together
	KnownRate     int            // of each source where one has
	Ban           bool           // sources that try many authnames
	Trusted       []netip.Prefix // are neither limited nor banned by themselves
}

// Calls is what is done for calls.
type Calls struct {
	Redirect bool           // callers are told where the phones are that they call
	Permit   []netip.Prefix // PBXs and proxies, that need prove nothing for that

	Events               bool // registration events (RFC 3680) may be subscribed to
	MaxSubscriptions     int  // in all
	SubscriptionsPerAOR  int
	SubscriptionsPerPeer int
}

// Admin is where the administrator is listened to, and told.
type Admin struct {
	Socket        string // path, empty: none
	HTTP          string // host:port, empty: not listened on
	Token         string // that HTTP asks for; empty: none, and HTTP is on loopback
	Webhook       string // URL that events are posted to, empty: none; it may hold a password
	WebhookSecret string // that posts are signed with, empty: they are not
	RecentMemory  int    // MB, for the events that are remembered; 0: none are, nor shown to anybody
}

// Log is what is logged, and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto, json or text
}

// Default returns what holds where there is no file at DefaultPath.
func Default() Config { return defaults(filepath.Dir(DefaultPath)) }

func defaults(directory string) Config {
	return Config{
		Listen: Listen{UDP: []string{":5060"}, TCP: []string{":5060"}, TransactionMemory: 64, MaxStreams: 50000, StreamsPerSource: 500},
		Registrar: Registrar{
			DefaultExpiration: 3600,
			MinimumExpiration: 60,
			MaximumExpiration: 7200,
			MaxContacts:       10,
			MaxAORs:           10000,
			Algorithms:        []digest.Algorithm{digest.MD5},
			RemoveExisting:    true,
			RecognizePhone:    "auto",
			DisconnectGrace:   32,
			FlowTimer:         120,
			QualifyFrequency:  inifile.Auto,
			QualifyTimeout:    3,
			ExpiryJitter:      inifile.Auto,
		},
		Peers:    Peers{Files: []string{filepath.Join(directory, "peers.conf")}},
		Location: Location{Store: "file", Path: "/var/lib/sipregd", Redis: "redis://127.0.0.1:6379/0", Remembered: 1000000},
		Security: Security{NonceLifetime: 300, Rate: 20, UnknownRate: 5000, KnownRate: 1000, Ban: true, Trusted: loopback()},
		Calls:    Calls{MaxSubscriptions: 10000, SubscriptionsPerAOR: 20, SubscriptionsPerPeer: 100},
		Admin:    Admin{Socket: "/run/sipregd/sipregd.sock", RecentMemory: 8},
		Log:      Log{Level: "info", Format: "auto"},
	}
}

// loopback is who is trusted where nothing is said: nobody else can come from there.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Load reads sipregd.conf. The error is os.ErrNotExist where there is no such
// file, and a *inifile.Report with file:line of each fault where it is wrong.
func Load(path string) (Config, error) {
	file, err := inifile.Load(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Config{}, inifile.Unreadable(path, err, "write it, or name another one with --config")
	case errors.Is(err, os.ErrPermission):
		return Config{}, inifile.Unreadable(path, err, "let the account that sipregd runs under read it")
	case err != nil:
		return Config{}, err
	}
	return read(file)
}

func read(file inifile.File) (Config, error) {
	r := newReader(file)
	r.readSections()
	r.checkTogether()
	if err := r.report.Err(); err != nil {
		return Config{}, err
	}
	return r.config, nil
}
