package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

func TestElementsOfNftables(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	until := func(network string, lasts time.Duration) api.Ban {
		end := now.Add(lasts)
		return api.Ban{Network: network, Until: &end}
	}
	for _, test := range []struct {
		name string
		bans []api.Ban
		want string // or what the error says
	}{
		{"none", nil, "[]"},
		{"one address", []api.Ban{{Network: "192.0.2.7"}}, "[192.0.2.7/32]"},
		{"for a while", []api.Ban{until("192.0.2.7", 5*time.Minute), until("2001:db8::/64", time.Millisecond)}, "[192.0.2.7/32 timeout 300s 2001:db8::/64 timeout 1s]"},
		{"one within another", []api.Ban{{Network: "192.0.2.7"}, {Network: "192.0.2.0/24"}, {Network: "192.0.3.7"}}, "[192.0.2.0/24 192.0.3.7/32]"},
		{"the same in other words", []api.Ban{{Network: "192.0.2.7"}, {Network: "192.0.2.7/32"}}, "[192.0.2.7/32]"},
		{"no network", []api.Ban{{Network: "192.0.2.7 } ; flush ruleset"}}, "which is no network"},
		{"a zone", []api.Ban{{Network: "fe80::1%eth0"}}, "which is no network"},
	} {
		t.Run(test.name, func(t *testing.T) {
			elements, err := elementsOf(test.bans, now)
			got := fmt.Sprint(elements)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}
