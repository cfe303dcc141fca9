package peers

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// parseAORName reads user or user@domain. Escapes in the user part are undone.
// The cause of its fault reads on from "aorname".
func parseAORName(name, domain string, served Domains) (sipuri.AOR, *inifile.Fault) {
	user, host, hasHost := strings.Cut(name, "@")
	switch {
	case user == "" || hasHost && host == "":
		return sipuri.AOR{}, badAORName(name, "write a user part, or user@domain")
	case user == "*":
		return sipuri.AOR{}, badAORName(name, "write * alone, and domain = for the domain that it means")
	case !isUserPart(user):
		return sipuri.AOR{}, badAORName(name, "write user or user@domain without sip: and port, commas between two, and %20 for a blank")
	}
	aor := sipuri.AOR{User: sipuri.Unescape(user), Domain: domain}
	if !hasHost {
		return aor, nil
	}
	if !sipuri.IsHost(host) {
		return sipuri.AOR{}, badAORName(name, "write a host name behind the @, and %40 for an @ in the user part")
	}
	aor.Domain = sipuri.CanonicalHost(host)
	if _, known := served.Match(host); !known {
		return sipuri.AOR{}, notServed("names the domain "+aor.Domain, aor.Domain)
	}
	return aor, nil
}

// isUserPart takes any text that a URI can hold as it is or escaped, so that
// names may be written as people do.
func isUserPart(user string) bool {
	plain := sipuri.Unescape(user)
	return !strings.ContainsAny(user, " \t:<>\"") && utf8.ValidString(plain) &&
		strings.IndexFunc(plain, unicode.IsControl) < 0
}

func badAORName(name, advice string) *inifile.Fault {
	return &inifile.Fault{Cause: "holds " + inifile.Quote(name), Advice: advice}
}
