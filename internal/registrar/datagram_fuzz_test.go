package registrar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDatagram passes arbitrary bytes the whole way. Whatever comes, a
// response has well-formed lines, and nothing is bound.
func FuzzDatagram(f *testing.F) {
	paths, err := filepath.Glob("../../testdata/torture/*.sip")
	if err != nil || len(paths) == 0 {
		f.Fatal("no torture messages to start from: ", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	l := newLab(f, withJournal(silent{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		response := string(l.receive(string(data)))
		if response != "" {
			checkWellFormed(t, response)
		}
		if aors, _ := l.store.Count(); aors != 0 {
			t.Error("something was bound")
		}
	})
}

func checkWellFormed(t *testing.T, response string) {
	t.Helper()
	head, body, found := strings.Cut(response, "\r\n\r\n")
	if !found || body != "" || !strings.HasPrefix(head, "SIP/2.0 ") {
		t.Fatalf("no response: %q", response)
	}
	for i, line := range strings.Split(head, "\r\n") {
		name, _, found := strings.Cut(line, ": ")
		if i > 0 && (!found || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "") {
			t.Errorf("no header field: %q", line)
		}
		if strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line end within a line: %q", line)
		}
	}
}
