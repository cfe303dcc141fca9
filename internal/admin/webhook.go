package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
)

const (
	firstWait   = 500 * time.Millisecond // before a post that failed is made again; doubled each time
	longestWait = 40 * time.Second
	waitSpread  = 0.5 // by so much of it a wait is longer or shorter, at random
	postTimeout = 10 * time.Second
	postGrace   = 2 * time.Second // for what waits when the webhook is closed
)

// WebhookOptions is where events are posted to.
type WebhookOptions struct {
	URL      string // http or https
	Secret   string // signs what is posted; empty: it is not signed
	Observer WebhookObserver
}

// Webhook posts events to a server: changes of bindings and refusals, in their
// order, each at least once unless too many wait. A post is made again until the
// server takes it.
type Webhook struct {
	url       string
	secret    []byte
	client    *http.Client
	firstWait time.Duration
	grace     time.Duration
	queue     *postQueue
	health    *webhookHealth

	following context.Context // ends when Close begins
	stop      context.CancelFunc
	posting   context.Context // ends when Close waits no longer
	abort     context.CancelFunc
	running   sync.WaitGroup
}

// NewWebhook returns a webhook that does nothing before Start. Its error does not
// repeat the URL, which may hold a password.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	target, err := url.Parse(o.URL)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Hostname() == "" {
		return nil, errors.New("[admin] webhook is no URL of a web server: write one such as https://example.com/sipregd")
	}
	w := &Webhook{
		url: o.URL, secret: []byte(o.Secret), client: newPostClient(), firstWait: firstWait, grace: postGrace,
		queue: newPostQueue(), health: &webhookHealth{observer: o.Observer, clock: time.Now},
	}
	w.following, w.stop = context.WithCancel(context.Background())
	w.posting, w.abort = context.WithCancel(context.Background())
	return w, nil
}

// Start begins to post what a recorder takes down from now on. It is called once.
func (w *Webhook) Start(recorder *journal.Recorder) {
	watch := recorder.Watch(journal.Filter{Kinds: notable}, 0)
	w.running.Go(func() { w.follow(watch) })
	w.running.Go(w.post)
}

// Close posts what was taken down until now, as far as the server takes it at once,
// and within 2 s. What is left then counts as dropped.
func (w *Webhook) Close() {
	w.stop()
	grace := time.AfterFunc(w.grace, w.abort)
	defer grace.Stop()
	w.running.Wait()
	w.abort()
	w.client.CloseIdleConnections()
	w.health.end(w.queue.clear())
}

// Status tells how the events get on.
func (w *Webhook) Status() api.Webhook {
	status := w.health.current()
	status.Waiting = w.queue.count()
	return status
}

// follow puts events into the queue, so that the journal need not remember those
// that wait for a slow server.
func (w *Webhook) follow(watch *journal.Watch) {
	defer w.queue.end()
	defer watch.Close()
	for {
		events, missed, err := watch.Next(w.following)
		if err != nil {
			break
		}
		w.enqueue(events, missed)
	}
	for events, missed := watch.Look(); len(events) > 0 || missed > 0; events, missed = watch.Look() {
		w.enqueue(events, missed)
	}
}

func (w *Webhook) enqueue(events []journal.Event, missed uint64) {
	w.queue.lose(missed)
	for i := range events {
		encoded, err := json.Marshal(eventOf(&events[i]))
		if err != nil { // a time beyond the year 9999
			w.queue.lose(1)
			missed++
			continue
		}
		missed += w.queue.add(encoded)
	}
	w.health.dropped(missed)
}

// post posts what is in the queue until that ends, or Close waits no longer.
func (w *Webhook) post() {
	for {
		b, more := w.queue.take(w.posting)
		if !more {
			return
		}
		if !w.deliver(b) {
			w.health.dropped(uint64(len(b.Events)))
			return
		}
	}
}

// deliver posts a batch until it is taken. It gives up when it fails once more after
// Close has begun.
func (w *Webhook) deliver(b batch) bool {
	body, _ := json.Marshal(b) // what Marshal has made does not fail
	wait := backoff.ExponentialBackOff{
		InitialInterval: w.firstWait, Multiplier: 2, RandomizationFactor: waitSpread, MaxInterval: longestWait,
	}
	for {
		last := w.following.Err() != nil
		err := w.send(body)
		if err == nil {
			w.health.taken(len(b.Events))
			return true
		}
		if w.posting.Err() != nil {
			return false
		}
		w.health.failed(err, len(b.Events)+w.queue.count())
		if last {
			return false
		}
		w.pause(wait.NextBackOff())
	}
}

// pause waits, but not beyond the begin of Close.
func (w *Webhook) pause(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.following.Done():
	}
}
