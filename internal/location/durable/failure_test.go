package durable

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sipregd/internal/location"
)

// fault is what is wrong with a disk for a while.
type fault struct {
	name string
	hits func(errorfs.Op) bool
	err  error         // nil: it is slow
	slow time.Duration // how long an operation takes
}

func isLog(path string) bool { return strings.HasSuffix(path, ".log") }

var faults = []fault{
	{"no operation that writes succeeds", func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }, syscall.EIO, 0},
	{"log cannot be written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op.Path) }, syscall.ENOSPC, 0},
	{"log cannot be synced", func(op errorfs.Op) bool {
		return isLog(op.Path) && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileFlush)
	}, syscall.EIO, 0},
	{"read-only", func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }, syscall.EROFS, 0},
	{"sync takes seconds", func(op errorfs.Op) bool {
		return isLog(op.Path) && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileFlush)
	}, nil, 1200 * time.Millisecond},
}

// faulty is a disk that can be made to fail.
type faulty struct {
	fault
	on atomic.Bool
}

func (f *faulty) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !f.hits(op) {
		return nil
	}
	time.Sleep(f.slow)
	return f.err
}

func (f *faulty) String() string { return f.name }

func await(t *testing.T, what string, seen func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !seen(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not seen: ", what)
		}
	}
}

// While the disk fails, phones register from memory; once it is back, all that
// changed meanwhile is written within seconds.
func TestPhonesDoNotNoticeThatTheDiskFails(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			disk := &faulty{fault: fault}
			s, w := open(t, Options{Path: path, Files: errorfs.Wrap(vfs.Default, disk)})
			hour := time.Now().Add(time.Hour)
			for i := range 20 {
				_ = register(s, fmt.Sprint("before", i), "sip:a@192.0.2.1", 1, hour)
			}
			disk.on.Store(true)
			for i := range 20 {
				began := time.Now()
				if err := register(s, fmt.Sprint("amid", i), "sip:a@192.0.2.1", 1, hour); err != nil {
					t.Fatal(err)
				}
				if err := remove(s, fmt.Sprint("before", i)); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 4*commitTime {
					t.Errorf("took %v", took)
				}
			}
			await(t, "not durable", func() bool { _, notDurable, _ := w.seen(); return len(notDurable) > 0 })
			if status := s.Status(); status.Failure == nil || status.Unsaved == 0 {
				t.Errorf("status %+v", status)
			}
			disk.on.Store(false)
			await(t, "durable", func() bool { _, _, durable := w.seen(); return durable > 0 })
			want := bindings(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, w := open(t, Options{Path: path})
			defer again.Close()
			if got := bindings(again); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 20 {
				t.Errorf("got %v, want %v", got, want)
			}
			if damage, _, _ := w.seen(); len(damage) > 0 && !damage[0].Torn {
				t.Errorf("damage: %+v", damage)
			}
		})
	}
}

// Who requires durability gets an error, and then nothing has happened.
func TestWhatMustLastIsRefusedWhileTheDiskFails(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			disk := &faulty{fault: fault}
			s, w := open(t, Options{Path: path, Require: true, Files: errorfs.Wrap(vfs.Default, disk)})
			hour := time.Now().Add(time.Hour)
			_ = register(s, "before", "sip:a@192.0.2.1", 1, hour)
			before := bindings(s)
			disk.on.Store(true)
			for i := range 20 {
				if err := register(s, fmt.Sprint("amid", i), "sip:a@192.0.2.1", 1, hour); !errors.Is(err, location.ErrNotDurable) {
					t.Errorf("registered: %v", err)
				}
				if err := remove(s, "before"); !errors.Is(err, location.ErrNotDurable) {
					t.Errorf("removed: %v", err)
				}
				mark := s.Begin() // a query
				if err := errors.Join(s.Update(aor("before"), time.Now(), keep, nil), s.Commit(mark)); err != nil {
					t.Errorf("query: %v", err)
				}
			}
			if got := bindings(s); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("bindings %v", got)
			}
			disk.on.Store(false)
			await(t, "durable", func() bool { _, _, durable := w.seen(); return durable > 0 })
			if err := register(s, "after", "sip:a@192.0.2.1", 1, hour); err != nil {
				t.Error(err)
			}
			want := bindings(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, _ := open(t, Options{Path: path})
			defer again.Close()
			if got := bindings(again); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 2 {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func keep(current []location.Binding) ([]location.Binding, error) {
	return append([]location.Binding(nil), current...), nil
}

// A disk that cannot be read at the start is read when it can.
func TestADiskThatComesLate(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	hour := time.Now().Add(time.Hour)
	_ = register(s, "stored", "sip:a@192.0.2.1", 1, hour)
	_ = register(s, "renewed", "sip:a@192.0.2.1", 1, hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk := &faulty{fault: fault{"away", func(errorfs.Op) bool { return true }, syscall.EACCES, 0}}
	disk.on.Store(true)
	late, w := open(t, Options{Path: path, Files: errorfs.Wrap(vfs.Default, disk)})
	_ = register(late, "renewed", "sip:a@192.0.2.1", 2, hour)
	_ = register(late, "new", "sip:a@192.0.2.1", 1, hour)
	disk.on.Store(false)
	await(t, "durable", func() bool { _, _, durable := w.seen(); return durable > 0 })
	want := "[new sip:a@192.0.2.1 1 renewed sip:a@192.0.2.1 2 stored sip:a@192.0.2.1 1]"
	if got := fmt.Sprint(bindings(late)); got != want {
		t.Errorf("got %v", got)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, Options{Path: path})
	defer again.Close()
	if got := fmt.Sprint(bindings(again)); got != want {
		t.Errorf("after a restart %v", got)
	}
}

// Nobody knows what to remove before the disk has been read: who has to have
// removals last is told to come again.
func TestNothingIsRemovedThatCouldNotBeRead(t *testing.T) {
	path := t.TempDir()
	s, _ := open(t, Options{Path: path})
	_ = register(s, "stored", "sip:a@192.0.2.1", 1, time.Now().Add(time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk := &faulty{fault: fault{"away", func(errorfs.Op) bool { return true }, syscall.EACCES, 0}}
	disk.on.Store(true)
	late, w := open(t, Options{Path: path, Require: true, Files: errorfs.Wrap(vfs.Default, disk)})
	defer late.Close()
	if err := remove(late, "stored"); !errors.Is(err, location.ErrNotDurable) {
		t.Errorf("removed what was not read yet: %v", err)
	}
	disk.on.Store(false)
	await(t, "durable", func() bool { _, _, durable := w.seen(); return durable > 0 })
	if err := remove(late, "stored"); err != nil {
		t.Error(err)
	}
	if got := bindings(late); len(got) > 0 {
		t.Errorf("still there: %v", got)
	}
}
