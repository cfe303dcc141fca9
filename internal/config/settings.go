package config

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// setting is a key of sipregd.conf. The causes of read's faults read on from
// the name of the key.
type setting struct {
	section, key string
	read         func(value string) *inifile.Fault
}

// settings returns all keys in the order of the sample. They write to c;
// relative paths are relative to directory.
func settings(c *Config, directory string) []setting {
	return []setting{
		{"listen", "udp", addresses(&c.Listen.UDP, sipPort)},
		{"listen", "tcp", addresses(&c.Listen.TCP, sipPort)},
		{"listen", "tls", addresses(&c.Listen.TLS, sipsPort)},
		{"listen", "ws", addresses(&c.Listen.WS, wsPort)},
		{"listen", "mutual_tls", addresses(&c.Listen.MutualTLS, sipsPort)},
		{"listen", "wss", addresses(&c.Listen.WSS, wssPort)},
		{"listen", "certificate", path(&c.Listen.Certificate, directory)},
		{"listen", "private_key", path(&c.Listen.PrivateKey, directory)},
		{"listen", "client_ca", path(&c.Listen.ClientCA, directory)},
		{"listen", "transaction_memory", number(&c.Listen.TransactionMemory, 1, 16384)},
		{"listen", "max_streams", number(&c.Listen.MaxStreams, 1, 10000000)},
		{"listen", "streams_per_source", number(&c.Listen.StreamsPerSource, 1, 10000000)},
		{"listen", "share_ports", yesOrNo(&c.Listen.SharePorts)},

		{"registrar", "domain", domains(&c.Registrar.Domains)},
		{"registrar", "realm", text(&c.Registrar.Realm)},
		{"registrar", "default_expiration", number(&c.Registrar.DefaultExpiration, 1, math.MaxUint32)},
		{"registrar", "minimum_expiration", number(&c.Registrar.MinimumExpiration, 1, math.MaxUint32)},
		{"registrar", "maximum_expiration", number(&c.Registrar.MaximumExpiration, 1, math.MaxUint32)},
		{"registrar", "max_contacts", number(&c.Registrar.MaxContacts, 1, math.MaxInt32)},
		{"registrar", "max_aors", number(&c.Registrar.MaxAORs, 1, math.MaxInt32)},
		{"registrar", "algorithms", algorithms(&c.Registrar.Algorithms)},
		{"registrar", "remove_existing", yesOrNo(&c.Registrar.RemoveExisting)},
		{"registrar", "remove_unavailable", yesOrNo(&c.Registrar.RemoveUnavailable)},
		{"registrar", "cseq_reset", yesOrNo(&c.Registrar.CSeqReset)},
		{"registrar", "recognize_phone", word(&c.Registrar.RecognizePhone, "auto", "yes", "no")},
		{"registrar", "disconnect_grace", number(&c.Registrar.DisconnectGrace, 0, 86400)},
		{"registrar", "service_route", routes(&c.Registrar.ServiceRoute)},
		{"registrar", "flow_timer", number(&c.Registrar.FlowTimer, 0, 86400)},
		{"registrar", "qualify_frequency", numberOrAuto(&c.Registrar.QualifyFrequency, 0, 86400)},
		{"registrar", "qualify_timeout", number(&c.Registrar.QualifyTimeout, 1, 60)},
		{"registrar", "expiry_jitter", numberOrAuto(&c.Registrar.ExpiryJitter, 0, 50)},

		{"peers", "file", files(&c.Peers.Files, directory)},

		{"location", "store", word(&c.Location.Store, "memory", "file", "redis")},
		{"location", "path", required(path(&c.Location.Path, directory))},
		{"location", "require_durable", yesOrNo(&c.Location.RequireDurable)},
		{"location", "redis", redisURL(&c.Location.Redis, directory)},
		{"location", "node", nodeName(&c.Location.Node)},
		{"location", "outbound", outbound(&c.Location.Outbound)},
		{"location", "remembered", number(&c.Location.Remembered, 1, 1000000000)},

		{"security", "nonce_lifetime", number(&c.Security.NonceLifetime, 1, 86400)},
		{"security", "nonce_secret", secret(&c.Security.NonceSecret)},
		{"security", "rate", number(&c.Security.Rate, 0, maxRate)},
		{"security", "unknown_rate", number(&c.Security.UnknownRate, 0, maxRate)},
		{"security", "known_rate", number(&c.Security.KnownRate, 0, maxRate)},
		{"security", "ban", yesOrNo(&c.Security.Ban)},
		{"security", "trusted", networks(&c.Security.Trusted)},

		{"calls", "redirect", yesOrNo(&c.Calls.Redirect)},
		{"calls", "permit", networks(&c.Calls.Permit)},
		{"calls", "events", yesOrNo(&c.Calls.Events)},
		{"calls", "max_subscriptions", number(&c.Calls.MaxSubscriptions, 1, 10000000)},
		{"calls", "subscriptions_per_aor", number(&c.Calls.SubscriptionsPerAOR, 1, 10000000)},
		{"calls", "subscriptions_per_peer", number(&c.Calls.SubscriptionsPerPeer, 1, 10000000)},

		{"admin", "socket", path(&c.Admin.Socket, directory)},
		{"admin", "http", address(&c.Admin.HTTP)},
		{"admin", "token", token(&c.Admin.Token)},
		{"admin", "webhook", webhook(&c.Admin.Webhook)},
		{"admin", "webhook_secret", token(&c.Admin.WebhookSecret)},
		{"admin", "recent_memory", number(&c.Admin.RecentMemory, 0, 8192)},

		{"log", "level", word(&c.Log.Level, "debug", "info", "warn", "error")},
		{"log", "format", word(&c.Log.Format, "auto", "json", "text")},
	}
}

// maxRate is in requests a second, more than can be served.
const maxRate = 1_000_000

func networks(target *[]netip.Prefix) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		items, fault := inifile.List(value)
		if fault != nil {
			return fault
		}
		var list []netip.Prefix
		for _, item := range items {
			network, err := netip.ParsePrefix(item)
			if err != nil {
				address, _ := netip.ParseAddr(item)
				network = netip.PrefixFrom(address, address.BitLen())
			}
			if !network.IsValid() || network.Addr().Zone() != "" || network.Addr().Is4In6() {
				return &inifile.Fault{Cause: "holds " + inifile.Quote(item) + ", which is no network",
					Advice: "write networks such as 192.0.2.0/24 or 2001:db8::/32, or single addresses"}
			}
			list = append(list, network.Masked())
		}
		*target = list
		return nil
	}
}

func text(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		*target = value
		return nil
	}
}

func number[T int | uint32](target *T, minimum, maximum uint64) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		n, fault := inifile.Number(value, minimum, maximum)
		if fault == nil {
			*target = T(n)
		}
		return fault
	}
}

func numberOrAuto(target *int, minimum, maximum uint64) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		n, fault := inifile.NumberOrAuto(value, minimum, maximum)
		if fault == nil {
			*target = n
		}
		return fault
	}
}

func yesOrNo(target *bool) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		on, fault := inifile.Switch(value)
		if fault == nil {
			*target = on
		}
		return fault
	}
}

func word(target *string, known ...string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		value = strings.ToLower(value)
		if !slices.Contains(known, value) {
			return inifile.UnknownWord(value, known)
		}
		*target = value
		return nil
	}
}

func path(target *string, directory string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		*target = resolve(value, directory)
		return nil
	}
}

// resolve returns an empty path as it is.
func resolve(path, directory string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(directory, path)
}

func required(read func(string) *inifile.Fault) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if value == "" {
			return &inifile.Fault{Cause: "is empty", Advice: "write a path, or leave the line out"}
		}
		return read(value)
	}
}

func files(target *[]string, directory string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		names, fault := inifile.List(value)
		if fault != nil {
			return fault
		}
		if len(names) == 0 {
			return &inifile.Fault{Cause: "is empty", Advice: "write the path of a file with peers, such as peers.conf"}
		}
		for i := range names {
			names[i] = resolve(names[i], directory)
		}
		*target = names
		return nil
	}
}

func domains(target *[]string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		names, fault := inifile.List(value)
		if fault != nil {
			return fault
		}
		for i, name := range names {
			if !sipuri.IsHost(name) {
				return &inifile.Fault{Cause: "holds " + inifile.Quote(name) + ", which is no host name",
					Advice: "write names such as example.com, without sip: and without a port"}
			}
			names[i] = sipuri.CanonicalHost(name)
			if slices.Contains(names[:i], names[i]) {
				return &inifile.Fault{Cause: "holds " + names[i] + " twice", Advice: "keep one of the two"}
			}
		}
		*target = names
		return nil
	}
}

func algorithms(target *[]digest.Algorithm) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		names, fault := inifile.List(value)
		if fault != nil {
			return fault
		}
		var list []digest.Algorithm
		for _, name := range names {
			algorithm, err := digest.ParseAlgorithm(name)
			if err != nil {
				return &inifile.Fault{Cause: "holds " + inifile.Quote(name), Advice: "write MD5, SHA-256, or both with a comma"}
			}
			if slices.Contains(list, algorithm) {
				return &inifile.Fault{Cause: fmt.Sprintf("holds %s twice", algorithm), Advice: "keep one of the two"}
			}
			list = append(list, algorithm)
		}
		if len(list) == 0 {
			return &inifile.Fault{Cause: "is empty", Advice: "write MD5, SHA-256, or both with a comma"}
		}
		*target = list
		return nil
	}
}

func routes(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if value != "" {
			if err := message.CheckRoutes(value); err != nil {
				return &inifile.Fault{Cause: "is no route: " + strings.ToLower(err.Error()),
					Advice: "write the URI of the proxy, such as <sip:proxy.example.com;lr>, several with commas"}
			}
		}
		*target = value
		return nil
	}
}

// minToken is how many characters nobody guesses.
const minToken = 16

// token does not repeat the text in its fault: it is a secret.
func token(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		isUnfit := func(r rune) bool { return r <= ' ' || r > '~' }
		if value != "" && (len(value) < minToken || strings.ContainsFunc(value, isUnfit)) {
			return &inifile.Fault{Cause: "is too easy to guess, or has a blank or another character that is not ASCII",
				Advice: fmt.Sprintf("write %d characters or more, such as what openssl rand -hex 24 prints", minToken)}
		}
		*target = value
		return nil
	}
}

// secret does not repeat the text in its fault. It may be any.
func secret(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if value != "" && len(value) < minToken {
			return &inifile.Fault{Cause: "is too easy to guess",
				Advice: fmt.Sprintf("write %d characters or more, such as what openssl rand -hex 24 prints", minToken)}
		}
		*target = value
		return nil
	}
}

// webhook does not repeat the URL in its fault: it may hold a password.
func webhook(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "") {
			return &inifile.Fault{Cause: "is no URL to post to", Advice: "write one such as https://pbx.example.com/sip-events"}
		}
		*target = value
		return nil
	}
}
