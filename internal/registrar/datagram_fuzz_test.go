package registrar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
)

// FuzzDatagram passes arbitrary bytes the whole way. Whatever comes, a
// response has well-formed lines and is no amplifier's, and nothing is bound.
func FuzzDatagram(f *testing.F) {
	for _, data := range tortureMessages(f) {
		f.Add(data)
	}
	l := newLab(f, withJournal(silent{}), withAlgorithms(digest.SHA256, digest.MD5))
	f.Fuzz(func(t *testing.T, data []byte) {
		l.pass(time.Second) // else there would be too many answers
		response := string(l.receive(string(data)))
		if len(response) > 3*len(data) {
			t.Errorf("%d bytes are answered with %d", len(data), len(response))
		}
		if response != "" {
			checkWellFormed(t, response)
		}
		if aors, _ := l.store.Count(); aors != 0 {
			t.Error("something was bound")
		}
	})
}

// tortureMessages returns the torture set, by the names of its files.
func tortureMessages(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/torture/*.sip")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d torture messages: %v", len(paths), err)
	}
	messages := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		messages[filepath.Base(path)] = data
	}
	return messages
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
