package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const kitchenPeers = "[Kitchen, 1st floor]\nauthname = 7f3a9c\nsecret = any;text#at all\naorname = 2001\n"

// runToEnd runs sipregd with arguments and returns what it printed and its
// exit status.
func runToEnd(t *testing.T, arguments ...string) (string, int) {
	t.Helper()
	command := exec.Command(buildDaemon(t), arguments...)
	text, err := command.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return string(text), command.ProcessState.ExitCode()
}

func TestCheckSaysWhatIsWrongAndWhere(t *testing.T) {
	tests := []struct {
		name   string
		conf   string
		peers  string
		status int
		says   string // a pattern
	}{
		{"sound", "", kitchenPeers, 0, `configuration is fine: 1 peers`},
		{"no aorname", "", "[Kitchen]\nauthname = a\nsecret = s\n", 1, `peers\.conf:1: \[Kitchen\] .*aorname`},
		{"no authname", "", "\n[Kitchen]\nsecret = s\naorname = 1\n", 1, `peers\.conf:2: \[Kitchen\] .*authname`},
		{"no secret", "", "[Kitchen]\nauthname = a\naorname = 1\n", 1, `peers\.conf:1: \[Kitchen\] .*secret`},
		{"unknown key", "", kitchenPeers + "max_contact = 2\n", 1, `peers\.conf:5: .*max_contacts\?`},
		{"Asterisk's username", "", kitchenPeers + "username = 7\n", 1, `peers\.conf:5: .*authname`},
		{"Asterisk's host", "", kitchenPeers + "host = 192.0.2.1\n", 1, `peers\.conf:5: .*dynamic`},
		{"unknown key of the daemon", "[registrar]\nrealms = x\n", kitchenPeers, 1, `sipregd\.conf:2: .*realm\?`},
		{"a certificate of Redis that is not there", "[location]\nstore = redis\nnode = sip1\nredis = rediss://:any;text@h/0?ca=gone.pem\n", kitchenPeers, 1,
			`\[location\] redis: open /.*/gone\.pem: no such file`},
		{"the same for nobody", "[location]\nredis = rediss://:any;text@h/0?ca=gone.pem\n", kitchenPeers, 0, `configuration is fine`},
		{"line without =", "", kitchenPeers + "enabled\n", 1, `peers\.conf:5: `},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			directory := t.TempDir()
			path := filepath.Join(directory, "sipregd.conf")
			writeFile(t, path, test.conf)
			writeFile(t, filepath.Join(directory, "peers.conf"), test.peers)
			text, status := runToEnd(t, "--check", "--config", path)
			if status != test.status || !regexp.MustCompile(test.says).MatchString(text) {
				t.Errorf("exit status %d, printed:\n%s", status, text)
			}
			if strings.Contains(text, "any;text") {
				t.Errorf("printed a secret:\n%s", text)
			}
		})
	}
}

func TestCheckWarnsOfSecretsThatAllCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sipregd.conf")
	writeFile(t, path, "[location]\nstore = memory\n[admin]\ntoken = 0123456789abcdef\n")
	writeFile(t, filepath.Join(filepath.Dir(path), "peers.conf"), kitchenPeers)
	for mode, warned := range map[os.FileMode]bool{0o640: false, 0o644: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		text, status := runToEnd(t, "--check", "--config", path)
		if status != 0 || strings.Contains(text, "secrets in [admin]") != warned || strings.Contains(text, "0123456789") {
			t.Errorf("mode %o: exit status %d, printed:\n%s", mode, status, text)
		}
	}
}

func TestCheckOfTheSampleConfiguration(t *testing.T) {
	for _, path := range []string{"../../configs/sipregd.conf", "../../configs/local.conf"} {
		if text, status := runToEnd(t, "--check", "--config", path); status != 0 {
			t.Errorf("%s: exit status %d, printed:\n%s", path, status, text)
		}
	}
}

func TestVersionAndWrongArguments(t *testing.T) {
	if text, status := runToEnd(t, "--version"); status != 0 || !strings.HasPrefix(text, "sipregd ") {
		t.Errorf("--version: exit status %d, printed %q", status, text)
	}
	if text, status := runToEnd(t, "--nonsense"); status != 2 || !strings.Contains(text, "-config") {
		t.Errorf("--nonsense: exit status %d, printed %q", status, text)
	}
	if text, status := runToEnd(t, "start"); status != 2 || !strings.Contains(text, `"start"`) {
		t.Errorf("start: exit status %d, printed %q", status, text)
	}
}

func TestReloadSaysWhatChanged(t *testing.T) {
	d := startDaemon(t, "", kitchenPeers+"[A]\nauthname = a\nsecret = s\naorname = 1\n")
	d.writePeers(t, strings.ReplaceAll(kitchenPeers, "2001", "2002")+
		"[B]\nauthname = b\nsecret = s\naorname = 1\n[C]\nauthname = c\nsecret = s\naorname = 1\n[D]\nauthname = d\nsecret = s\naorname = 1\n")
	d.reload(t, "3 added, 1 removed, 1 changed")
}

func TestReloadOfABrokenFileChangesNothing(t *testing.T) {
	d := startDaemon(t, "", kitchenPeers)
	d.writePeers(t, "[Kitchen]\nauthname = x\n")
	d.reload(t, "reload_failed")
	for _, part := range []string{"peers.conf:1", "[Kitchen]", "everything stays as it was"} {
		if !strings.Contains(d.output.String(), part) {
			t.Errorf("the log does not say %q", part)
		}
	}
	d.writePeers(t, "; read while an editor was writing it")
	d.reload(t, "no peers are left")
	d.writePeers(t, kitchenPeers)
	d.reload(t, "0 added, 0 removed, 0 changed")
}

func TestReloadTellsThatTheDaemonsConfigurationTakesARestart(t *testing.T) {
	d := startDaemon(t, "", kitchenPeers)
	writeFile(t, filepath.Join(d.directory, "sipregd.conf"), "[registrar]\nrealm = other\n")
	d.reload(t, "takes a restart")
}

func TestASecondDaemonOnTheSamePortIsRefused(t *testing.T) {
	d := startDaemon(t, "", kitchenPeers)
	text, status := runToEnd(t, "--config", filepath.Join(d.directory, "sipregd.conf"))
	if status != 1 || !strings.Contains(text, "another sipregd") {
		t.Errorf("exit status %d, printed:\n%s", status, text)
	}
}

func TestLogIsJSONInAPipeAndPlainTextOnDemand(t *testing.T) {
	d := startDaemon(t, "", kitchenPeers)
	for line := range strings.Lines(d.output.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	text := startDaemon(t, "[log]\nformat = text\n", kitchenPeers).output.String()
	if strings.Contains(text, "\x1b") || strings.HasPrefix(text, "{") {
		t.Errorf("logged %q", text)
	}
}

// systemd's side of Type=notify (sd_notify(3)).
func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	d := startDaemon(t, "", kitchenPeers)
	expectState(t, conn, "READY=1")
	d.reload(t, "peers reloaded")
	expectState(t, conn, "RELOADING=1")
	expectState(t, conn, "READY=1")
	d.stop(t)
	expectState(t, conn, "STOPPING=1")
}

func expectState(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 256)
	n, err := conn.Read(buffer)
	if err != nil || string(buffer[:n]) != want {
		t.Fatalf("systemd is told %q, %v; want %q", buffer[:n], err, want)
	}
}

// 1.5 is what the project promises; systemd counts from 0 (locked up) to 10.
func TestUnitIsHardened(t *testing.T) {
	text, err := exec.Command("systemd-analyze", "security", "--offline=true", "../../configs/sipregd.service").CombinedOutput()
	if err != nil {
		skip(t, "systemd-analyze did not run (apt-get install systemd): %v\n%s", err, text)
	}
	level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(text)
	if level == nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if exposure, _ := strconv.ParseFloat(string(level[1]), 64); exposure > 1.5 {
		t.Errorf("exposure level %v", exposure)
	}
}
