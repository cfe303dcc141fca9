package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

func TestStatsTellWhatIsWrong(t *testing.T) {
	since := noon.Add(-90 * time.Second)
	var out bytes.Buffer
	printStats(&out, 0, api.Stats{
		Version: "v1", Started: noon.Add(-time.Hour), Uptime: 3600, Listen: []string{"udp :5060"}, Peers: 2, AORs: 1, Bindings: 2,
		Events:  map[string]uint64{"added": 2, "refused": 7, "expired": 0},
		Store:   api.Store{Kind: "file", Failure: "no space left", Since: &since, Unsaved: 3},
		Reload:  api.Reload{Time: noon.Add(-time.Minute), Errors: []string{"peers.conf:2: x"}},
		Webhook: &api.Webhook{Posted: 5, Dropped: 1, Failure: "\x1b[31m"},
	}, noon)
	for _, want := range []string{
		"bindings      2 of 1 address\n",
		"store         file, NOT SAVED: no space left, since 1 min 30 s, 3 addresses wait\n",
		"last reload   1 min ago, FAILED: peers.conf:2: x\n",
		`webhook       5 posted, 1 dropped, FAILS: \x1b[31m` + "\n",
		"\nEvents since the start:\n  refused  7\n  added    2\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "expired") || strings.Contains(out.String(), "Refusals") {
		t.Errorf("what never happened is told:\n%s", out.String())
	}
}
