package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startScraped runs a daemon that has all that there are metrics of, and returns where
// these are.
func startScraped(t *testing.T) (d *daemon, metrics string) {
	t.Helper()
	webhook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(webhook.Close)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d = startDaemon(t, "[admin]\nsocket = sipregd.sock\nhttp = "+address+"\nwebhook = "+webhook.URL+"\n", phonePeers)
	return d, "http://" + address + "/metrics"
}

// startSharedScraped runs one that shares its bindings, and returns where its metrics are.
func startSharedScraped(t *testing.T) (metrics string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	startDaemon(t, "[location]\nstore = redis\nredis = "+startRedis(t).url()+"\n[admin]\nsocket = sipregd.sock\nhttp = "+address+"\n", phonePeers)
	return "http://" + address + "/metrics"
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	return string(text)
}

func TestAScrapeOfTheDaemonPassesPromtool(t *testing.T) {
	requireProgram(t, "promtool", "prometheus")
	_, metrics := startScraped(t)
	command := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	command.Stdin = strings.NewReader(get(t, metrics))
	if text, err := command.CombinedOutput(); err != nil || len(text) > 0 {
		t.Errorf("%v: %s", err, text)
	}
}

// All that the dashboard shows and the alerts go by is there, before anything happens.
func TestADaemonHasTheMetricsThatAreLookedAt(t *testing.T) {
	_, metrics := startScraped(t)
	scrape := get(t, metrics) + get(t, startSharedScraped(t))
	for _, path := range []string{"../../configs/prometheus-rules.yml", "../../configs/grafana-dashboard.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:sipregd|process|go)_[a-z0-9_]+\b`).FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s: %d names are read", path, len(names))
		}
		for _, name := range names {
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(scrape) {
				t.Errorf("%s: the daemon has no %s", path, name)
			}
		}
	}
}

func TestTheDaemonsMetricsMove(t *testing.T) {
	d, metrics := startScraped(t)
	ping(t, d)
	d.writePeers(t, "[Kitchen]\nauthname = x\n")
	d.reload(t, "reload_failed")
	for _, line := range []string{
		`sipregd_requests_total{code="401",method="REGISTER"} 1`, `sipregd_challenges_total 1`,
		`sipregd_datagram_batch_size_count 1`, `sipregd_config_reloads_total{result="failure"} 1`,
		`sipregd_config_last_reload_successful 0`, `sipregd_store_durable 1`,
	} {
		deadline := time.Now().Add(patience)
		for !strings.Contains(get(t, metrics), "\n"+line+"\n") {
			if time.Now().After(deadline) {
				t.Fatalf("no %s", line)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
