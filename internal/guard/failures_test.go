package guard

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// attempt is credentials that prove nothing, or something, so long after noon.
type attempt struct {
	at       time.Duration
	authname string
	right    bool
	spoofed  bool
}

func wrong(names int, at time.Duration) (attempts []attempt) {
	for i := range names {
		attempts = append(attempts, attempt{at: at, authname: fmt.Sprint("name", i)})
	}
	return attempts
}

func repeated(name string, times int, pause time.Duration) (attempts []attempt) {
	for i := range times {
		attempts = append(attempts, attempt{at: time.Duration(i) * pause, authname: name})
	}
	return attempts
}

func after(pause time.Duration, attempts []attempt) []attempt {
	for i := range attempts {
		attempts[i].at += pause
	}
	return attempts
}

func spoof(attempts []attempt) []attempt {
	for i := range attempts {
		attempts[i].spoofed = true
	}
	return attempts
}

func TestWhoIsBanned(t *testing.T) {
	right := attempt{authname: "kitchen", right: true}
	for _, test := range []struct {
		name     string
		change   func(*Options)
		attempts [][]attempt
		lasts    time.Duration // 0: not banned
	}{
		{"a scanner", nil, [][]attempt{wrong(10, 0)}, 5 * time.Minute},
		{"nine names", nil, [][]attempt{wrong(9, 0)}, 0},
		{"nine names, over and over", nil, [][]attempt{wrong(9, 0), wrong(9, time.Second), wrong(9, 2*time.Second)}, 0},
		{"a phone with one wrong secret, for days", nil, [][]attempt{repeated("kitchen", 2000, 30*time.Second)}, 0},
		{"a phone at full speed", nil, [][]attempt{repeated("kitchen", 5000, time.Millisecond)}, 0},
		{"names that come slowly", nil, [][]attempt{after(0, wrong(5, 0)), after(11*time.Minute, wrong(9, 0))}, 0},
		{"ten names within the window", nil, [][]attempt{wrong(5, 0), wrong(10, 9*time.Minute)}, 5 * time.Minute},
		{"an office with one phone that proves itself", nil, [][]attempt{{right}, wrong(100, time.Second)}, 0},
		{"one that proves itself amid", nil, [][]attempt{wrong(9, 0), {right}, wrong(100, time.Second)}, 0},
		{"one that did so two days ago", nil, [][]attempt{{right}, wrong(10, 48*time.Hour)}, 5 * time.Minute},
		{"spoofed", nil, [][]attempt{spoof(wrong(1000, 0))}, 0},
		{"trusted", func(o *Options) { o.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, [][]attempt{wrong(1000, 0)}, 0},
		{"ban = no", func(o *Options) { o.Ban = false }, [][]attempt{wrong(1000, 0)}, 0},
		{"a second time", nil, [][]attempt{wrong(10, 0), wrong(10, time.Hour)}, 15 * time.Minute},
		{"a third time", nil, [][]attempt{wrong(10, 0), wrong(10, time.Hour), wrong(10, 2*time.Hour)}, 45 * time.Minute},
		{"after a day of peace", nil, [][]attempt{wrong(10, 0), wrong(10, 25*time.Hour)}, 5 * time.Minute},
		{"before a day of peace", nil, [][]attempt{wrong(10, 0), wrong(10, 23*time.Hour)}, 15 * time.Minute},
		{"at most a day", nil, [][]attempt{wrong(10, 0), wrong(10, 1*time.Hour), wrong(10, 2*time.Hour), wrong(10, 4*time.Hour), wrong(10, 8*time.Hour),
			wrong(10, 18*time.Hour), wrong(10, 60*time.Hour), wrong(10, 90*time.Hour)}, 24 * time.Hour},
	} {
		for _, source := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
			t.Run(test.name+" "+source, func(t *testing.T) {
				var told []Ban
				g, _ := limitedGuard(t, func(o *Options) {
					o.Banned = func(b Ban, _ netip.Addr) { told = append(told, b) }
					if test.change != nil {
						test.change(o)
					}
				})
				now := noon
				for _, attempts := range test.attempts {
					for _, a := range attempts {
						now = noon.Add(a.at)
						if a.right {
							g.Proved(addressOf(source), now)
						} else {
							g.Failed(addressOf(source), a.authname, !a.spoofed, now)
						}
					}
				}
				bans := g.List(now)
				if test.lasts == 0 {
					if len(bans) > 0 {
						t.Fatalf("banned: %+v", bans)
					}
					return
				}
				if len(bans) != 1 || !bans[0].Automatic || bans[0].Until.Sub(now) != test.lasts || Text(bans[0].Network) != "192.0.2.1" {
					t.Fatalf("bans: %+v", bans)
				}
				if bans[0].Why != "10 authnames in 10 minutes proved nothing" || told[len(told)-1] != bans[0] || g.BannedByItself() != uint64(len(told)) {
					t.Errorf("told of %+v", told)
				}
				if !g.Admits(from(source), "UDP", now.Add(test.lasts)) || g.Admits(from(source), "UDP", now.Add(test.lasts-1)) {
					t.Error("it does not last so long")
				}
			})
		}
	}
}

// A ban that is lifted is the first again when it comes back.
func TestALiftedBanIsForgiven(t *testing.T) {
	g, _ := limitedGuard(t, nil)
	for range 2 {
		for _, a := range wrong(10, 0) {
			g.Failed(addressOf("2001:db8::7"), a.authname, true, noon)
		}
		bans := g.List(noon)
		if len(bans) != 1 || Text(bans[0].Network) != "2001:db8::/64" || bans[0].Until.Sub(noon) != firstBan {
			t.Fatalf("bans: %+v", bans)
		}
		if !g.Lift(bans[0].Network, noon) {
			t.Fatal("it is not lifted")
		}
	}
}

// Many sources cannot have more banned than there is room for, nor all at once: to set
// one takes time.
func TestAutomaticBansHaveBounds(t *testing.T) {
	g, _ := limitedGuard(t, nil)
	ban := func(first, n int, now time.Time) {
		for i := first; i < first+n; i++ {
			for _, a := range wrong(10, 0) {
				g.Failed(spoofed(i).Addr(), a.authname, true, now)
			}
		}
	}
	ban(0, 1000, noon)
	if n := len(g.List(noon)); n != 100 {
		t.Errorf("%d are banned at once", n)
	}
	g.limit = 120
	later := noon.Add(time.Minute)
	ban(1000, 1000, later)
	if n := len(g.List(later)); n != 120 {
		t.Errorf("%d are banned", n)
	}
	// Whom there was no time for is banned at its next failure, of whatever name.
	g, _ = limitedGuard(t, nil)
	ban(0, 101, noon)
	g.Failed(spoofed(100).Addr(), "name3", true, later)
	if !g.KeepsOut(spoofed(100).Addr(), later) {
		t.Error("who failed too late is never banned")
	}
}

func TestGuessesAreSlowed(t *testing.T) {
	const source, other = "198.51.100.1", "198.51.100.2"
	g, _ := limitedGuard(t, nil)
	try := func(address, name string, reached bool, now time.Time) bool {
		if g.HasFailed(addressOf(address), now) && !g.MayTry(addressOf(address), name, reached, now) {
			return false
		}
		g.Failed(addressOf(address), name, reached, now)
		return true
	}
	count := func(address, name string, reached bool, n int, now time.Time) (looked int) {
		for range n {
			if try(address, name, reached, now) {
				looked++
			}
		}
		return looked
	}
	g.Proved(addressOf(source), noon) // an office; what slows is not whether it is known
	for _, test := range []struct {
		name, source, authname string
		reached                bool
		at                     time.Duration
		looked                 int
	}{
		{"at first", source, "kitchen", true, 0, 20},
		{"at once again", source, "kitchen", true, 0, 0},
		{"another phone", source, "cellar", true, 0, 20},
		{"another source", other, "kitchen", true, 0, 20},
		{"who may be somebody else", source, "kitchen", false, 0, 20},
		{"a little later", source, "kitchen", true, 12 * time.Second, 2},
		{"after a pause", source, "kitchen", true, 3 * time.Minute, 20},
	} {
		if got := count(test.source, test.authname, test.reached, 100, noon.Add(test.at)); got != test.looked {
			t.Errorf("%s: %d are looked at, want %d", test.name, got, test.looked)
		}
	}
	if g.Guesses() != 100*7-102 {
		t.Errorf("%d were not looked at", g.Guesses())
	}
}
