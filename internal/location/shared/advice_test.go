package shared

import (
	"strings"
	"testing"
)

// What keeps a node from Redis comes with what to do.
func TestAdvice(t *testing.T) {
	small := startServer(t, "--maxmemory", "1")
	replica := startServer(t)
	replica.cli("REPLICAOF", "127.0.0.1", "1")
	locked := startServer(t, "--requirepass", "secret")
	for name, test := range map[string]struct{ url, want string }{
		"nobody there":         {"redis://127.0.0.1:1", "start Redis there"},
		"no such host":         {"redis://nowhere.invalid:6379", "mend DNS"},
		"a wrong password":     {"redis://:wrong@" + locked.address(), "right name and password"},
		"no password":          {locked.url(), "name and password of its account"},
		"no memory":            {small.url(), "raise maxmemory"},
		"a replica":            {replica.url(), "name its master"},
		"no Sentinel":          {replica.url() + "?master_set=mymaster", "that is no Sentinel"},
		"TLS where there none": {strings.Replace(small.url(), "redis:", "rediss:", 1), "speaks TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := openBrief(t, test.url, "one")
			cause := store.Status().Failure
			if cause == nil {
				t.Fatal("all is well")
			}
			if !strings.Contains(Advice(cause), test.want) {
				t.Errorf("%v: %s", cause, Advice(cause))
			}
		})
	}
}
