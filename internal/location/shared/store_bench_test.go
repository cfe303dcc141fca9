package shared

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// BenchmarkRefresh refreshes bindings from so many goroutines at once, by phones that
// stay with their node and by phones that move each time. It reports the processor time
// of this process and of redis-server, and the memory of Redis for an AOR. It wants a
// number of refreshes: -benchtime 200000x.
func BenchmarkRefresh(b *testing.B) {
	for _, moves := range []bool{false, true} {
		for _, at := range []int{1, 64, 256, 1000} {
			b.Run(fmt.Sprintf("%s/at=%d", map[bool]string{false: "stays", true: "moves"}[moves], at), func(b *testing.B) {
				refreshes(b, at, moves)
			})
		}
	}
}

func refreshes(b *testing.B, at int, moves bool) {
	redis := startServer(b, "--hash-max-listpack-value", "1024") // as the README recommends
	one, _ := openWith(b, Options{URL: redis.url(), Node: "one", Timeout: calm})
	two, _ := openWith(b, Options{URL: redis.url(), Node: "two", Timeout: calm})
	stores := []*Store{one, one}
	if moves {
		stores[1] = two
	}
	const phones = 50_000
	aors := make([]sipuri.AOR, phones)
	for i := range aors {
		aors[i] = sipuri.AOR{User: fmt.Sprint("u", 100_000_000+i), Domain: "example.com"}
	}
	empty := used(redis)
	var next atomic.Int64
	run := func(count int) {
		count += int(next.Load())
		var all sync.WaitGroup
		for range at {
			all.Go(func() {
				for i := int(next.Add(1)); i <= count; i = int(next.Add(1)) {
					refresh(b, stores[i/phones%2], aors[i%phones], i)
				}
			})
		}
		all.Wait()
		next.Store(int64(count))
	}
	run(phones)
	memory := float64(used(redis)-empty) / phones
	before, began, its := one.Numbers().Operations+two.Numbers().Operations, processorTime(), redis.processorTime()
	b.ResetTimer()
	run(b.N)
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "refreshes/s")
	b.ReportMetric(float64((processorTime()-began).Microseconds())/n, "cpu-us/op")
	b.ReportMetric(float64((redis.processorTime()-its).Microseconds())/n, "redis-us/op")
	b.ReportMetric(float64(one.Numbers().Operations+two.Numbers().Operations-before)/n, "trips/op")
	b.ReportMetric(memory, "redis-B/aor")
}

func refresh(b *testing.B, s *Store, aor sipuri.AOR, i int) {
	now := time.Now()
	use := location.Use{Issued: uint32(i), Number: uint64(i), Count: 1}
	err := s.UpdateProved(aor, now, use, func(current []location.Binding) ([]location.Binding, error) {
		next := phone("sip:u100000000@192.0.2.7:5060;transport=udp", now)
		next.CSeq = uint32(i)
		if len(current) > 0 {
			next.ID = current[0].ID
		}
		return []location.Binding{next}, nil
	}, nil)
	if err != nil {
		b.Error(err)
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// used returns the bytes that a Redis uses.
func used(s *server) int {
	bytes, _ := strconv.Atoi(s.info("used_memory"))
	return bytes
}

func (s *server) processorTime() time.Duration {
	user, _ := strconv.ParseFloat(s.info("used_cpu_user"), 64)
	system, _ := strconv.ParseFloat(s.info("used_cpu_sys"), 64)
	return time.Duration((user + system) * 1e9)
}

func (s *server) info(name string) string {
	for line := range strings.Lines(s.cli("INFO", "all")) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
