package admin

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sipregd/internal/admin/api"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/qualify"
	"sipregd/internal/regevent"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// maxScrapes bounds how many are answered at once: each goes through all bindings.
const maxScrapes = 4

// Metrics is what Prometheus sees of the daemon. No label has values that the network
// chooses. It may be used by many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry

	commitSeconds, commitAORs prometheus.Histogram
	roundTrips                prometheus.Histogram

	reloads          *prometheus.CounterVec
	reloadSuccessful prometheus.Gauge
	reloadedAt       prometheus.Gauge
}

// Sources are what is read at each scrape. Of one that is nil there are no metrics.
type Sources struct {
	Events   func() journal.Counts
	Watches  func() int
	Requests func(now time.Time) transaction.Counts
	Sockets  func() transport.Counts
	STUN     func() uint64 // requests answered, beside Sockets
	Bindings func() (aors, bindings int)
	Qualify  func() qualify.Counts
	// Subscriptions is what registration events come to; nil: there are none.
	Subscriptions func() regevent.Counts
	Nonces        func() int // pages of nonces whose count is remembered
	// Saving tells whether bindings last, and of how many AORs they are still to be
	// saved; nil: none are meant to last.
	Saving  func() (durable bool, unsaved int)
	Shared  func() SharedCounts // nil: no nodes share the bindings
	Peers   func() int
	Guard   *guard.Guard
	Webhook func() api.Webhook // nil: there is none
}

// SharedCounts is what a store has done that nodes share.
type SharedCounts struct {
	Up         bool
	Operations uint64 // round trips
	Conflicts  uint64 // changes that were made again, as another node was quicker
	Errors     uint64 // operations that failed
	Replayed   uint64 // requests that were proved by what another node had seen already
}

// NewMetrics returns the metrics of a daemon that has loaded its configuration at
// that time.
func NewMetrics(loaded time.Time) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sipregd_store_commit_duration_seconds", Help: "Time to write bindings to disk for good, or to Redis, for each commit.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5},
		}),
		commitAORs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sipregd_store_commit_aors", Help: "Addresses-of-record written in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		roundTrips: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sipregd_qualify_duration_seconds", Help: "Time that phones take to answer an OPTIONS.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sipregd_config_reloads_total", Help: "Times that peers.conf was read anew.",
		}, []string{"result"}),
		reloadSuccessful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sipregd_config_last_reload_successful", Help: "Whether peers.conf did load the last time: 1, or 0 and the peers of before serve.",
		}),
		reloadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sipregd_config_last_reload_success_timestamp_seconds", Help: "When peers.conf was last read with success.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(),
		m.commitSeconds, m.commitAORs, m.roundTrips, m.reloads, m.reloadSuccessful, m.reloadedAt,
	)
	for _, ok := range []bool{true, false} {
		m.reloads.WithLabelValues(resultOf(ok))
	}
	m.setReload(true, loaded)
	return m
}

func buildInfo() prometheus.Collector {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sipregd_build_info", Help: "1, with what was built by what.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

// Read has sources read at each scrape from now on. It is called once.
func (m *Metrics) Read(s Sources) { m.registry.MustRegister(s.collectors()...) }

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// Committed takes down that the bindings of so many AORs were written to disk.
func (m *Metrics) Committed(took time.Duration, aors int) {
	m.commitSeconds.Observe(took.Seconds())
	m.commitAORs.Observe(float64(aors))
}

// RoundTrip takes down how long a phone took to answer an OPTIONS.
func (m *Metrics) RoundTrip(took time.Duration) { m.roundTrips.Observe(took.Seconds()) }

// Reloaded takes down that the configuration was read anew at that time.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	m.reloads.WithLabelValues(resultOf(ok)).Inc()
	m.setReload(ok, at)
}

func (m *Metrics) setReload(ok bool, at time.Time) {
	m.reloadSuccessful.Set(oneIf(ok))
	if ok {
		m.reloadedAt.Set(float64(at.UnixMilli()) / 1000)
	}
}

func resultOf(ok bool) string {
	if ok {
		return "success"
	}
	return "failure"
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
