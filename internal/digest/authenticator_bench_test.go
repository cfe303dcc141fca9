package digest

import (
	"fmt"
	"testing"
)

func BenchmarkChallenge(b *testing.B) {
	for _, algorithm := range []Algorithm{MD5, SHA256} {
		b.Run(algorithm.String(), func(b *testing.B) {
			a := New([32]byte{1}, []Algorithm{algorithm}, verifyLifetime)
			b.ReportAllocs()
			for b.Loop() {
				a.Challenge(verifyTime, "sipregd", false, func([]byte) {})
			}
		})
	}
}

// BenchmarkVerify verifies credentials that are right, each with a nonce count of
// its own, for a nonce is not good twice.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []Algorithm{MD5, SHA256} {
		b.Run(algorithm.String(), func(b *testing.B) {
			a := New([32]byte{1}, []Algorithm{algorithm}, verifyLifetime)
			a1 := NewA1("a", "r", "secret")
			nonce := string(a.mint.appendNonce(nil, a.clock.seconds(verifyTime)))
			count := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				count++
				c := sign(algorithm, nonce, fmt.Sprintf("%08x", count), "secret")
				b.StartTimer()
				if result := a.Verify(verifyTime, "REGISTER", c, a1, 0); result != Right {
					b.Fatal(result)
				}
			}
		})
	}
}
