package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Turns are short, so that this machine's speed changes little from one to the
	// next, and the two daemons take the first place in turns.
	journalTurn   = 250 * time.Millisecond
	journalTurns  = 40              // for each round
	scrapePause   = 5 * time.Second // between two looks at the metrics
	controlSocket = "sipregd.sock"  // in the daemon's directory
)

// administrator watches a daemon's events and scrapes its metrics, as somebody
// does who wants to see all.
type administrator struct {
	client   http.Client
	cancel   context.CancelFunc
	ctx      context.Context
	running  sync.WaitGroup
	messages atomic.Int64 // server-sent, that have come
	scrapes  atomic.Int64
	failed   atomic.Pointer[error]
}

// administer begins to watch and to scrape.
func administer(ctx context.Context, s *server) *administrator {
	a := &administrator{}
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.directory, controlSocket))
	}}
	a.running.Go(func() { a.keep(a.watch()) })
	a.running.Go(func() { a.keep(a.scrape()) })
	return a
}

// keep takes down why something ended before it was asked to.
func (a *administrator) keep(err error) {
	if a.ctx.Err() == nil {
		a.failed.Store(&err)
	}
}

func (a *administrator) watch() error {
	response, err := a.get("/api/v1/events?kinds=all")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 { // the end of a message
			a.messages.Add(1)
		}
	}
	return errors.Join(lines.Err(), errors.New("the events ended"))
}

func (a *administrator) scrape() error {
	ticker := time.NewTicker(scrapePause)
	defer ticker.Stop()
	for {
		response, err := a.get("/metrics")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		a.scrapes.Add(1)
		select {
		case <-a.ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *administrator) get(path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(a.ctx, http.MethodGet, "http://sipregd"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return response, err
}

// end returns why watching or scraping failed.
func (a *administrator) end() error {
	a.cancel()
	a.running.Wait()
	if failed := a.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// benchJournal measures what it costs to remember events, to count and to be
// watched. Two daemons share the server's core and are measured in short turns, so
// that both see the same machine.
func (b *benchmark) benchJournal() error {
	without, with := &row{name: "nobody asks: nothing is remembered"}, &row{name: "remembered, counted, watched"}
	c := configuration{peers: peersOfSipregd(b.phones), store: "memory", level: "warn"}
	var seen *administrator
	silent := c
	silent.forgets = true
	err := b.withSipregd(silent, "", func(forgetful *server) error {
		return b.withSipregd(c, "", func(watched *server) (err error) {
			seen = administer(b.ctx, watched)
			err = b.compareJournal(forgetful, watched, without, with)
			return errors.Join(err, seen.end())
		})
	})
	if err != nil {
		return fmt.Errorf("sipregd, with and without its journal: %w", err)
	}
	b.printJournal(os.Stdout, without, with, seen)
	return nil
}

func (b *benchmark) compareJournal(forgetful, watched *server, without, with *row) error {
	turn := *b.options
	turn.span, turn.warmUp = journalTurn, min(b.warmUp, journalTurn/4)
	sides := []struct {
		*server
		*row
		phones *fleet
	}{{server: forgetful, row: without}, {server: watched, row: with}}
	for i := range sides {
		f, err := b.bound(sides[i].server, b.phones)
		if err != nil {
			return err
		}
		defer f.close()
		sides[i].phones = f
	}
	for range b.rounds * journalTurns {
		slices.Reverse(sides)
		for _, side := range sides {
			m, err := side.phones.measure(b.ctx, &turn, side.server, phase{inFlight: b.inFlight})
			if err == nil {
				err = side.row.add(m)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// extra is what each turn of one row cost more than that of the other beside it, in
// percent: the median, and the quarters at either end left out.
func extra(without, with *row) spread {
	var more []float64
	for i := range min(len(without.runs), len(with.runs)) {
		more = append(more, 100*(float64(with.runs[i].cpu)/float64(without.runs[i].cpu)-1))
	}
	middle := spreadOf(more)
	middle.low, middle.high = more[len(more)/4], more[len(more)*3/4]
	return middle
}

func (b *benchmark) printJournal(out io.Writer, without, with *row, seen *administrator) {
	t := newTable(out, "sipregd, memory", "registrations/s", "CPU µs each", "core %", "generator %", "MB")
	for _, r := range []*row{without, with} {
		t.add(r.name, r.perSecond().text("%.0f"), r.cpu().text("%.2f"), fmt.Sprintf("%.0f", r.busy().median),
			fmt.Sprintf("%.0f", r.generator().median), fmt.Sprintf("%.0f", r.resident().median))
	}
	t.flush()
	more := extra(without, with)
	fmt.Fprintf(out, "\nThe journal, the metrics and a watcher of all events cost %.1f %% of a registration (median of %d turns\n"+
		"of %v each, side by side; half of them %.1f to %.1f). The watcher got %d messages, the metrics were read %d times. %s\n",
		more.median, len(with.runs), journalTurn, more.low, more.high, seen.messages.Load(), seen.scrapes.Load(), explanation)
}
