package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/race"
)

var controlBinary struct {
	once sync.Once
	path string
	text []byte
	err  error
}

// buildControl builds sipregctl once, beside the daemon.
func buildControl(t testing.TB) string {
	t.Helper()
	directory := filepath.Dir(buildDaemon(t))
	controlBinary.once.Do(func() {
		controlBinary.path = filepath.Join(directory, "sipregctl")
		arguments := []string{"build", "-o", controlBinary.path}
		if race.Enabled() {
			arguments = append(arguments, "-race")
		}
		controlBinary.text, controlBinary.err = exec.Command("go", append(arguments, "../sipregctl")...).CombinedOutput()
	})
	if controlBinary.err != nil {
		t.Fatalf("%v\n%s", controlBinary.err, controlBinary.text)
	}
	return controlBinary.path
}

// register runs the test phone of sipregctl against the daemon and returns what it
// printed: whether it got in or not is another matter.
func (d *daemon) register(t testing.TB, arguments ...string) string {
	t.Helper()
	control := buildControl(t) // which may take long
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, control, append(append([]string{"register"}, arguments...), d.udp.String())...)
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	text, err := command.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited || command.ProcessState.ExitCode() == 2 {
		t.Fatalf("sipregctl: %v\n%s", err, text)
	}
	return string(text)
}

// administrator talks to a daemon over its control socket.
func (d *daemon) administrator() *http.Client {
	path := filepath.Join(d.directory, "sipregd.sock")
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

// ask sends a request over the control socket, which has to be granted, and reads
// the answer into a value, if any.
func (d *daemon) ask(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://sipregd"+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.administrator().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s, %v\n%s", method, path, response.Status, err, text)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// why asks why a phone is not registered.
func (d *daemon) why(t testing.TB, name string) api.Why {
	t.Helper()
	var answer api.Why
	d.ask(t, http.MethodGet, "/api/v1/why?q="+url.QueryEscape(name), nil, &answer)
	return answer
}

// checkWhy sees to it that the last attempt of each name has failed, and that its
// cause and its cure say what they have to. A phone may take its time to fail.
func (d *daemon) checkWhy(t testing.TB, names []string, cause, cure string) {
	t.Helper()
	for _, name := range names {
		var why api.Why
		for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			if why = d.why(t, name); len(why.Attempts) > 0 && strings.Contains(why.Attempts[0].Cause, cause) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("why %q does not say %q first, but %s", name, cause, inLines(why))
			}
		}
		if first := why.Attempts[0]; !strings.Contains(first.Cure, cure) || !first.Failed {
			t.Errorf("why %q: failed %v, want the cure %q of:\n%s", name, first.Failed, cure, inLines(why))
		}
	}
}

func inLines(why api.Why) string {
	text, _ := json.MarshalIndent(why, "", "  ")
	return string(text)
}
