package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// linphone is a phone on another SIP stack (belle-sip) than baresip's.
type linphone struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  output
}

// startLinphone runs the phone with one account until the test ends. It finds no
// addresses in certificates: it goes to localhost.
func startLinphone(t *testing.T, registrar netip.AddrPort, transport, authorities string) *linphone {
	t.Helper()
	return startLinphoneTo(t, fmt.Sprintf("localhost:%d", registrar.Port()), registrar.Addr(), transport, authorities)
}

// startLinphoneTo runs the phone with that registrar. It registers at once. Its Auth
// ID is not its User ID.
func startLinphoneTo(t *testing.T, registrar string, domain netip.Addr, transport, authorities string) *linphone {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".local/share/linphone"), 0o700); err != nil { // else it does nothing
		t.Fatal(err)
	}
	path := filepath.Join(home, "linphonerc")
	writeFile(t, path, fmt.Sprintf(`[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
refresher_retry_after=1000
root_ca=%[4]s
[proxy_0]
reg_proxy=<sip:%[1]s;transport=%[3]s>
reg_identity=sip:2001@%[2]v
reg_expires=60
reg_sendregister=1
publish=0
[auth_info_0]
username=2001
userid=b41d77
passwd=correct-horse
domain=%[2]v
`, registrar, domain, transport, authorities))
	l := &linphone{command: exec.Command("linphonec", "-d", "6", "-c", path)}
	l.command.Env = append(os.Environ(), "HOME="+home)
	l.command.Stdout, l.command.Stderr = &l.output, &l.output
	input, err := l.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.input = input
	if err := l.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.stop(t) })
	return l
}

// stop asks the phone to end.
func (l *linphone) stop(t *testing.T) {
	t.Helper()
	if l.command.ProcessState != nil {
		return
	}
	_, _ = io.WriteString(l.input, "quit\n")
	kill := time.AfterFunc(patience, func() { _ = l.command.Process.Kill() })
	defer kill.Stop()
	_ = l.command.Wait()
	if t.Failed() {
		t.Logf("linphonec printed:\n%s", l.output.String())
	}
}

func TestLinphoneRegistersAndComesBackOverStreams(t *testing.T) {
	requireProgram(t, "linphonec", "linphone-cli")
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			// It does not get on where it is asked for a certificate, which mutual_tls takes elsewhere.
			d := startSecureDaemon(t, a, brief, phonePeers, "client_ca = "+a.path, fmt.Sprintf("mutual_tls = 127.0.0.1:%d", freePort(t)))
			l := startLinphone(t, map[string]netip.AddrPort{"tcp": d.tcp, "tls": d.tls}[transport], transport, a.path)
			d.waitLog(t, `"event":"added"`)
			for _, field := range []string{`"transport":"` + strings.ToUpper(transport) + `"`, `"label":"Workshop"`, `"authname":"b41d77"`, "Linphonec/"} {
				if !strings.Contains(d.output.String(), field) {
					t.Errorf("the log lacks %s", field)
				}
			}
			d.waitLog(t, `"event":"refreshed"`)
			again := d.restart(t)
			again.waitLog(t, `"event":"added"`) // from another port
			l.stop(t)                           // it does not always unregister first
			checkRefused(t, d, `"status":401`)  // at its end it may use a nonce count twice
			checkRefused(t, again, `"status":401`)
		})
	}
}
