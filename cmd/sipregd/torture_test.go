package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tortureCase is a line of testdata/torture/cases.txt.
type tortureCase struct {
	name    string
	status  int // 0: silence
	pattern string
	message []byte
}

func readTortureCases(t *testing.T) []tortureCase {
	t.Helper()
	directory := filepath.Join("..", "..", "testdata", "torture")
	text, err := os.ReadFile(filepath.Join(directory, "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []tortureCase
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(strings.TrimSuffix(line, "\n"), " | ")
		if len(columns) != 5 {
			t.Fatalf("not five columns: %s", line)
		}
		status, err := strconv.Atoi(columns[2])
		if err != nil && columns[2] != "none" {
			t.Fatalf("no status: %s", line)
		}
		message, err := os.ReadFile(filepath.Join(directory, columns[0]+".sip"))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, tortureCase{columns[0], status, columns[3], message})
	}
	if files, _ := filepath.Glob(filepath.Join(directory, "*.sip")); len(files) != len(cases) {
		t.Errorf("%d messages, but %d lines in cases.txt", len(files), len(cases))
	}
	return cases
}

// TestTorture sends each message of the set (RFC 4475 and others) to one
// daemon, which has to answer as the table says and to live on.
func TestTorture(t *testing.T) {
	d := startDaemon(t, "", "[torture]\nauthname = torture\nsecret = secret\naorname = *\n")
	for _, c := range readTortureCases(t) {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(d.udp))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			port := conn.LocalAddr().(*net.UDPAddr).Port
			message := bytes.ReplaceAll(c.message, []byte("{{PORT}}"), []byte(strconv.Itoa(port)))
			response := exchange(t, conn, message)
			checkTorture(t, c, message, response)
		})
	}
}

// exchange sends a message and behind it a ping, and returns what came before
// the ping's answer: the response, or nothing.
func exchange(t *testing.T, conn *net.UDPConn, message []byte) string {
	t.Helper()
	ping := fmt.Sprintf("OPTIONS sip:ping SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bKping;rport\r\n"+
		"From: <sip:p@p>;tag=p\r\nTo: <sip:p@p>\r\nCall-ID: the-ping\r\nCSeq: 1 OPTIONS\r\n\r\n", conn.LocalAddr())
	for _, data := range [][]byte{message, []byte(ping)} {
		if _, err := conn.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	response := ""
	buffer := make([]byte, 65536)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the daemon does not answer any more")
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(buffer[:n]), "Call-ID: the-ping\r\n") {
			return response
		}
		response = string(buffer[:n])
	}
}

func checkTorture(t *testing.T, c tortureCase, message []byte, response string) {
	t.Helper()
	if c.status == 0 {
		if response != "" {
			t.Errorf("answered:\n%s", response)
		}
		return
	}
	if !strings.HasPrefix(response, fmt.Sprintf("SIP/2.0 %d ", c.status)) {
		t.Fatalf("want %d for\n%s\ngot\n%s", c.status, message, response)
	}
	pattern, not := strings.CutPrefix(c.pattern, "!")
	if regexp.MustCompile(pattern).MatchString(response) == not {
		t.Errorf("%q and the response disagree:\n%s", c.pattern, response)
	}
	checkResponseLines(t, response)
}

// checkResponseLines sees to it that nothing of a request has broken out of
// its line in the response.
func checkResponseLines(t *testing.T, response string) {
	t.Helper()
	head, body, found := strings.Cut(response, "\r\n\r\n")
	if !found || body != "" {
		t.Errorf("the response has no end, or a body:\n%q", response)
	}
	header := regexp.MustCompile("^(Via|From|To|Call-ID|CSeq|WWW-Authenticate|Allow|Accept|Accept-Encoding|" +
		"Supported|Unsupported|Content-Length|Date|Contact|Min-Expires): ")
	for i, line := range strings.Split(head, "\r\n") {
		if i > 0 && !header.MatchString(line) {
			t.Errorf("a line that no one asked for: %q", line)
		}
		if regexp.MustCompile(`(^|[^\\])[\x00-\x08\x0a-\x1f\x7f]`).MatchString(line) {
			t.Errorf("a control character: %q", line)
		}
	}
}
