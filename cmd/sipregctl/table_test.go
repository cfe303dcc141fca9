package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"sipregd/internal/admin/api"
)

// noon is when the tests take place.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var (
	kitchen = api.Contact{AOR: "2001", Label: "Kitchen, 1st floor", Authname: "7f3a9c",
		Contact: "sip:2001@192.0.2.7:5060;transport=udp", Source: "198.51.100.20:61234", Transport: "UDP",
		ExpiresIn: 3540, LastSeen: noon.Add(-time.Minute), Reachable: "yes", RoundTrip: 12.34, UserAgent: "Grandstream GXP2170 1.0.11.48"}
	desk = api.Contact{AOR: "2002@sales.example.com", Label: "Front desk", Authname: "frontdesk",
		Contact: "sip:2002@192.0.2.8", Source: "192.0.2.8:5060", Transport: "TCP",
		ExpiresIn: 42, LastSeen: noon.Add(-3 * time.Hour), Reachable: "no", UserAgent: "Yealink SIP-T46S 66.86.0.15"}
)

func TestContactsFitTheTerminal(t *testing.T) {
	tests := []struct {
		name  string
		width int
		want  string
	}{
		{"no terminal", 0, `
AOR                     LABEL               AUTHNAME   CONTACT                                RECEIVED             VIA  EXPIRES  SEEN       ANSWERS  USER-AGENT
2001                    Kitchen, 1st floor  7f3a9c     sip:2001@192.0.2.7:5060;transport=udp  198.51.100.20:61234  UDP  59 min   1 min ago  12.3 ms  Grandstream GXP2170 1.0.11.48
2002@sales.example.com  Front desk          frontdesk  sip:2002@192.0.2.8                     192.0.2.8:5060       TCP  42 s     3 h ago    no       Yealink SIP-T46S 66.86.0.15
`},
		{"200 cells", 200, `
AOR                     LABEL               AUTHNAME   CONTACT                                RECEIVED             VIA  EXPIRES  SEEN       ANSWERS  USER-AGENT
2001                    Kitchen, 1st floor  7f3a9c     sip:2001@192.0.2.7:5060;transport=udp  198.51.100.20:61234  UDP  59 min   1 min ago  12.3 ms  Grandstream GXP2170 1.0.11.48
2002@sales.example.com  Front desk          frontdesk  sip:2002@192.0.2.8                     192.0.2.8:5060       TCP  42 s     3 h ago    no       Yealink SIP-T46S 66.86.0.15
`},
		{"120 cells", 120, `
AOR                LABEL         AUTHNAME  CONTACT         RECEIVED         VIA  EXPIRES  SEEN       ANSWERS  USER-AGENT
2001               Kitchen, 1s…  7f3a9c    sip:2001@192.…  198.51.100.20:…  UDP  59 min   1 min ago  12.3 ms  Grandstre…
2002@sales.examp…  Front desk    frontde…  sip:2002@192.…  192.0.2.8:5060   TCP  42 s     3 h ago    no       Yealink S…
`},
		{"80 cells", 80, `
AOR             LABEL         AUTHNAME  CONTACT         RECEIVED         EXPIRES
2001            Kitchen, 1s…  7f3a9c    sip:2001@192.…  198.51.100.20:…  59 min
2002@sales.ex…  Front desk    frontde…  sip:2002@192.…  192.0.2.8:5060   42 s
`},
		{"60 cells", 60, `
AOR         LABEL         AUTHNAME  RECEIVED         EXPIRES
2001        Kitchen, 1s…  7f3a9c    198.51.100.20:…  59 min
2002@sale…  Front desk    frontde…  192.0.2.8:5060   42 s
`},
		{"20 cells", 20, `
AOR    LABEL  AUTHN…
2001   Kitc…  7f3a9c
2002…  Fron…  front…
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			newTable(&out, test.width, contactColumns...).add(contactRows([]api.Contact{kitchen, desk}, noon)...)
			if got := "\n" + out.String(); got != test.want {
				t.Errorf("got%s", got)
			}
			for line := range strings.Lines(out.String()) {
				if cells := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); test.width > 0 && cells > test.width {
					t.Errorf("%d cells: %s", cells, line)
				}
			}
		})
	}
}

// Where a phone sits behind NAT, or its connection is at one of several nodes, its
// transport says so.
func TestContactsTellOfNAT(t *testing.T) {
	behind := kitchen
	behind.NAT = true
	elsewhere := behind
	elsewhere.Node = "sip1"
	for i, want := range []string{"UDP NAT", "TCP", "UDP NAT at sip1"} {
		if got := contactRows([]api.Contact{behind, desk, elsewhere}, noon)[i][5]; contactColumns[5].title != "VIA" || got != want {
			t.Errorf("below %s stands %q, want %q", contactColumns[5].title, got, want)
		}
	}
}

func TestNarrowTerminalSaysWhatItLeavesOut(t *testing.T) {
	for width, want := range map[int]string{
		0:  "\n2 bindings\n",
		60: "\n2 bindings; no room for CONTACT, VIA, SEEN, ANSWERS,\nUSER-AGENT (--wide)\n",
	} {
		var out bytes.Buffer
		table := newTable(&out, width, contactColumns...)
		if err := table.add(contactRows([]api.Contact{kitchen, desk}, noon)...); err != nil {
			t.Fatal(err)
		}
		table.end("2 bindings")
		if got := out.String(); !strings.HasSuffix(got, want) {
			t.Errorf("width %d: got\n%s", width, got)
		}
	}
}

// At any width each line fits, and the three names are there.
func TestTableNeverWraps(t *testing.T) {
	for width := 1; width < 260; width++ {
		for _, columns := range [][]column{contactColumns, peerColumns, eventColumns, banColumns} {
			var out bytes.Buffer
			table, row := newTable(&out, width, columns...), []string{}
			for i := range columns {
				row = append(row, strings.Repeat("日本語x", i+1))
			}
			table.add(row)
			for line := range strings.Lines(out.String()) {
				if cells := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); cells > max(width, 3*len(columns)) {
					t.Fatalf("width %d: %d cells: %s", width, cells, line)
				}
			}
			for i, c := range columns {
				if c.stays && table.shown[i] < 1 {
					t.Fatalf("width %d: no %s", width, c.title)
				}
			}
		}
	}
}

func TestTableGrowsForLaterRows(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, 0, column{title: "A"}, column{title: "B"})
	table.add([]string{"1", "x"})
	table.add([]string{"longer", "y"})
	table.add([]string{"1", ""})
	const want = "A  B\n1  x\nlonger  y\n1\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What comes later does not shift the columns of events below their titles.
func TestEventsStayBelowTheirTitles(t *testing.T) {
	for _, width := range []int{60, 80, 120, 200} {
		var out bytes.Buffer
		table := newTable(&out, width, eventColumns...)
		for _, label := range []string{"Desk", strings.Repeat("a long label ", 9), "Desk"} {
			table.add(eventRow(api.Event{Time: noon, Event: "refused", AOR: "2001", Label: label, Authname: "7f3a9c", Reason: "unknown_authname"}))
		}
		lines := strings.Split(out.String(), "\n")
		at := strings.Index(lines[0], "AUTHNAME")
		for _, line := range lines[1:4] {
			if cells := []rune(line); string(cells[at:at+6]) != "7f3a9c" || len(cells) > width {
				t.Errorf("width %d:\n%s", width, out.String())
			}
		}
	}
}

func TestTableShowsHostileTextHarmlessly(t *testing.T) {
	var out bytes.Buffer
	hostile := kitchen
	hostile.UserAgent = "\x1b]0;owned\x07\u009b31m\nAOR  \u202egnp\xff"
	newTable(&out, 0, contactColumns...).add(contactRows([]api.Contact{hostile}, noon)...)
	const want = `\x1b]0;owned\a\u009b31m\nAOR  \u202egnp\xff`
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, want+"\n") {
		t.Errorf("got %q", got)
	}
}

func TestContactSum(t *testing.T) {
	tests := []struct {
		name  string
		pages [][]api.Contact
		total int
		want  string
	}{
		{"none", [][]api.Contact{{}}, 0, "no bindings"},
		{"one", [][]api.Contact{{kitchen}}, 1, "1 binding of 1 address"},
		{"on two pages", [][]api.Contact{{kitchen, kitchen}, {desk}}, 3, "3 bindings of 2 addresses"},
		{"limited", [][]api.Contact{{kitchen}}, 3, "the first 1 of 3 bindings"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var sum contactSum
			for _, page := range test.pages {
				sum.add(page, test.total)
			}
			if got := sum.String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
