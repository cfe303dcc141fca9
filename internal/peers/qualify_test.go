package peers

import (
	"testing"
	"time"

	"sipregd/internal/inifile"
)

func TestQualifyEvery(t *testing.T) {
	for _, test := range []struct {
		name      string
		frequency int
		nat       bool
		want      time.Duration
	}{
		{"auto, behind NAT", inifile.Auto, true, 30 * time.Second},
		{"auto, with a way of its own", inifile.Auto, false, 0},
		{"seconds", 60, false, time.Minute},
		{"seconds, behind NAT too", 60, true, time.Minute},
		{"never, not even behind NAT", 0, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings := Settings{plainSettings: plainSettings{QualifyFrequency: test.frequency}}
			if got := settings.QualifyEvery(test.nat); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
