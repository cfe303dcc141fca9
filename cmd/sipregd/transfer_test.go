package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// An old export takes nothing from a phone that has registered since.
func TestImportKeepsWhatIsNewer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	aor := sipuri.AOR{User: "2001"}
	entry := func(contact string, changed, expires time.Duration) location.Entry {
		return location.Entry{AOR: aor, Binding: location.Binding{Contact: contact, Changed: now.Add(changed), Expires: now.Add(expires)}}
	}
	store := location.NewMemory(now)
	first := addAll(store, []location.Entry{entry("sip:a@h", -time.Minute, time.Hour), entry("sip:b@h", -time.Hour, time.Minute)}, now)
	second := addAll(store, []location.Entry{
		entry("sip:a@H", -time.Hour, time.Minute), entry("sip:b@h", -time.Second, time.Hour), entry("sip:c@h", -time.Hour, -time.Second),
	}, now)
	if want := (imported{added: 2}); first != want {
		t.Errorf("first %+v, want %+v", first, want)
	}
	if want := (imported{added: 1, expired: 1, older: 1}); second != want {
		t.Errorf("then %+v, want %+v", second, want)
	}
	bindings := store.Bindings(aor, now)
	for i := range bindings {
		if left := bindings[i].Remaining(now); left != 3600 {
			t.Errorf("%s has %d seconds left, want 3600", bindings[i].Contact, left)
		}
	}
	if len(bindings) != 2 {
		t.Errorf("%d bindings, want 2", len(bindings))
	}
}

func TestOneThingAtATime(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if status := run([]string{"--export", "--import"}, strings.NewReader(""), &out, &errs); status != 2 || !strings.Contains(errs.String(), "say one of") {
		t.Errorf("status %d, %s", status, errs.String())
	}
}
