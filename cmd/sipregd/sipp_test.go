package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// requireProgram skips a test whose other side is not installed. In CI that is
// a failure.
func requireProgram(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed: apt-get install %s", program, pkg)
	}
	t.Skipf("SKIPPED: %s is not installed: apt-get install %s", program, pkg)
}

// sipp runs a scenario of testdata/sipp once against an address.
func sipp(t *testing.T, scenario, transport string, target netip.AddrPort, arguments ...string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "testdata", "sipp", scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, "sipp", append([]string{target.String(), "-sf", path, "-m", "1",
		"-t", transport, "-i", "127.0.0.1", "-p", strconv.Itoa(freePort(t)), "-nostdin",
		"-timeout", "10", "-timeout_error", "-trace_err", "-trace_msg"}, arguments...)...)
	command.Dir = t.TempDir()
	var screen bytes.Buffer
	command.Stdout, command.Stderr = &screen, &screen
	if err := command.Run(); err != nil {
		t.Errorf("sipp %s: %v\n%s", scenario, err, traces(command.Dir))
	}
}

// traces returns what SIPp wrote down of messages and errors.
func traces(directory string) string {
	var all bytes.Buffer
	paths, _ := filepath.Glob(filepath.Join(directory, "*.log"))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		all.Write(text)
	}
	return all.String()
}

func TestSIPp(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	kitchen := []string{"-au", "7f3a9c", "-ap", "any;text#at all"}
	tests := []struct {
		scenario string
		conf     string
		aor      string
		who      []string
	}{
		{"register", "", "2001", kitchen},
		{"register", "[registrar]\nalgorithms = MD5, SHA-256\n", "2001", kitchen},
		{"refresh-query-unregister", "", "2001", kitchen},
		{"wildcard", "", "2001", kitchen},
		{"third-party", "", "2001", kitchen},
		{"too-brief", "", "2001", kitchen},
		{"shortened", "", "2001", kitchen},
		{"forbidden", "", "2002", kitchen},
		{"forbidden", "", "7f3a9c", kitchen},
		{"not-found", "[registrar]\ndomain = 127.0.0.1\n", "2001", kitchen},
		{"wrong-secret", "", "2001", []string{"-au", "7f3a9c", "-ap", "wrong"}},
		{"wrong-secret", "", "2001", []string{"-au", "2001", "-ap", "any;text#at all"}},
		{"wrong-secret", "", "2001", []string{"-au", "Kitchen, 1st floor", "-ap", "any;text#at all"}},
		{"require", "", "2001", kitchen},
		{"publish", "", "2001", kitchen},
		{"options", "", "2001", kitchen},
	}
	for _, test := range tests {
		for _, transport := range []string{"u1", "t1"} {
			name := test.scenario + " " + transport + " " + test.who[1] + " " + test.aor
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := startDaemon(t, test.conf, kitchenPeers)
				target := d.udp
				if transport == "t1" {
					target = d.tcp
				}
				sipp(t, test.scenario, transport, target, append([]string{"-s", test.aor}, test.who...)...)
			})
		}
	}
}

// Bindings of peers that a reload takes away go with them.
func TestReloadRemovesTheBindingsOfPeersThatAreGone(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	d := startDaemon(t, "", kitchenPeers)
	sipp(t, "register", "u1", d.udp, "-s", "2001", "-au", "7f3a9c", "-ap", "any;text#at all")
	d.waitLog(t, `"event":"added"`)
	d.writePeers(t, "[Other]\nauthname = o\nsecret = o\naorname = 1\n")
	d.reload(t, "1 added, 1 removed, 0 changed")
	d.waitLog(t, `"event":"removed"`)
	d.waitLog(t, `"reason":"peer_changed"`)
}
