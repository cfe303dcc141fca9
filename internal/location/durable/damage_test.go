package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
)

// aged makes a store with tables on several levels and a log, as a daemon
// leaves it that was killed, and returns what was ever bound and what is bound
// at last, as bindings lists it.
func aged(t *testing.T, path string) (ever map[string]bool, last []string) {
	t.Helper()
	s, _ := open(t, Options{Path: path})
	ever = map[string]bool{}
	hour := time.Now().Add(time.Hour)
	bind := func(user string, cseq uint32) {
		if err := register(s, user, "sip:"+user+"@192.0.2.1", cseq, hour); err != nil {
			t.Fatal(err)
		}
		ever[fmt.Sprintf("%s sip:%s@192.0.2.1 %d", user, user, cseq)] = true
	}
	for round := range uint32(4) {
		for i := range 150 {
			bind(fmt.Sprint("stays", i), 2*round+1)
			bind(fmt.Sprintf("comes%d.%d", round, i), 1)
		}
		for i := range 75 {
			bind(fmt.Sprint("stays", i), 2*round+2)
			if err := remove(s, fmt.Sprintf("comes%d.%d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		switch round {
		case 0, 2:
			if err := s.disk.engine.Load().db.Flush(); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := s.disk.engine.Load().db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	last = bindings(s)
	kill(t, s, path)
	return ever, last
}

// kill leaves the files as they are at this moment, and takes the store down.
func kill(t *testing.T, s *Store, path string) {
	t.Helper()
	frozen := t.TempDir()
	if err := copyTree(filepath.Join(path, bindingsName), frozen); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(path, bindingsName)); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(frozen, filepath.Join(path, bindingsName)); err != nil {
		t.Fatal(err)
	}
}

func copyTree(from, to string) error { return os.CopyFS(to, os.DirFS(from)) }

// damages are what may befall a file.
var damages = map[string]func(random *rand.Rand, data []byte) []byte{
	"bit":       func(random *rand.Rand, data []byte) []byte { return flip(random, data, 1) },
	"16 bytes":  func(random *rand.Rand, data []byte) []byte { return flip(random, data, 16) },
	"512 bytes": func(random *rand.Rand, data []byte) []byte { return flip(random, data, 512) },
	"page":      func(random *rand.Rand, data []byte) []byte { return flip(random, data, 4096) },
	"truncated": func(random *rand.Rand, data []byte) []byte { return data[:random.IntN(len(data))] },
	"empty":     func(*rand.Rand, []byte) []byte { return nil },
	"zeros": func(random *rand.Rand, data []byte) []byte {
		start := random.IntN(len(data))
		clear(data[start:min(len(data), start+1+random.IntN(4096))])
		return data
	},
}

func flip(random *rand.Rand, data []byte, length int) []byte {
	start := random.IntN(len(data))
	for i := start; i < min(len(data), start+length); i++ {
		data[i] ^= byte(1 + random.IntN(255))
	}
	return data
}

var fileNumber = regexp.MustCompile(`[0-9]{6}`)

// kinds sorts the files of a store by what they are.
func kinds(t *testing.T, directory string) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Size() > 0 && !entry.IsDir() {
			kind := fileNumber.ReplaceAllString(entry.Name(), "*")
			files[kind] = append(files[kind], entry.Name())
		}
	}
	return files
}

// A store is damaged in 200 and more ways: it starts each time, serves nothing
// that was not bound, and does not stay silent about what it has lost.
func TestDamage(t *testing.T) {
	sound := t.TempDir()
	ever, last := aged(t, sound)
	files := kinds(t, filepath.Join(sound, bindingsName))
	if len(files["*.sst"]) < 2 || len(files["*.log"]) < 1 || len(files["MANIFEST-*"]) < 1 || len(files["OPTIONS-*"]) < 1 {
		t.Fatalf("not all kinds of files are there: %v", files)
	}
	random := rand.New(rand.NewPCG(7, 7))
	trials, lostAll, returned := 0, 0, 0
	for range 8 {
		for _, kind := range slices.Sorted(maps.Keys(files)) {
			for _, damage := range slices.Sorted(maps.Keys(damages)) {
				name := files[kind][random.IntN(len(files[kind]))]
				path := t.TempDir()
				if err := copyTree(sound, path); err != nil {
					t.Fatal(err)
				}
				damageFile(t, filepath.Join(path, bindingsName, name), damages[damage], random)
				trials++
				got := startDamaged(t, path, kind+" "+damage, ever, last)
				returned += countReturned(got, last)
				if len(got) == 0 {
					lostAll++
				}
			}
		}
	}
	t.Logf("%d damages; nothing could be read in %d; %d removed bindings came back in all", trials, lostAll, returned)
}

func damageFile(t *testing.T, path string, damage func(*rand.Rand, []byte) []byte, random *rand.Rand) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, damage(random, data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startDamaged starts on a damaged store and returns what is bound.
func startDamaged(t *testing.T, path, what string, ever map[string]bool, last []string) []string {
	t.Helper()
	s, w := open(t, Options{Path: path})
	got := bindings(s)
	for _, b := range got {
		if !ever[b] {
			t.Errorf("%s: %q never was", what, b)
		}
	}
	damage, _, _ := w.seen()
	if len(damage) == 0 && !slices.Equal(got, last) && !strings.HasPrefix(what, "*.log ") {
		t.Errorf("%s: %d bindings of %d, and not a word", what, len(got), len(last))
	}
	for _, d := range damage {
		if _, err := os.Stat(d.Aside); err != nil || len(d.Details) == 0 {
			t.Errorf("%s: %+v, %v", what, d, err)
		}
	}
	if err := register(s, "new", "sip:new@192.0.2.1", 1, time.Now().Add(time.Hour)); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	want := bindings(s)
	if err := s.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	again, w := open(t, Options{Path: path})
	defer again.Close()
	if now := bindings(again); !slices.Equal(now, want) {
		t.Errorf("%s: after another restart %d bindings, before %d", what, len(now), len(want))
	}
	if damage, _, _ := w.seen(); len(damage) > 0 {
		t.Errorf("%s: still damaged: %+v", what, damage)
	}
	return got
}

// countReturned counts what is bound now and was removed before.
func countReturned(got, last []string) int {
	bound := map[string]bool{}
	for _, b := range last {
		user, _, _ := strings.Cut(b, " ")
		bound[user] = true
	}
	count := 0
	for _, b := range got {
		if user, _, _ := strings.Cut(b, " "); !bound[user] {
			count++
		}
	}
	return count
}

// A record of a version to come is not misread, and nothing is touched.
func TestAnUnknownVersionIsRefused(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	_ = register(s, "a", "sip:a@192.0.2.1", 1, time.Now().Add(time.Hour))
	batch := s.disk.engine.Load().db.NewBatch()
	key := appendKey(nil, varyingKind, 1<<63)
	record := appendVarying(nil, key, varying{})
	record[4] = version + 1
	copy(record, []byte{0, 0, 0, 0})
	sum := checksum(key, record)
	record[0], record[1], record[2], record[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	fixed := appendKey(nil, fixedKind, 1<<63)
	_ = batch.Set(key, record, nil)
	_ = batch.Set(fixed, appendFixed(nil, fixed, aor("a"), ""), nil)
	if err := s.disk.engine.Load().apply(batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Path: path, Observer: &watcher{}})
	if err == nil || !strings.Contains(err.Error(), "run the newer one") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 3 {
		t.Errorf("files %v, %v", entries, err)
	}
}

func TestReadLeavesTheStoreAlone(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	for i := range 50 {
		_ = register(s, fmt.Sprint(i), "sip:a@192.0.2.1", 1, time.Now().Add(time.Hour))
	}
	count := 0
	if err := Read(path, func(location.Entry) { count++ }); err != nil || count != 50 {
		t.Errorf("%d bindings while the store is open, %v", count, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Read(t.TempDir(), func(location.Entry) {}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

// A last log that is lost, in whole or to its first byte, is told of: nothing in
// Pebble's other files knows of it.
func TestALostLogIsToldOf(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"truncated to nothing": func(path string) error { return os.Truncate(path, 0) },
		"deleted":              os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			sound, path := t.TempDir(), t.TempDir()
			s, _ := open(t, Options{Path: sound})
			for i := range 20 {
				_ = register(s, fmt.Sprint("u", i), "sip:a@192.0.2.1", 1, time.Now().Add(time.Hour))
			}
			if err := copyTree(sound, path); err != nil { // as after kill -9
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			logs, err := filepath.Glob(filepath.Join(path, bindingsName, "*.log"))
			if err != nil || len(logs) == 0 {
				t.Fatal("no log: ", err)
			}
			if err := lose(logs[len(logs)-1]); err != nil {
				t.Fatal(err)
			}
			again, w := open(t, Options{Path: path})
			defer again.Close()
			await(t, "damage", func() bool { damages, _, _ := w.seen(); return len(damages) > 0 })
		})
	}
}
