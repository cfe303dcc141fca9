package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// printValue prints what the daemon would answer if it had more to say.
func printValue(out io.Writer, value any) error {
	document, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return printJSON(out, document)
}

// printJSON prints what the daemon answered, as one document.
func printJSON(out io.Writer, document []byte) error {
	_, err := fmt.Fprintf(out, "%s\n", visibleJSON(bytes.TrimSpace(document)))
	return err
}

// visibleJSON escapes in a JSON text what encoding/json leaves as it is and a
// terminal may obey. All of it stands within strings.
func visibleJSON(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if strconv.IsPrint(r) {
			b = utf8.AppendRune(b, r)
		} else if r < 0x10000 {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return b
}
