package admin

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/admin/chromium"
)

// office is what the page shows of a small office.
func office(d *fakeDaemon) {
	now := time.Now()
	d.contacts = sortByAOR([]api.Contact{
		binding("2001", "7f3a9c", "Kitchen, 1st floor", "sip:2001@192.0.2.21:5060", "192.0.2.21:5060", "Yealink SIP-T54W 96.86.0.70", 3*time.Minute),
		binding("2001", "frontdesk", "Front desk", "sip:2001@192.0.2.22:5060", "192.0.2.22:5060", "Grandstream GXP2170 1.0.11.84", 41*time.Minute),
		binding("2002", "frontdesk", "Front desk", "sip:2002@192.0.2.22:5060", "192.0.2.22:5060", "Grandstream GXP2170 1.0.11.84", 41*time.Minute),
		binding("2003", "b41d77", "Workshop", "sip:2003@192.0.2.35:5062", "192.0.2.35:5062", "Cisco/SPA508G-7.6.2", 59*time.Minute+24*time.Second),
		binding("2004", "c02e51", "Meeting room Elbe", "sip:2004@192.0.2.41:5060;transport=tcp", "192.0.2.41:49152", "PolyEdge-E400-UA/8.2.0", 12*time.Minute),
		binding("2005", "mara-home", "Mara, at home", "sip:2005@203.0.113.7:61022", "203.0.113.7:61022", "baresip v3.5.1", 4*time.Second),
		binding("2006", "e6610d", "Warehouse DECT", "sip:2006@192.0.2.60:5060", "192.0.2.60:5060", "N510 IP PRO/42.258", 22*time.Minute),
		binding("2007", "e6610e", "Warehouse DECT, 2nd handset", "sip:2007@192.0.2.60:5060", "192.0.2.60:5060", "N510 IP PRO/42.258", 22*time.Minute),
		binding("2010", "fax-10", "Fax, ground floor", "sip:2010@192.0.2.80:5061", "192.0.2.80:5061", "OBIHAI/OBi200-3.2.2", 51*time.Minute),
		binding("2011", "9ab7c4", "Front gate", "sip:2011@[2001:db8::31]:5060", "[2001:db8::31]:5060", "2N IP Verso 2.42", 8*time.Minute),
		binding("2015", "jonas-mobile", "Jonas, mobile", "sip:2015@198.51.100.84:33410", "198.51.100.84:33410", "Linphone/5.2.5", 35*time.Second),
		binding("2020", "0d4f18", "Reception, night", "sip:2020@192.0.2.24:5060", "192.0.2.24:5060", "snomD785/10.1.175", 27*time.Minute),
	})
	d.attempts = []api.Attempt{
		failure(9, 40*time.Second, 14, "unknown_authname", "2003", "2003", "", "192.0.2.36:5060",
			`The phone sends "2003" as its Auth ID, and no peer has that authname. But it is the aorname of [Workshop]: the phone sends its User ID as Auth ID.`,
			"Set the phone's Auth ID to b41d77 (on Cisco/Sipura with Use Auth ID = yes), or set authname = 2003 in [Workshop] (peers.conf:21) and reload."),
		failure(8, 6*time.Minute, 3, "wrong_secret", "2008", "a7730b", "Lab bench", "192.0.2.52:5060",
			`The phone sends the Auth ID "a7730b" of [Lab bench] with a wrong password.`,
			"Type the password anew into the phone: it is the secret of [Lab bench] (peers.conf:58). Capitals and blanks count."),
		failure(7, 19*time.Minute, 1, "aor_not_of_this_peer", "2012", "9ab7c4", "Front gate", "192.0.2.31:5060",
			"[Front gate] has proved who it is, but may not register 2012: its aorname is 2011.",
			"Set the phone's User ID to 2011. Or add 2012 to the list of [Front gate] (peers.conf:47): aorname = 2011, 2012, and reload."),
		failure(6, 2*time.Hour, 212, "source_not_permitted", "2002", "frontdesk", "Front desk", "203.0.113.99:5060",
			"[Front desk] has proved who it is, but comes from 203.0.113.99: its permit is 192.0.2.0/24.",
			"Add 203.0.113.99, or its network, to permit in [Front desk] (peers.conf:9) and reload; or have the phone come from where it may."),
	}
	d.stats = api.Stats{
		Version: "1.0.0", Started: now, Uptime: 12*86400 + 4*3600, Listen: []string{"udp 192.0.2.5:5060", "tcp 192.0.2.5:5060"}, Peers: 18,
		Refusals: map[string]uint64{"unknown_authname": 14, "wrong_secret": 3, "aor_not_of_this_peer": 1, "source_not_permitted": 212, "stale_nonce": 1201},
		Store:    api.Store{Kind: "file", Durable: true}, Reload: api.Reload{OK: true},
	}
}

func failure(seq uint64, age time.Duration, times int, reason, aor, authname, label, source, cause, cure string) api.Attempt {
	address := netip.MustParseAddrPort(source)
	return api.Attempt{
		Event: api.Event{
			Seq: seq, Time: time.Now().Add(-age), Event: "refused", Reason: reason, SourceIP: address.Addr().String(), Port: address.Port(),
			Transport: "UDP", Label: label, Authname: authname, AOR: aor,
		},
		Failed: true, Times: times, Cause: cause, Cure: cure,
	}
}

// SIPREGD_SCREENSHOT=FILE makes the picture of the README.
func TestScreenshot(t *testing.T) {
	path := os.Getenv("SIPREGD_SCREENSHOT")
	if path == "" {
		t.Skip("SIPREGD_SCREENSHOT is not set")
	}
	d := newFakeDaemon(t)
	d.set(func() { office(d) })
	b := chromium.Start(t)
	b.Size(1280, 780)
	b.Open(d.URL)
	b.Wait(`document.querySelectorAll("#rows tr").length === 12 && document.querySelectorAll("#failures li").length === 4`)
	b.Wait(`document.getElementById("link").textContent === "Live"`)
	height, err := strconv.ParseInt(b.Eval("document.documentElement.scrollHeight"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	b.Size(1280, height)
	b.Screenshot(path)
	shrink(t, path)
}

// shrink has a picture do with 256 colours.
func shrink(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	full, err := png.Decode(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	few := image.NewPaletted(full.Bounds(), commonest(full, 256))
	draw.Draw(few, full.Bounds(), full, image.Point{}, draw.Src)
	var text bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&text, few); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commonest returns the commonest colours that are not much like each other.
func commonest(picture image.Image, limit int) color.Palette {
	counts := map[color.Color]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			counts[picture.At(x, y)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) }) {
		if len(palette) < limit && (len(palette) == 0 || distance(c, palette.Convert(c)) > 10) {
			palette = append(palette, c)
		}
	}
	return palette
}

// distance returns by how much two colours differ, of 255 for each part.
func distance(a, b color.Color) (sum int) {
	p, q := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
		sum += max(d, -d)
	}
	return sum
}
