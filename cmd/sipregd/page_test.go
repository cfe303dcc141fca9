package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"sipregd/internal/admin/chromium"
)

// startWithPage runs a daemon that serves its page, and returns where.
func startWithPage(t *testing.T, admin, peersConf string) (d *daemon, url string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d = startDaemon(t, fmt.Sprintf("[admin]\nsocket = sipregd.sock\nhttp = %s\n%s", address, admin), peersConf)
	return d, "http://" + address + "/"
}

// openPage opens the page of a daemon and waits until it follows the events.
func openPage(t *testing.T, url string) *chromium.Browser {
	t.Helper()
	b := chromium.Start(t)
	b.Open(url)
	waitLive(b)
	return b
}

func waitLive(b *chromium.Browser) {
	b.Wait(`document.getElementById("link").textContent === "Live"`)
}

// rowsWith is an expression for how many rows have all those texts in a cell of
// their own.
func rowsWith(cells ...string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#rows tr")].filter((row) => %s.every((text) =>
		[...row.querySelectorAll("th, td, .uri")].some((cell) => cell.textContent === text))).length`, list(cells))
}

// holds is an expression for whether an element's text holds a text.
func holds(selector, text string) string {
	return fmt.Sprintf(`Boolean(document.querySelector(%q)?.textContent.includes(%q))`, selector, text)
}

func list(texts []string) string {
	var quoted []string
	for _, text := range texts {
		quoted = append(quoted, fmt.Sprintf("%q", text))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// registerAs has a phone of the tests register, with those lines.
func registerAs(t *testing.T, d *daemon, authname, secret, aorname string, lines ...string) {
	t.Helper()
	phone := newClient("udp", d.udp.String(), authname, secret, aorname)
	defer phone.close()
	if answer, _, err := phone.register(lines...); err != nil || answer.status != 200 {
		t.Fatalf("%s is answered %d, %v", authname, answer.status, err)
	}
}

func contactOf(aorname string) string { return "Contact: <sip:" + aorname + "@192.0.2.7:5060>" }

func checkNoComplaints(t *testing.T, b *chromium.Browser) {
	t.Helper()
	if complaints := b.Complaints(); len(complaints) > 0 {
		t.Errorf("the console says:\n%s", strings.Join(complaints, "\n"))
	}
}

func TestPageFollowsPhones(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	requireProgram(t, "baresip", "baresip-core")
	d, url := startWithPage(t, "", officePeers)
	b := openPage(t, url)
	b.Wait(`!document.getElementById("first").hidden`)
	b.Eval(`document.documentElement.title = "not loaded anew"`)
	sipp(t, "register", "u1", d.udp, as("2001", "7f3a9c", "any;text#at all")...)
	b.Wait(rowsWith("2001", "7f3a9c", "Kitchen, 1st floor") + " === 1")
	phone := startBaresip(t, d.udp, "tcp", "b41d77", "correct-horse")
	b.Wait(rowsWith("2001", "b41d77", "Workshop") + " === 1")
	b.Wait(`document.getElementById("aors").textContent === "1"`)
	b.Wait(`document.getElementById("bindings").textContent === "2"`)
	phone.stop(t)
	b.Wait(rowsWith("2001", "b41d77", "Workshop") + " === 0")
	b.Wait(rowsWith("2001", "7f3a9c", "Kitchen, 1st floor") + " === 1")
	b.Wait(`document.documentElement.title === "not loaded anew"`)
	checkNoComplaints(t, b)
}

func TestPageSaysWhyAPhoneIsNotRegistered(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	d, url := startWithPage(t, "", officePeers)
	b := openPage(t, url)
	b.Wait(holds("#no-failures", "None."))
	for _, test := range []struct {
		scenario, cause, cure string
		phone                 []string
	}{
		{"wrong-secret", "wrong password", "Type the password anew", as("2001", "7f3a9c", "wrong")},
		{"wrong-secret", "sends its User ID as Auth ID", "Set the phone's Auth ID", as("2001", "2001", "any;text#at all")},
		{"forbidden", "may not register 2002", "User ID to 2001", as("2002", "7f3a9c", "any;text#at all")},
	} {
		sipp(t, test.scenario, "u1", d.udp, test.phone...)
		b.Wait(holds("#failures li:first-child .cause", test.cause))
		b.Wait(holds("#failures li:first-child .cure", test.cure))
		b.Wait(holds("#said", test.cause)) // for those who do not see it
	}
	checkNoComplaints(t, b)
}

// What a phone or peers.conf says is text, whatever it looks like.
func TestPageShowsHostileTextAsText(t *testing.T) {
	const attack = `<img src=x onerror=document.title='owned'>`
	d, url := startWithPage(t, "", "["+attack+"]\nauthname = "+attack+"\nsecret = s\naorname = 2001\n")
	b := openPage(t, url)
	registerAs(t, d, attack, "s", "2001", "User-Agent: "+attack+"\u202egpj\u061c\U000e0041",
		`Contact: <sip:2001@192.0.2.7;x=%3Cimg%3E>;q=0.5;note="<script>document.title='owned'</script>"`)
	b.Wait(rowsWith("2001", attack, attack+`\u202egpj\u061c\ue0041`) + " === 1")
	stranger := newClient("udp", d.udp.String(), "'"+attack, "s", "2001")
	defer stranger.close()
	if answer, _, err := stranger.register("User-Agent: "+attack, contactOf("2001")); err != nil || answer.status != 401 {
		t.Fatalf("a stranger is answered %d, %v", answer.status, err)
	}
	b.Wait(holds("#failures", attack))
	b.Click("#rows button")
	b.Wait(holds("#details", "<script>document.title='owned'</script>"))
	b.Wait(holds("#why", attack))
	b.Wait(`document.querySelectorAll("body img, body script, body iframe").length === 0`)
	b.Wait(`document.title === "sipregd"`)
	checkNoComplaints(t, b)
	// Were there a hole all the same, the policy would close it.
	b.Wait(`(() => { try { document.body.innerHTML = "<b>"; return false; } catch { return true; } })()`)
	b.Eval(`addEventListener("securitypolicyviolation", () => { window.violated = true; })`)
	b.Eval(`new Image().src = "http://127.0.0.1:1/"`)
	b.Wait(`window.violated === true`)
}

func TestPageSearches(t *testing.T) {
	d, url := startWithPage(t, "", officePeers)
	registerAs(t, d, "7f3a9c", "any;text#at all", "2001", contactOf("2001"), "User-Agent: Tischtelefon 3")
	registerAs(t, d, "frontdesk", "open sesame", "2002", contactOf("2002"))
	b := openPage(t, url)
	b.Wait(rowsWith() + " === 2")
	b.Press("/")
	for _, test := range []struct{ text, found string }{
		{"front", "2002"}, {"TISCH", "2001"}, {"7f3", "2001"}, {"2002@192", "2002"},
	} {
		b.Press(kb.Escape + test.text)
		b.Wait(rowsWith() + " === 1 && " + rowsWith(test.found) + " === 1")
		b.Wait(fmt.Sprintf(`new URLSearchParams(location.hash.slice(1)).get("q") === %q`, test.text))
	}
	b.Open(url + "#q=nobody")
	b.Wait(holds("#none-match", "“nobody”"))
	b.Wait(holds("#no-failures", "no peer has it")) // what why says of it
	b.Open(url + "?again#q=front")
	waitLive(b)
	b.Wait(rowsWith() + " === 1 && " + rowsWith("2002") + " === 1")
	// What does not match stays away.
	registerAs(t, d, "b41d77", "correct-horse", "2001", "Contact: <sip:2001@192.0.2.9>")
	b.Wait(`document.getElementById("bindings").textContent === "3"`)
	b.Wait(rowsWith() + " === 1")
	b.Press("/" + kb.Escape)
	b.Wait(rowsWith() + ` === 3 && location.hash === ""`)
	checkNoComplaints(t, b)
}

func TestPageRemovesABindingByKeyboardAlone(t *testing.T) {
	d, url := startWithPage(t, "", officePeers)
	registerAs(t, d, "7f3a9c", "any;text#at all", "2001", contactOf("2001"))
	registerAs(t, d, "frontdesk", "open sesame", "2002", contactOf("2002"))
	b := openPage(t, url)
	b.Wait(rowsWith() + " === 2")
	focused := func(selector string) { b.Wait(fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) }
	b.Press("/")
	focused("#query")
	b.Press(kb.ArrowDown)
	focused("#rows tr:first-child button")
	b.Press(kb.ArrowDown)
	focused("#rows tr:last-child button")
	b.Wait(`getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	b.Press(kb.Enter)
	b.Wait(holds("#details-names", "frontdesk"))
	b.Wait(holds("#why", "Registered"))
	b.Press(kb.Escape)
	focused("#rows tr:last-child button")
	b.Eval(`getSelection().selectAllChildren(document.querySelector("h1"))`) // what is selected elsewhere is in nobody's way
	focused("#rows tr:last-child button")
	b.Press(kb.Enter + kb.Tab)
	focused("#close")
	b.Press(kb.Tab)
	focused("#remove")
	b.Press(kb.Enter)
	focused("#keep")
	b.Press(kb.Tab)
	focused("#remove-now")
	b.Press(kb.Enter)
	b.Wait(rowsWith() + " === 1 && " + rowsWith("2001", "7f3a9c") + " === 1")
	focused("#rows button")
	d.waitLog(t, `"reason":"by_administrator"`)
	b.Press(kb.ArrowUp)
	focused("#query")
	checkNoComplaints(t, b)
}

func TestPageAsksForTheToken(t *testing.T) {
	const token = "kept-in-this-tab-alone"
	d, url := startWithPage(t, "token = "+token+"\n", officePeers)
	registerAs(t, d, "7f3a9c", "any;text#at all", "2001", contactOf("2001"))
	b := chromium.Start(t)
	b.Open(url)
	b.Wait(`document.getElementById("ask-token").open && document.getElementById("token-trouble").hidden`)
	b.Wait(rowsWith() + " === 0")
	b.Press(kb.Escape) // there is nothing behind it
	b.Press(kb.Escape)
	b.Wait(`document.getElementById("ask-token").open && document.activeElement.id === "token"`)
	b.Press("not the token" + kb.Enter)
	b.Wait(`document.getElementById("ask-token").open && !document.getElementById("token-trouble").hidden`)
	b.Press(token + kb.Enter)
	b.Wait(rowsWith("2001", "7f3a9c") + " === 1")
	waitLive(b)
	b.Wait(fmt.Sprintf(`!performance.getEntries().some((entry) => entry.name.includes(%q)) && !location.href.includes(%[1]q)`, token))
	b.Open(url + "?again")
	waitLive(b)
	b.Wait(rowsWith("2001", "7f3a9c") + ` === 1 && !document.getElementById("ask-token").open`)
	checkNoComplaints(t, b)
}

func TestPageComesBackWithTheDaemon(t *testing.T) {
	d, url := startWithPage(t, "", officePeers)
	registerAs(t, d, "7f3a9c", "any;text#at all", "2001", contactOf("2001"))
	b := openPage(t, url)
	b.Wait(rowsWith("2001") + " === 1")
	d.stop(t)
	b.Wait(holds("#link", "Connection lost"))
	b.Wait(rowsWith("2001") + " === 1") // what was known last
	again := &daemon{udp: d.udp, tcp: d.tcp, directory: d.directory}
	again.run(t)
	waitLive(b)
	registerAs(t, again, "frontdesk", "open sesame", "2002", contactOf("2002"))
	b.Wait(rowsWith() + " === 2 && " + rowsWith("2002") + " === 1")
	checkNoComplaints(t, b)
}

// contrasts is an expression for the texts in sight that stand out less than
// WCAG AA wants (4.5:1), with their elements.
const contrasts = `(() => {
	const parse = (color) => color.match(/[\d.]+/g).map(Number);
	const light = (color) => {
		const [r, g, b] = parse(color).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const paper = (element) => {
		for (; element; element = element.parentElement) {
			const color = getComputedStyle(element).backgroundColor;
			if (parse(color)[3] !== 0) return color;
		}
		return "rgb(255, 255, 255)";
	};
	const top = document.querySelector("dialog[open]") ?? document.body;
	return [...top.querySelectorAll("*")].filter((element) => {
		const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
		if (!hasText || !element.checkVisibility() || element.disabled) return false;
		const [a, b] = [light(getComputedStyle(element).color), light(paper(element))];
		return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
	}).map((element) => element.outerHTML).join("\n");
})()`

// tooWide is an expression for the elements that stick out to the right.
const tooWide = `document.documentElement.scrollWidth <= document.documentElement.clientWidth ? "" :
	[...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > innerWidth)
		.map((element) => element.outerHTML.slice(0, 200)).join("\n")`

func TestPageCanBeReadEverywhere(t *testing.T) {
	d, url := startWithPage(t, "", officePeers)
	long := strings.Repeat("x", 100)
	registerAs(t, d, "7f3a9c", "any;text#at all", "2001", "Contact: <sip:"+long+"@192.0.2.7>;note="+long, "User-Agent: "+long)
	stranger := newClient("udp", d.udp.String(), long, "s", long)
	defer stranger.close()
	if answer, _, err := stranger.register(contactOf(long)); err != nil || answer.status != 401 {
		t.Fatalf("a stranger is answered %d, %v", answer.status, err)
	}
	b := openPage(t, url)
	b.Wait(rowsWith("2001") + " === 1")
	b.Wait(holds("#failures", long))
	check := func(what string) {
		t.Helper()
		if texts := b.Eval(contrasts); texts != "" {
			t.Errorf("%s: too little contrast:\n%s", what, texts)
		}
		if elements := b.Eval(tooWide); elements != "" {
			t.Errorf("%s: too wide:\n%s", what, elements)
		}
	}
	papers := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		b.Prefer(map[string]string{"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"})
		for _, size := range [][2]int64{{390, 844}, {700, 900}, {1024, 768}, {1280, 800}, {1920, 1080}} {
			what := fmt.Sprint(scheme, size)
			b.Size(size[0], size[1])
			b.Wait(fmt.Sprintf(`(getComputedStyle(document.querySelector("#rows tr")).display === "grid") === %v`, size[0] < 700)) // a card
			check(what)
			b.Click("#rows button")
			b.Wait(holds("#why", "Registered"))
			check(what + " details")
			b.Click("#remove")
			check(what + " confirm")
			b.Click("#keep")
			b.Click("#close")
		}
		papers[b.Eval(`getComputedStyle(document.body).backgroundColor`)] = true
		b.Wait(`document.getAnimations().length === 0`)
	}
	if len(papers) != 2 {
		t.Errorf("dark and light look the same: %v", papers)
	}
	checkNoComplaints(t, b)
}
