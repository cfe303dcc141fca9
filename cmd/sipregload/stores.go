package main

import (
	"fmt"
	"os"
)

// storeRows are what is measured of one store: at its top rate in a closed
// loop, and in an open one at half of that.
type storeRows struct {
	store                    string
	fresh, refreshed         row
	freshHalf, refreshedHalf row
}

func newStoreRows(store string) *storeRows {
	return &storeRows{
		store:         store,
		fresh:         row{name: "new bindings, " + store},
		refreshed:     row{name: "refreshes, " + store},
		freshHalf:     row{name: "new bindings, " + store + ", half the rate"},
		refreshedHalf: row{name: "refreshes, " + store + ", half the rate"},
	}
}

// benchStores measures the memory store and the file store in turns.
func (b *benchmark) benchStores() (err error) {
	if b.disk, err = diskDirectory(); err != nil {
		return err
	}
	memory, file := newStoreRows("memory"), newStoreRows("file")
	peers := scattered(b.aors)
	for range b.rounds {
		for _, r := range []*storeRows{memory, file} {
			if err := b.session(r, peers); err != nil {
				return err
			}
		}
	}
	if b.wants(rowNew, rowRefresh) {
		b.printStores(os.Stdout, memory, file)
	}
	if b.wants(rowLatency, rowLatencyMemory) {
		printLatencies(os.Stdout, memory, file)
	}
	return b.printDisk(os.Stdout)
}

// wantsHalf tells whether the store is measured at half its top rate.
func (b *benchmark) wantsHalf(r *storeRows) bool {
	if r.store == "memory" {
		return b.wants(rowLatencyMemory)
	}
	return b.wants(rowLatency)
}

// session measures a store with one daemon: AORs that are bound to nothing
// yet, and then the same ones again.
func (b *benchmark) session(r *storeRows, peers []names) error {
	if !b.wantsHalf(r) && !b.wants(rowNew, rowRefresh) {
		return nil
	}
	c := configuration{peers: peers, store: r.store, level: "warn"}
	err := b.withSipregd(c, b.disk, func(s *server) error { return b.measureStore(r, s) })
	if err != nil {
		return fmt.Errorf("sipregd, store = %s: %w", r.store, err)
	}
	return nil
}

func (b *benchmark) measureStore(r *storeRows, s *server) error {
	fl, err := newFleet(s, s.peers, newHost(), overUDP())
	if err != nil {
		return err
	}
	defer fl.close()
	half := b.wantsHalf(r)
	if half || b.wants(rowNew) {
		if err := b.measurePair(fl, s, &r.fresh, &r.freshHalf, half, true); err != nil {
			return err
		}
	}
	if !half && !b.wants(rowRefresh) {
		return nil
	}
	// As many for each store, however fast it is.
	bound := len(s.peers) / 2
	if err := fl.run(b.ctx, phase{inFlight: b.pending, once: true, turns: bound}).failure(); err != nil {
		return err
	}
	fl.again(bound)
	return b.measurePair(fl, s, &r.refreshed, &r.refreshedHalf, half, false)
}

// measurePair measures the top rate and, with half, an open loop of half of it.
func (b *benchmark) measurePair(fl *fleet, s *server, top, halfTop *row, half, once bool) error {
	m, err := fl.measure(b.ctx, b.options, s, phase{inFlight: b.pending, once: once})
	if err == nil {
		err = top.add(m)
	}
	if err != nil || !half {
		return err
	}
	m, err = fl.measure(b.ctx, b.options, s, phase{rate: m.perSecond / 2, once: once})
	if err != nil {
		return err
	}
	return halfTop.add(m)
}
