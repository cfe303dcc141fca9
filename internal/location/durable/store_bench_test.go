package durable

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// BenchmarkRegistrations reports the processor time of a registration, with the
// kernel's part in it, by what is registered, where it is kept, and how many
// share a commit. It wants a number of registrations: -benchtime 400000x.
func BenchmarkRegistrations(b *testing.B) {
	for _, fresh := range []bool{true, false} {
		for _, batch := range []int{64, 200} {
			name := fmt.Sprintf("%s/batch=%d", map[bool]string{true: "new", false: "refresh"}[fresh], batch)
			b.Run(name+"/memory", func(b *testing.B) {
				registrations{location.NewMemory(time.Now()), batch}.measure(b, fresh)
			})
			b.Run(name+"/file", func(b *testing.B) {
				s, _ := open(b, Options{Path: b.TempDir()})
				registrations{s, batch}.measure(b, fresh)
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

// registrations come in batches, as a reader of datagrams has them.
type registrations struct {
	location.Store
	batch int
}

func (r registrations) measure(b *testing.B, fresh bool) {
	bound := 200_000 // AORs, or as many as are refreshed
	if fresh {
		bound = b.N
	}
	phones := make([]sipuri.AOR, bound)
	for i := range phones {
		phones[i] = aor(fmt.Sprint("u", 100_000_000+i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(bound, func(i, j int) { phones[i], phones[j] = phones[j], phones[i] })
	if !fresh {
		for batch := range slices.Chunk(phones, 4096) {
			r.register(b, batch)
		}
	}
	order := random.Perm(bound)
	next := make([]sipuri.AOR, 0, r.batch)
	b.ResetTimer()
	began := processorTime()
	for done := 0; done < b.N; done += len(next) {
		next = next[:0]
		for i := range min(r.batch, b.N-done) {
			next = append(next, phones[order[(done+i)%bound]])
		}
		r.register(b, next)
	}
	b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/reg")
}

// register binds AORs and returns when that lasts.
func (r registrations) register(b *testing.B, phones []sipuri.AOR) {
	mark := r.Begin()
	now := time.Now()
	for _, aor := range phones {
		err := r.Update(aor, now, func(current []location.Binding) ([]location.Binding, error) {
			next := location.Binding{
				Contact: "<sip:" + aor.User + "@127.0.0.1:49152>", CallID: "19283@dmlkq3x0.invalid", CSeq: 1,
				Expires: now.Add(time.Hour), Changed: now, Authname: aor.User, Label: aor.User,
				UserAgent: "sipregload/1.0 (RFC 3261)", Transport: "UDP", Source: netip.MustParseAddrPort("127.0.0.1:49152"),
			}
			if len(current) > 0 {
				next.ID, next.CSeq = current[0].ID, current[0].CSeq+2
			}
			return []location.Binding{next}, nil
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Commit(mark); err != nil {
		b.Fatal(err)
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
