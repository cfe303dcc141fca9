package durable

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// history is what one phone did: its actions are numbered, and each fifth one
// removes the binding.
type history struct {
	user              string
	started, finished atomic.Uint32
}

func removes(action uint32) bool { return action%5 == 0 }

// act does the phone's next action.
func (h *history) act(s *Store) error {
	action := h.started.Add(1)
	var err error
	if removes(action) {
		err = remove(s, h.user)
	} else {
		err = register(s, h.user, "sip:"+h.user+"@192.0.2.1", action, time.Now().Add(time.Hour))
	}
	h.finished.Store(action)
	return err
}

// check compares what a store holds with what the phone had been told before
// the power was cut, and what it had asked for by then.
func (h *history) check(t *testing.T, s *Store, finished, started uint32) {
	t.Helper()
	found := s.Bindings(aor(h.user), time.Now())
	if len(found) == 1 {
		if cseq := found[0].CSeq; cseq < finished || cseq > started {
			t.Errorf("%s is at action %d, was told of %d and asked for %d", h.user, cseq, finished, started)
		}
		return
	}
	for action := finished; action <= started; action++ {
		if action == 0 || removes(action) {
			return
		}
	}
	t.Errorf("%s has %d bindings, was told of action %d", h.user, len(found), finished)
}

// The power is cut again and again while phones register: nothing that a phone
// was told is lost, and nothing that it removed returns.
func TestPowerCuts(t *testing.T) {
	const cuts, phones = 60, 40
	files := vfs.NewCrashableMem()
	s, _ := open(t, Options{Path: "/p", Files: files})
	histories := make([]*history, phones)
	for i := range histories {
		histories[i] = &history{user: fmt.Sprint("phone", i)}
	}
	var running sync.WaitGroup
	stop := make(chan struct{})
	for _, h := range histories {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if err := h.act(s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for cut := range cuts {
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		finished := make([]uint32, phones)
		for i, h := range histories {
			finished[i] = h.finished.Load()
		}
		survives := 0 // percent of what was not synced
		if cut%2 == 1 {
			survives = random.IntN(101)
		}
		image := files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: random})
		after, _ := open(t, Options{Path: "/p", Files: image})
		for i, h := range histories {
			h.check(t, after, finished[i], h.started.Load())
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	running.Wait()
	actions := uint32(0)
	for _, h := range histories {
		actions += h.finished.Load()
	}
	t.Logf("%d power cuts, %d actions of %d phones", cuts, actions, phones)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
