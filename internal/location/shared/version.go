package shared

import (
	"strconv"
	"strings"
)

// version is that of a hash: when it was written by Redis's clock, later than the one
// before in any case, and a number of the node's that makes it unlike any other, even
// where the hash was gone meanwhile. The zero value: there are no bindings.
type version struct {
	micros uint64 // since 1970
	serial uint64
}

const serialBase = 36

// appendTo appends the version as it stands in its field, nothing for none.
func (v version) appendTo(text []byte) []byte {
	if v == (version{}) {
		return text
	}
	text = strconv.AppendUint(text, v.micros, 10)
	return strconv.AppendUint(append(text, '-'), v.serial, serialBase)
}

func (v version) String() string {
	var space [48]byte
	return string(v.appendTo(space[:0]))
}

// parseVersion reads a version. It is not ok where nobody here can have written it.
func parseVersion(text string) (v version, ok bool) {
	if text == "" {
		return version{}, true
	}
	micros, serial, _ := strings.Cut(text, "-")
	var errMicros, errSerial error
	v.micros, errMicros = strconv.ParseUint(micros, 10, 64)
	v.serial, errSerial = strconv.ParseUint(serial, serialBase, 64)
	return v, errMicros == nil && errSerial == nil && v.String() == text
}
