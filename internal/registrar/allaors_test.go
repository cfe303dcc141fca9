package registrar_test

import (
	"fmt"
	"testing"
	"time"

	"sipregd/internal/journal"
)

const trunkPeers = `
[Trunk]
authname = trunk
secret = s
aorname = *, 1000
max_aors = 3

[Kitchen]
authname = kitchen
secret = k
aorname = 2001
`

func TestAPeerWithAnyAORHasAsManyAsItMay(t *testing.T) {
	l := newLab(t, withPeers(trunkPeers))
	bind := func(aor string, expires, want int) *response {
		t.Helper()
		return l.phone("trunk", "s", aor).register(fmt.Sprintf("Contact: <sip:%s@192.0.2.7>;expires=%d", aor, expires)).want(want)
	}
	for _, aor := range []string{"3001", "3002", "3003"} {
		bind(aor, 600, 200)
	}
	if answer := bind("3004", 600, 403); answer.reason != "Too Many Addresses" {
		t.Errorf("phrase: %s", answer.reason)
	}
	if e := l.lastEvent(); e.Reason != journal.TooManyAORs || e.Detail != "max_aors is 3" || e.Label != "Trunk" {
		t.Errorf("taken down as %+v", e)
	}
	bind("3001", 600, 200) // a refresh
	bind("1000", 600, 200) // one that it lists
	bind("3004", 0, 200)   // there is nothing to remove, and no more for it
	l.phone("trunk", "s", "3005").register().want(200)
	l.phone("kitchen", "k", "2001").register(kitchenContact).want(200)
	bind("3003", 0, 200)
	bind("3004", 600, 403) // it is not counted all the time
	l.pass(recountPause)
	bind("3004", 120, 200)
	bind("3005", 120, 403)
	l.pass(3 * time.Minute) // 3004 has expired
	bind("3005", 600, 200)
	l.reload(trunkPeers)
	bind("3006", 600, 403)
}

// What was bound in an earlier life of the daemon counts.
func TestAORsOfBeforeCount(t *testing.T) {
	l := newLab(t, withPeers(trunkPeers))
	for _, aor := range []string{"3001", "3002", "3003"} {
		l.phone("trunk", "s", aor).register("Contact: <sip:a@192.0.2.7>").want(200)
	}
	again := newLab(t, withPeers(trunkPeers), withStore(l.store))
	again.phone("trunk", "s", "3004").register("Contact: <sip:a@192.0.2.7>").want(403)
	refreshing := again.phone("trunk", "s", "3002")
	refreshing.callID = "another"
	refreshing.register("Contact: <sip:a@192.0.2.7>").want(200)
}

const recountPause = time.Minute

// To count goes through all bindings: once for all peers, however many there are.
func TestAORsAreCountedForAllPeersAtOnce(t *testing.T) {
	l := newLab(t, withPeers("max_aors = 10\n[A]\nauthname = a\nsecret = s\naorname = *\n[B]\nauthname = b\nsecret = s\naorname = *\n"))
	for _, authname := range []string{"a", "b", "a", "b"} {
		l.phone(authname, "s", "of-"+authname).register("Contact: <sip:a@192.0.2.7>").want(200)
		l.phone(authname, "s", "another-of-"+authname).register("Contact: <sip:a@192.0.2.7>").want(200)
	}
	if l.walks != 1 {
		t.Errorf("the bindings were gone through %d times", l.walks)
	}
}
