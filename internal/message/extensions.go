package message

import "strings"

// Extensions is a set of option tags (RFC 3261 §19.2) of those that matter to a
// registrar.
type Extensions uint8

// The extensions.
const (
	ExtensionPath     Extensions = 1 << iota // RFC 3327
	ExtensionOutbound                        // RFC 5626
	ExtensionGRUU                            // RFC 5627
)

var extensionNames = [...]struct {
	extension Extensions
	name      string
}{{ExtensionPath, "path"}, {ExtensionOutbound, "outbound"}, {ExtensionGRUU, "gruu"}}

// Has tells whether the extension is in the set.
func (e Extensions) Has(extension Extensions) bool { return e&extension != 0 }

// ExtensionOf returns the extension of an option tag, 0 for all others.
func ExtensionOf(tag string) Extensions {
	for i := range extensionNames {
		if strings.EqualFold(tag, extensionNames[i].name) {
			return extensionNames[i].extension
		}
	}
	return 0
}

func extensionsOf(tags []string) (set Extensions) {
	for _, tag := range tags {
		set |= ExtensionOf(tag)
	}
	return set
}
