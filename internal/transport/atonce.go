package transport

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// atOnce has messages of a batch handled that may have to wait for the store, so that
// they wait together and not one after the other. What belongs together keeps its order:
// requests with one Call-ID of one source.
type atOnce struct {
	running sync.WaitGroup      // of a batch
	handed  chan queue          // to goroutines that are kept, with the stacks that they have grown
	workers int                 // of these
	ending  sync.WaitGroup      // likewise
	flows   []message.Flow      // of each of the batch
	replies []transaction.Reply // likewise
	next    []int               // likewise: which is handled after it; none: no other
	queues  []int               // the first of each queue
	waited  []int               // what is in one
	others  []int               // what is in none
	last    map[queueName]int   // of each queue, so far
}

// queue is requests that one goroutine handles, from the first on.
type queue struct {
	of      *datagrams
	first   int
	handler Handler
	now     time.Time
}

// queueName is what those have in common that are handled one after the other.
type queueName struct {
	source netip.AddrPort
	callID string
}

const none = -1

func newAtOnce(size int) *atOnce {
	return &atOnce{
		flows: make([]message.Flow, size), replies: make([]transaction.Reply, size), next: make([]int, size),
		last: map[queueName]int{}, handed: make(chan queue, size),
	}
}

// need sees to it that there are so many goroutines for queues.
func (a *atOnce) need(count int) {
	for ; a.workers < count; a.workers++ {
		a.ending.Go(func() {
			for q := range a.handed {
				q.of.handleQueue(q.first, q.handler, q.now)
				a.running.Done()
			}
		})
	}
}

// end ends them. No batch must come any more.
func (a *atOnce) end() {
	close(a.handed)
	a.ending.Wait()
}

// handleAtOnce handles what was picked of a batch, each queue of those that may wait
// for the store on a goroutine of its own, the last one on this.
func (d *datagrams) handleAtOnce(picked []int, handler Handler, now time.Time, trouble func(error)) {
	a := d.atOnce
	a.arrange(d, picked)
	a.need(len(a.queues) - 1)
	for at, first := range a.queues {
		if at < len(a.queues)-1 {
			a.running.Add(1)
			a.handed <- queue{d, first, handler, now}
		}
	}
	for _, i := range a.others {
		d.handleOne(i, handler, now)
	}
	d.collectAll(a.others)
	if len(a.queues) > 0 {
		d.send(d.ready, trouble) // who is challenged need not wait for others' bindings
		d.ready.clear()
		d.handleQueue(a.queues[len(a.queues)-1], handler, now)
	}
	a.running.Wait()
	d.collectAll(a.waited)
}

// collectAll takes the answers to those of a batch.
func (d *datagrams) collectAll(handled []int) {
	for _, i := range handled {
		d.collect(i, &d.atOnce.replies[i])
		d.atOnce.replies[i], d.atOnce.flows[i] = transaction.Reply{}, message.Flow{}
	}
}

// longestQueue is how long the requests of a queue may take together. Those that have not
// begun by then are left out: who has sent them sends them again after T1, which is as long
// (RFC 3261 §17.1.2.2).
const longestQueue = 500 * time.Millisecond

func (d *datagrams) handleQueue(first int, handler Handler, now time.Time) {
	began := now
	for i := first; i != none; i = d.atOnce.next[i] {
		if now.Sub(began) >= longestQueue {
			d.counters.dropped.Add(1)
			continue
		}
		d.handleOne(i, handler, now)
		now = time.Now()
	}
}

func (d *datagrams) handleOne(i int, handler Handler, now time.Time) {
	d.atOnce.replies[i] = handler.Receive(d.rooms[i][:0], d.in.data(i), d.atOnce.flows[i], now)
}

// arrange makes the queues of what was picked.
func (a *atOnce) arrange(d *datagrams, picked []int) {
	clear(a.last)
	a.queues, a.waited, a.others = a.queues[:0], a.waited[:0], a.others[:0]
	for _, i := range picked {
		a.flows[i] = d.flow(i)
		if data := d.in.data(i); mayWait(data) {
			a.append(i, queueName{a.flows[i].Source, string(callIDOf(data))})
		} else {
			a.others = append(a.others, i)
		}
	}
}

func (a *atOnce) append(i int, to queueName) {
	a.waited = append(a.waited, i)
	a.next[i] = none
	if before, found := a.last[to]; found {
		a.next[before] = i
	} else {
		a.queues = append(a.queues, i)
	}
	a.last[to] = i
}

// mayWait tells whether a message may ask the store for something: one with credentials,
// or a call of somebody who needs none.
func mayWait(data []byte) bool {
	if hasCredentials(data) {
		return true
	}
	for _, quick := range [...]string{"REGISTER ", "ACK ", answerBegin} {
		if bytes.HasPrefix(data, []byte(quick)) {
			return false
		}
	}
	if bytes.HasPrefix(data, []byte("OPTIONS ")) { // one that names nobody is answered here
		line, _, _ := bytes.Cut(data, []byte("\n"))
		return bytes.IndexByte(line, '@') >= 0
	}
	return mayBeRequest(data)
}

// callIDOf is a look at the Call-ID as phones spell it. Empty: it is spelled in another
// way, and such messages of a source are handled one after the other.
func callIDOf(data []byte) []byte {
	_, rest, found := bytes.Cut(data, []byte("\nCall-ID:"))
	if !found {
		_, rest, _ = bytes.Cut(data, []byte("\ni:"))
	}
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	return bytes.TrimSpace(value)
}
