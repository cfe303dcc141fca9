package durable

import (
	"os"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// testdata/version1 is the store of a sipregd that knew no paths and no flows, with
// four bindings of three AORs.
func TestStoreOfVersion1(t *testing.T) {
	path := t.TempDir()
	if err := os.CopyFS(path, os.DirFS("testdata/version1")); err != nil {
		t.Fatal(err)
	}
	checkVersion1(t, path, 7)
	now, aor := time.Now(), sipuri.AOR{User: "2001"}
	s, _ := open(t, Options{Path: path})
	err := s.Update(aor, now, func(current []location.Binding) ([]location.Binding, error) {
		next := current[0]
		next.CSeq++ // as a refresh that changes nothing else
		return []location.Binding{next}, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkVersion1(t, path, 8)
}

// checkVersion1 opens the store twice: once it has been, its records are new.
func checkVersion1(t *testing.T, path string, cseq uint32) {
	t.Helper()
	for range 2 {
		s, w := open(t, Options{Path: path})
		if damage, _, _ := w.seen(); damage != nil || w.loaded != 4 {
			t.Errorf("%d bindings, damage %v", w.loaded, damage)
		}
		first := s.Bindings(sipuri.AOR{User: "2001"}, time.Now())
		if len(first) != 1 || first[0].Contact != "sip:2001@192.0.2.7:5062" || first[0].CSeq != cseq || first[0].Stream != 0 {
			t.Errorf("2001 is bound to %+v", first)
		}
		second := s.Bindings(sipuri.AOR{User: "2002"}, time.Now())
		if len(second) != 2 || second[0].Stream != location.EarlierStream || second[0].Source.String() != "192.0.2.7:5062" {
			t.Errorf("2002 is bound to %+v", second)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
