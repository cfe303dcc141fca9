package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// baresip is a phone that others wrote. Its account has an Auth ID that is not
// its User ID, and neither is the peer's label.
type baresip struct {
	command *exec.Cmd
	output  output
}

// startBaresip runs the phone with one account until the test ends. It
// registers at once and refreshes after a good part of a minute.
func startBaresip(t *testing.T, d *daemon, transport, authname, secret string) *baresip {
	t.Helper()
	requireProgram(t, "baresip", "baresip-core")
	directory := t.TempDir()
	writeFile(t, filepath.Join(directory, "config"), fmt.Sprintf(`sip_listen 127.0.0.1:%d
net_interface 127.0.0.1
module_path /usr/lib/baresip/modules
module_tmp account.so
module_app menu.so
`, freePort(t)))
	writeFile(t, filepath.Join(directory, "accounts"), fmt.Sprintf(
		"<sip:2001@%v;transport=%s>;auth_user=%s;auth_pass=%s;regint=60\n", d.udp, transport, authname, secret))
	b := &baresip{command: exec.Command("baresip", "-4", "-s", "-f", directory)}
	b.command.Stdout, b.command.Stderr = &b.output, &b.output
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop asks the phone to end, which unregisters it first.
func (b *baresip) stop(t *testing.T) {
	t.Helper()
	if b.command.ProcessState != nil {
		return
	}
	_ = b.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = b.command.Process.Kill() })
	defer kill.Stop()
	_ = b.command.Wait()
	if t.Failed() {
		t.Logf("baresip printed:\n%s", b.output.String())
	}
}

func (b *baresip) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(b.output.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("baresip did not print %q:\n%s", text, b.output.String())
		}
	}
}

const phonePeers = "[Workshop]\nauthname = b41d77\nsecret = correct-horse\naorname = 2001\n"

func TestBaresipRegistersAndUnregisters(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", phonePeers)
			b := startBaresip(t, d, transport, "b41d77", "correct-horse")
			b.wait(t, "200 OK")
			d.waitLog(t, `"event":"added"`)
			for _, field := range []string{
				`"src_ip":"127.0.0.1"`, `"transport":"` + strings.ToUpper(transport) + `"`,
				`"label":"Workshop"`, `"authname":"b41d77"`, `"aor":"2001"`,
			} {
				if !strings.Contains(d.output.String(), field) {
					t.Errorf("the log lacks %s", field)
				}
			}
			if strings.Contains(d.output.String(), "refused") {
				t.Error("a registration without trouble was logged as refused")
			}
			b.stop(t)
			d.waitLog(t, `"event":"removed"`)
		})
	}
}

func TestBaresipWithAWrongSecretIsRefused(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", phonePeers)
	b := startBaresip(t, d, "udp", "b41d77", "wrong")
	b.wait(t, "401 Unauthorized")
	d.waitLog(t, `"reason":"wrong_secret"`)
}

func TestBaresipWithItsUserIDAsAuthIDIsRefused(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", phonePeers)
	b := startBaresip(t, d, "tcp", "2001", "correct-horse")
	b.wait(t, "401 Unauthorized")
	d.waitLog(t, `"reason":"unknown_authname"`)
}

// A phone comes back by its next refresh, without a refusal on the way.
func TestBaresipComesBackAfterARestartOfTheDaemon(t *testing.T) {
	t.Parallel()
	const brief = "[registrar]\nmaximum_expiration = 2\nminimum_expiration = 1\ndefault_expiration = 2\n"
	d := startDaemon(t, brief, phonePeers)
	b := startBaresip(t, d, "udp", "b41d77", "correct-horse")
	b.wait(t, "200 OK")
	again := d.restart(t)
	again.waitLog(t, `"event":"added"`)
	if strings.Contains(again.output.String(), "refused") {
		t.Error("the phone was refused on its way back")
	}
	b.stop(t)
	again.waitLog(t, `"event":"removed"`)
}
