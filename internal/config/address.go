package config

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// The ports where an address names none (RFC 3261 §19.1.2, RFC 6455 §3).
const (
	sipPort  = "5060"
	sipsPort = "5061"
	wsPort   = "80"
	wssPort  = "443"
)

// addresses reads a list of host:port. A host alone gets defaultPort.
func addresses(target *[]string, defaultPort string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		items, fault := inifile.List(value)
		if fault != nil {
			return fault
		}
		for i, item := range items {
			if items[i], fault = parseAddress(item, defaultPort); fault != nil {
				return fault
			}
			if slices.Contains(items[:i], items[i]) {
				return &inifile.Fault{Cause: "holds " + items[i] + " twice", Advice: "keep one of the two"}
			}
		}
		*target = items
		return nil
	}
}

// address reads one host:port, or nothing.
func address(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if value == "" {
			*target = ""
			return nil
		}
		parsed, fault := parseAddress(value, "")
		if fault == nil {
			*target = parsed
		}
		return fault
	}
}

// isLoopback tells whether nobody but this machine can reach a host:port.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, noIP := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || noIP == nil && ip.IsLoopback())
}

// parseAddress returns host:port as net.Listen wants it. An empty host stands
// for every address. defaultPort may be empty: then the port must be written.
func parseAddress(item, defaultPort string) (string, *inifile.Fault) {
	host, port, hasPort := cutPort(item)
	if strings.Contains(host, ":") && host[0] != '[' {
		return "", badAddress(item, "put an IPv6 address in brackets, such as [::1]:5060")
	}
	if !hasPort {
		port = defaultPort
	}
	if _, err := sipuri.ParsePort(port); err != nil {
		return "", badAddress(item, "write host:port with a port from 1 to 65535, such as 127.0.0.1:5060")
	}
	if host != "" && !isListenHost(host) || host == "" && !hasPort {
		return "", badAddress(item, "write host:port, such as 192.0.2.1:5060, or :5060 for every address")
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

// cutPort splits at the last colon that no bracket follows. The host of two
// colons and no bracket is an IPv6 address without its brackets.
func cutPort(item string) (host, port string, found bool) {
	i := strings.LastIndexByte(item, ':')
	if i < 0 || strings.IndexByte(item[i:], ']') >= 0 {
		return item, "", false
	}
	return item[:i], item[i+1:], true
}

// isListenHost takes names and addresses, those of IPv6 in brackets and with a
// zone where they have one.
func isListenHost(host string) bool {
	if host[0] == '[' {
		inner, closed := strings.CutSuffix(host[1:], "]")
		address, err := netip.ParseAddr(inner)
		return closed && err == nil && address.Is6()
	}
	if strings.Trim(host, "0123456789.") == "" { // what looks like an IPv4 address has to be one
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return sipuri.IsHost(host)
}

func badAddress(item, advice string) *inifile.Fault {
	return &inifile.Fault{Cause: "holds " + inifile.Quote(item) + ", which is no address to listen on", Advice: advice}
}
