package digest

import (
	"testing"

	"sipregd/internal/message"
)

func BenchmarkChallenge(b *testing.B) {
	for _, algorithm := range []Algorithm{MD5, SHA256} {
		b.Run(algorithm.String(), func(b *testing.B) {
			a := New([32]byte{1}, []Algorithm{algorithm}, verifyLifetime)
			room := make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				a.AppendChallenge(room, 0, verifyTime, "sipregd", false, phoneAddress)
			}
		})
	}
}

// BenchmarkVerify verifies credentials that are right, each with a nonce of its own,
// as phones do that were just challenged.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []Algorithm{MD5, SHA256} {
		b.Run(algorithm.String(), func(b *testing.B) {
			a := New([32]byte{1}, []Algorithm{algorithm}, verifyLifetime)
			a1 := NewA1("a", "r", "secret")
			signed := make([]*message.Credentials, 4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(signed) == 0 {
					b.StopTimer()
					for j := range signed {
						nonce := string(a.mint.appendNonce(nil, a.clock.seconds(verifyTime), phoneAddress))
						signed[j] = sign(algorithm, nonce, "00000001", "secret")
					}
					b.StartTimer()
				}
				if result := a.Verify(verifyTime, "REGISTER", signed[i%len(signed)], a1, 0); result != Right {
					b.Fatal(result)
				}
			}
		})
	}
}
