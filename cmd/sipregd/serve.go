package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"sipregd/internal/admin"
	"sipregd/internal/admin/api"
	"sipregd/internal/config"
	"sipregd/internal/digest"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/location/shared"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/qualify"
	"sipregd/internal/redirect"
	"sipregd/internal/regevent"
	"sipregd/internal/registrar"
	"sipregd/internal/stun"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// sipregd is the running daemon.
type sipregd struct {
	path          string
	config        config.Config
	log           zerolog.Logger
	often         zerolog.Logger // for what may repeat without end
	metrics       *admin.Metrics
	heap          heap
	started       time.Time
	recorder      *journal.Recorder
	journal       journal.Journal // the recorder, or the log alone
	guard         *guard.Guard
	store         location.Store
	directory     atomic.Pointer[peers.Directory]
	registrar     *registrar.Registrar
	authenticator *digest.Authenticator
	layer         *transaction.Layer
	finals        *transaction.Finals // nil: calls are not answered
	stun          stun.Keepalives
	qualifier     *qualify.Qualifier
	notifier      *regevent.Notifier // nil: nobody may subscribe to registration events
	server        *transport.Server
	shown         *transport.Certificate // nil: none
	admin         *admin.Server
	webhook       *admin.Webhook // nil: there is none
	serving       bool

	loaded   chan struct{} // bindings of an earlier life were read, or are to be looked at
	settleAt time.Time     // when those whose phones have not come back go; zero: they did

	node    string        // that others know this one by, empty: there are none
	spread  *spread       // of phones over time
	settled bool          // what other nodes share was there, and looked at
	owed    []formerPeers // of which bindings are to be removed yet
	// patientUntil is when the start waits no longer for secrets that nodes share.
	patientUntil time.Time
	removing     atomic.Bool // removals are at work
	removals     sync.WaitGroup
	twinTold     time.Time       // when another node with that name was last told of
	living       context.Context // until the daemon stops
	die          context.CancelFunc
	fetching     sync.WaitGroup // of secrets

	asking     sync.WaitGroup // of the qualifier, the notifier, and of what is sent again
	stopAsking func()

	tlsFailures zerolog.Sampler // which of them are taken down

	reloading  sync.Mutex
	lastReload atomic.Pointer[reloaded]
}

// checkConfiguration reads all configuration and says what it finds.
func checkConfiguration(path string, out io.Writer) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	directory, warnings, err := loadPeers(&c)
	_, pairWarnings, pairErr := readPair(&c)
	socketWarnings, socketErr := socketWarnings(&c)
	for _, warning := range slices.Concat(warnings, pairWarnings, socketWarnings, storeWarnings(&c), readerWarnings(path, &c)) {
		fmt.Fprintln(out, "warning:", warning)
	}
	if err := errors.Join(err, pairErr, socketErr, checkShared(&c)); err != nil {
		return err
	}
	fmt.Fprintf(out, "configuration is fine: %d peers\n", directory.Len())
	return nil
}

// serve runs the daemon until SIGTERM or SIGINT.
func serve(path string, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to stop
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	lines := newLogWriter(out)
	defer lines.close()
	d := newDaemon(path, c, newLogger(c.Log, isTerminal(out), lines))
	defer d.stop()
	if err := d.start(); err != nil {
		return err
	}
	d.loop(signals)
	d.notify(systemd.SdNotifyStopping)
	return nil
}

// newDaemon returns a daemon that does nothing yet.
func newDaemon(path string, c config.Config, log zerolog.Logger) *sipregd {
	d := &sipregd{path: path, config: c, log: log, started: time.Now().UTC(), stopAsking: func() {}}
	d.often = log.Sample(&zerolog.BurstSampler{Burst: 5, Period: time.Second})
	lines := journal.NewLog(log)
	d.recorder = journal.NewRecorder(c.Admin.RecentMemory<<20, time.Now, lines)
	if d.journal = d.recorder; c.Admin.RecentMemory == 0 {
		d.journal = lines
	}
	d.loaded = make(chan struct{}, 1)
	d.living, d.die = context.WithCancel(context.Background())
	d.spread = newSpread(&c.Registrar, c.Location.Store == "redis")
	s := &c.Security
	d.guard = guard.New(guard.Options{
		Journal: d.journal, Rate: s.Rate, UnknownRate: s.UnknownRate, KnownRate: s.KnownRate, Ban: s.Ban, Trusted: s.Trusted,
		KnownFor: 2 * time.Duration(c.Registrar.MaximumExpiration) * time.Second, Banned: d.bannedByItself,
	})
	d.metrics = admin.NewMetrics(d.started)
	d.tlsFailures = &zerolog.BurstSampler{Burst: 5, Period: time.Second}
	return d
}

// start does what it takes until phones are served.
func (d *sipregd) start() error {
	// What comes while bindings are read waits in the kernel. Some bindings end then,
	// which the webhook is to tell of.
	listenFirst, listenLate := d.listen, func() error { return nil }
	if d.config.Listen.SharePorts { // another daemon answers until this one can
		listenFirst, listenLate = listenLate, listenFirst
	}
	for _, step := range []func() error{
		d.readFirstPeers, listenFirst, d.startWebhook, d.openStore, d.authenticate, listenLate, d.decide, d.administer,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	d.server.Closed = func(stream uint64) { d.registrar.FlowEnded(stream, time.Now()) }
	d.server.Bound = d.carries
	d.server.NoTLS = d.noTLS
	d.server.Admits, d.server.Reads = d.guard.AdmitsStream, d.guard.AdmitsDatagram
	d.server.Blocks = d.node != ""
	d.server.Serve(d.guard.Before(d.stun.Before(d.layer)), d.store)
	d.startAsking()
	d.serving = true
	d.log.Info().Strs("listen", append(d.server.Addresses(), d.admin.Addresses()...)).
		Int("peers", d.Directory().Len()).Str("version", buildVersion()).Msg("started")
	d.notify(systemd.SdNotifyReady)
	return nil
}

// stop ends what start has begun, as far as that got: what has come is answered,
// saved and posted.
func (d *sipregd) stop() {
	d.stopAsking()
	d.asking.Wait()
	d.die()
	d.fetching.Wait()
	if d.server != nil {
		d.server.Close()
	}
	if d.admin != nil {
		d.admin.Close()
	}
	d.closeStore()
	d.removals.Wait()
	if d.registrar != nil {
		d.registrar.WaitForCounting()
	}
	d.closeWebhook()
	if d.serving {
		d.log.Info().Msg("stopped")
	}
}

func (d *sipregd) readFirstPeers() error {
	d.heap.tune(time.Now())
	d.warn(readerWarnings(d.path, &d.config))
	directory, warnings, err := loadPeers(&d.config)
	d.warn(warnings)
	if err != nil {
		return err
	}
	d.directory.Store(directory)
	d.lastReload.Store(&reloaded{api.Reload{OK: true, Time: d.started, Peers: directory.Len(), Warnings: warnings}})
	debug.FreeOSMemory() // what reading them took
	d.heap.tune(time.Now())
	return nil
}

func (d *sipregd) listen() (err error) {
	longest := time.Duration(d.config.Registrar.MaximumExpiration) * time.Second
	pair, warnings, err := readPair(&d.config)
	d.warn(warnings)
	if err != nil {
		return err
	}
	if pair != nil {
		d.shown = transport.NewCertificate(pair)
	}
	inherited, err := inherit()
	if err != nil {
		return err
	}
	defer inherited.Close()
	where := addresses(&d.config)
	if err := d.checkTakeover(where); err != nil {
		return err
	}
	d.warn(inherited.Differences(where))
	if names := inherited.Names(); len(names) > 0 {
		d.log.Info().Str("event", "sockets_inherited").Strs("sockets", names).Msg("systemd holds the sockets, and keeps what comes while no daemon runs")
	}
	where.Inherited = inherited
	if d.server, err = transport.Listen(where, d.shown, longest, d.trouble); err != nil {
		return err
	}
	limits, warnings := streamLimits(&d.config)
	d.warn(warnings)
	d.server.Limit(limits)
	return nil
}

// authenticate makes what challenges phones.
func (d *sipregd) authenticate() (err error) {
	d.authenticator, err = d.newAuthenticator()
	return err
}

// decide makes the registrar and the transactions before it.
func (d *sipregd) decide() error {
	key, err := d.gruuKey()
	if err != nil {
		return err
	}
	d.qualifier = qualify.New(qualify.Options{
		Store: d.asked(), Directory: d.Directory, Journal: d.journal, Send: d.server.Send, Gone: transport.ErrNoFlow,
		Clock: time.Now, Random: rand.Reader, RoundTrip: d.metrics.RoundTrip, Lost: d.datagramsLost,
		Node: d.node, Outbound: d.config.Location.Outbound,
	})
	d.notifier = d.newNotifier()
	d.registrar = registrar.New(registrar.Options{
		Domains: domains(&d.config), Directory: d.directory.Load(), Authenticator: d.authenticator,
		Location: d.store, Journal: d.watched(), GRUUKey: key, Here: d.here(),
		DisconnectGrace: d.disconnectGrace(), Others: d.others(), Shorten: d.shorten(), RetryAfter: retryAfter,
		ServiceRoute: d.config.Registrar.ServiceRoute, FlowTimer: d.config.Registrar.FlowTimer,
	}).QualifiedBy(d.qualifier).GuardedBy(d.guard)
	if store, isShared := d.store.(*shared.Store); isShared {
		d.fetchSecret(store, gruuSecretName, key, d.registrar.ShareGRUUs)
	}
	memory := d.config.Listen.TransactionMemory << 20
	d.layer = transaction.NewLayer(d.core(), memory).Answering(d.qualifier.Clients())
	if d.notifier != nil {
		d.layer.Answering(d.notifier.Clients())
	}
	if d.config.Calls.Redirect {
		d.finals = transaction.NewFinals(d.server.Send, memory/16)
		d.layer.Repeating(d.finals)
	}
	return nil
}

// callCore returns what answers requests: the registrar, behind what tells callers where
// phones are.
func (d *sipregd) callCore() transaction.Core {
	if !d.config.Calls.Redirect {
		return d.registrar
	}
	return redirect.New(redirect.Options{Registrar: d.registrar, Journal: d.journal, Permit: d.config.Calls.Permit})
}

// datagramsLost returns how many have come and were dropped.
func (d *sipregd) datagramsLost() uint64 {
	counts := d.server.Counts()
	return counts.Dropped + counts.Lost
}

// startAsking has phones asked whether they are there, until stopAsking is called.
func (d *sipregd) startAsking() {
	var asking context.Context
	asking, d.stopAsking = context.WithCancel(context.Background())
	d.asking.Go(func() { d.qualifier.Run(asking) })
	d.startNotifying(asking)
	if d.finals != nil {
		d.asking.Go(func() { repeatFinals(asking, d.finals) })
	}
}

// repeatFinals has what is due sent again, until the context ends.
func repeatFinals(ctx context.Context, finals *transaction.Finals) {
	const step = 100 * time.Millisecond // Timer G fires after 500 ms at first
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			finals.Step(time.Now())
			return
		case now := <-ticker.C:
			finals.Step(now)
		}
	}
}

// shorten returns what the registrar shortens times by, nil where that is never.
func (d *sipregd) shorten() func(now time.Time) float64 {
	if d.spread.most == 0 {
		return nil
	}
	return d.spread.shorten
}

// loop does what time and signals ask for, until one asks to stop.
func (d *sipregd) loop(signals <-chan os.Signal) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			d.heap.tune(now)
			d.store.Expire(now, d.registrar.Expired)
			d.removeGone(now)
			d.lookForTwin(now)
		case <-d.loaded:
			d.settle(time.Now())
		case s := <-signals:
			if s != syscall.SIGHUP {
				d.log.Info().Stringer("signal", s).Msg("stopping")
				return
			}
			d.reload()
		}
	}
}

func (d *sipregd) disconnectGrace() time.Duration {
	return time.Duration(d.config.Registrar.DisconnectGrace) * time.Second
}

func (d *sipregd) warn(warnings []string) {
	for _, warning := range warnings {
		d.log.Warn().Msg(warning)
	}
}

// trouble may come with each datagram: a few lines a second say enough.
func (d *sipregd) trouble(err error) { d.often.Warn().Err(err).Msg("network trouble") }

// noTLS takes down why no TLS came about with somebody. Scanners may bring it about often:
// a few events a second say enough.
func (d *sipregd) noTLS(flow message.Flow, cause error) {
	if !d.tlsFailures.Sample(zerolog.WarnLevel) {
		return
	}
	d.journal.Record(journal.Event{
		Kind: journal.Refused, Reason: journal.TLSFailed, Source: flow.Source, Transport: flow.Transport, Detail: cause.Error(),
	})
}

// notify tells systemd, where it started the daemon and waits for that.
func (d *sipregd) notify(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		d.log.Warn().Err(err).Msg("systemd not notified")
	}
}

func domains(c *config.Config) peers.Domains {
	return peers.NewDomains(c.Registrar.Domains, c.Registrar.Realm)
}

func loadPeers(c *config.Config) (*peers.Directory, []string, error) {
	recognize, _ := peers.ParseWish(c.Registrar.RecognizePhone) // it was checked
	return peers.Load(c.Peers.Files, peers.Options{
		Domains:           domains(c),
		Algorithms:        c.Registrar.Algorithms,
		MaxContacts:       c.Registrar.MaxContacts,
		MaxAORs:           c.Registrar.MaxAORs,
		RemoveExisting:    c.Registrar.RemoveExisting,
		RemoveUnavailable: c.Registrar.RemoveUnavailable,
		CSeqReset:         c.Registrar.CSeqReset,
		RecognizePhone:    recognize,
		QualifyFrequency:  c.Registrar.QualifyFrequency,
		QualifyTimeout:    c.Registrar.QualifyTimeout,
		MinimumExpiration: c.Registrar.MinimumExpiration,
		DefaultExpiration: c.Registrar.DefaultExpiration,
		MaximumExpiration: c.Registrar.MaximumExpiration,

		ClientCertificates: c.Listen.ClientCA != "",
	})
}
