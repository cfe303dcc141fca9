package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// Phones that share an address add, refresh and remove the same few Contacts at
// once, by sockets that several readers of the daemon serve, while the administrator
// removes some. Whoever follows the events knows at each moment what is bound.
func TestEventsOfAnAORTellWhatIsBound(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := prepareDaemon(t, "[registrar]\nminimum_expiration = 1\n[log]\nlevel = debug\n",
		"[Hall]\nauthname = hall\nsecret = s\naorname = 2001, 2002\nmax_contacts = 5\n")
	d.environment = []string{"GOMAXPROCS=4"}
	d.run(t)
	events := d.follow(t, "/api/v1/events?kinds=all")
	crowd(t, d)
	bound := d.waitExpired(t)
	d.register(t, "--aor", "2002", "--authname", "hall", "--secret", "s") // the end
	seen := until(t, events, "2002")
	checkRises(t, seen)
	if told := replayed(t, seen); !slices.Equal(told, bound) {
		t.Errorf("the events tell that %v is bound, and bound is %v", told, bound)
	}
	d.waitLog(t, `"aor":"2002","contact"`)
	logged := d.logged(t, "2001")
	checkRises(t, logged)
	if len(logged) != len(seen) {
		t.Errorf("%d events were logged, %d seen", len(logged), len(seen))
	}
}

// crowd lets many phones register a few Contacts of 2001, which are more than there
// may be, while the administrator removes some, and then others that soon expire.
func crowd(t *testing.T, d *daemon) {
	t.Helper()
	end := make(chan struct{})
	var administrator sync.WaitGroup
	administrator.Go(func() {
		for tick := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-end:
				return
			case <-tick:
				d.remove("2001")
			}
		}
	})
	sit(t, d, 500, "a;60\nshort-1;1\nb;60\nshort-2;2\nc;60\nd;60\nshort-3;1\ne;60\n")
	close(end)
	administrator.Wait()
	sit(t, d, 20, "a;60\nshort-1;1\nb;60\nshort-2;2\n")
}

// sit runs many phones with those Contacts and expiries.
func sit(t *testing.T, d *daemon, phones int, seats string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seats.csv")
	writeFile(t, path, "SEQUENTIAL\n"+seats)
	sipp(t, "shared-address", "un", d.udp, as("2001", "hall", "s", "-inf", path, "-max_socket", "1000",
		"-m", strconv.Itoa(phones), "-r", "400", "-l", "60")...)
}

// remove removes what an AOR is bound to, if anything.
func (d *daemon) remove(aor string) {
	request, err := http.NewRequest(http.MethodDelete, "http://sipregd/api/v1/contacts/"+aor, nil)
	if err != nil {
		return
	}
	if response, err := d.administrator().Do(request); err == nil {
		response.Body.Close()
	}
}

// waitExpired waits until what expires soon has expired, and returns what is bound
// then.
func (d *daemon) waitExpired(t *testing.T) (contacts []string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var stats api.Stats
		var all api.Contacts
		d.ask(t, http.MethodGet, "/api/v1/stats", nil, &stats)
		d.ask(t, http.MethodGet, "/api/v1/contacts", nil, &all)
		contacts = nil
		for _, contact := range all.Contacts {
			contacts = append(contacts, contact.Contact)
		}
		slices.Sort(contacts)
		if stats.Bindings == len(contacts) && !strings.Contains(strings.Join(contacts, " "), "short-") {
			return contacts
		}
	}
	t.Fatalf("%v does not expire", contacts)
	return nil
}

// follow returns the events of a path as they happen.
func (d *daemon) follow(t *testing.T, path string) <-chan api.Event {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sipregd"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.administrator().Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", path, response, err)
	}
	events := make(chan api.Event, 100000)
	go func() {
		defer close(events)
		defer response.Body.Close()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			var event api.Event
			data, isData := strings.CutPrefix(lines.Text(), "data: ")
			if isData && json.Unmarshal([]byte(data), &event) == nil {
				events <- event // one of "missed" has no seq
			}
		}
	}()
	return events
}

// until returns the events before the first one of an AOR.
func until(t *testing.T, events <-chan api.Event, aor string) (seen []api.Event) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case event, open := <-events:
			if !open || event.Seq == 0 {
				t.Fatalf("the stream ends or misses events after %d of them", len(seen))
			}
			if event.AOR == aor {
				return seen
			}
			seen = append(seen, event)
		case <-timeout:
			t.Fatalf("no event of %s after %d others", aor, len(seen))
		}
	}
}

func checkRises(t *testing.T, events []api.Event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		if events[i].Seq <= events[i-1].Seq {
			t.Fatalf("event %d follows event %d", events[i].Seq, events[i-1].Seq)
		}
	}
}

// replayed returns what is bound after the events of an AOR, of which each has to
// be possible after those before, and each kind has to be among them.
func replayed(t *testing.T, events []api.Event) []string {
	t.Helper()
	bound, count := map[string]bool{}, map[string]int{}
	for _, event := range events {
		count[event.Event]++
		is := bound[event.Contact]
		switch event.Event {
		case "added":
			bound[event.Contact] = true
			is = !is
		case "removed", "replaced", "expired":
			delete(bound, event.Contact)
		case "refreshed":
		default:
			continue
		}
		if !is {
			t.Fatalf("%s was %s, event %d, and that cannot be", event.Contact, event.Event, event.Seq)
		}
	}
	for _, kind := range []string{"added", "refreshed", "removed", "replaced", "expired", "challenged"} {
		if count[kind] == 0 {
			t.Errorf("nothing was %s: %v", kind, count)
		}
	}
	return slices.Sorted(maps.Keys(bound))
}

// logged returns the events of an AOR as the log has them.
func (d *daemon) logged(t *testing.T, aor string) (events []api.Event) {
	t.Helper()
	for line := range strings.Lines(d.output.String()) {
		var event api.Event
		if err := json.Unmarshal([]byte(line), &event); err == nil && event.AOR == aor && event.Seq > 0 {
			events = append(events, event)
		}
	}
	return events
}
