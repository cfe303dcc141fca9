package transaction

import (
	"sync"
	"time"

	"sipregd/internal/message"
)

// Timers of a client transaction (RFC 3261 §17.1.2.1, table 4).
const (
	timerT1 = 500 * time.Millisecond // the first interval of Timer E
	timerT2 = 4 * time.Second        // its longest
)

// Send sends a message by the flow that a phone is reached by, without waiting for
// long.
type Send func(flow message.Flow, data []byte) error

// Clients are the non-INVITE client transactions of requests that are sent from here
// (§17.1.2): without a goroutine or a timer for any of them. One goroutine begins them
// and steps; answers may come by many.
type Clients struct {
	send Send
	wake func() // called when an answer came: there is something for Step

	mu     sync.Mutex
	open   map[string]*client   // by their branch, without the cookie
	timers repetitions[*client] // of the same
	ended  []Outcome
}

// client is a client transaction that has had no final answer yet: "trying" or, where
// a provisional one came, "proceeding".
type client struct {
	Outgoing
	repetition // by Timers E and F
	sent       time.Time
}

// Outgoing is a request to send.
type Outgoing struct {
	ID      uint64       // what it is about: one of the caller's own
	Branch  string       // of its Via, without the cookie; nobody must be able to guess it
	Method  string       // of its CSeq
	Flow    message.Flow // by which it is sent
	Data    []byte       // all of it, which is kept
	Timeout time.Duration
	Once    bool // it is not sent again
}

// Outcome is what came of a request.
type Outcome struct {
	ID     uint64
	Status int           // of the final answer; 0: none came in time
	Took   time.Duration // from the first sending of the request to the answer
	// RetryAfter is after how long the request may be made again, as the answer says; 0: it
	// does not.
	RetryAfter time.Duration
}

// NewClients returns no transactions yet. wake must not block, and may be called by
// many goroutines at once.
func NewClients(send Send, wake func()) *Clients {
	return &Clients{send: send, wake: wake, open: map[string]*client{}}
}

// Begin sends a request. Over UDP it is sent again until it is answered, unless it is to be sent once. After an error
// of Send, which it returns, there is no transaction.
func (c *Clients) Begin(o Outgoing, now time.Time) error {
	t := &client{Outgoing: o, sent: now, repetition: repetition{ends: now.Add(o.Timeout), interval: timerT1}}
	t.repeats = t.ends
	if !o.Flow.Reliable() && !o.Once {
		t.repeats = now.Add(timerT1)
	}
	c.add(t) // before the answer can come
	err := c.send(o.Flow, o.Data)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(t)
	}
	return err
}

func (c *Clients) add(t *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[t.Branch] = t
	c.timers.add(t)
}

// remove ends a transaction, unless that has ended already.
func (c *Clients) remove(t *client) {
	if c.open[t.Branch] == t {
		delete(c.open, t.Branch)
		c.timers.remove(t)
	}
}

// Len returns how many transactions there are.
func (c *Clients) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Answer takes a response in and tells whether it answers a request that is under way:
// it is found by the branch of its topmost Via and the method of its CSeq (§17.1.3), and
// sent-by has to be ours (§18.1.2).
func (c *Clients) Answer(data []byte, now time.Time) bool {
	answer, ok := message.ParseAnswer(data)
	return ok && c.take(&answer, now)
}

func (c *Clients) take(answer *message.Answer, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.open[answer.Via.Branch[len(message.Cookie):]]
	if t == nil || answer.Method != t.Method || !answer.AnswersFrom(t.Flow.Local) {
		return false
	}
	if !answer.Final() { // §17.1.2.2: from now on each T2
		t.interval = timerT2
		return true
	}
	c.remove(t)
	c.ended = append(c.ended, Outcome{t.ID, answer.Status, max(now.Sub(t.sent), 0), time.Duration(answer.RetryAfter) * time.Second})
	c.wake()
	return true
}

// Step sends again what is due, and returns what has come of requests since the last
// step.
func (c *Clients) Step(now time.Time) (ended []Outcome) {
	for _, t := range c.due(now) {
		// One that is lost is as good as one that the network lost (§17.1.4 would end
		// it): the next may not be.
		_ = c.send(t.Flow, t.Data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ended, c.ended = c.ended, nil
	return ended
}

// Next returns when the next step is due; zero: when there is something for it.
func (c *Clients) Next() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timers.next()
}

// due ends transactions whose time is over and returns those to be sent again.
func (c *Clients) due(now time.Time) (again []*client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timers.due(now, func(t *client) {
		c.remove(t)
		c.ended = append(c.ended, Outcome{ID: t.ID})
	})
}
