package config

import (
	"fmt"
	"strings"

	"sipregd/internal/inifile"
	"sipregd/internal/message"
)

// maxNodeName is in bytes. The name stands with each binding.
const maxNodeName = 63

// nodeName reads what this daemon is called by others that share its bindings.
func nodeName(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if value != "" && !IsNodeName(value) {
			return &inifile.Fault{Cause: "is no name of a node",
				Advice: fmt.Sprintf("write up to %d letters, digits, hyphens, dots and underscores, such as sip1", maxNodeName)}
		}
		*target = value
		return nil
	}
}

// IsNodeName tells whether a node may be called that.
func IsNodeName(text string) bool {
	return text != "" && len(text) <= maxNodeName && !strings.ContainsFunc(text, isUnfitForName)
}

func isUnfitForName(r rune) bool {
	isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !isLetter && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
}

// outbound reads the URI that leads to this node, as a value of Path: in brackets, and
// routed to loosely (RFC 3327 §5.1).
func outbound(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		route := value
		if value != "" && !strings.HasPrefix(value, "<") {
			route = "<" + value + ">"
		}
		if inner, ends := strings.CutSuffix(route, ">"); ends && !strings.HasSuffix(inner, ";lr") && !strings.Contains(inner, ";lr;") {
			route = inner + ";lr>"
		}
		if route != "" && (message.CheckRoutes(route) != nil || strings.Count(route, "<") > 1) {
			return &inifile.Fault{Cause: "is no SIP URI", Advice: "write one that leads to this node, such as sip:sip1.example.com:5060"}
		}
		*target = route
		return nil
	}
}
