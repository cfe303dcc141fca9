package registrar_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"sipregd/internal/journal"
	"sipregd/internal/registrar"
)

// labHere is a machine with two addresses of IPv4 and one of IPv6. TLS is listened on at
// one of them.
var labHere = registrar.Here{
	Sockets: []registrar.Socket{
		{Transport: "udp", Address: netip.MustParseAddrPort("0.0.0.0:5060")},
		{Transport: "udp", Address: netip.MustParseAddrPort("[::]:5060")},
		{Transport: "tcp", Address: netip.MustParseAddrPort("[::]:5070")},
		{Transport: "tls", Address: netip.MustParseAddrPort("192.0.2.1:5061")},
		{Transport: "wss", Address: netip.MustParseAddrPort("192.0.2.1:443")},
	},
	Networks: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("203.0.113.9/32"),
		netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("fe80::1/64"),
	},
}

func TestAContactIsNoWeapon(t *testing.T) {
	const outside, itself, onLink = "198.51.100.7:5060", "192.0.2.1:5080", "[fe80::7]:5060"
	tests := []struct {
		name    string
		source  string
		contact string
		want    string // what the detail says, empty: taken
	}{
		{"a phone", outside, "sip:2001@198.51.100.7:5060", ""},
		{"a phone behind NAT", outside, "sip:2001@192.168.1.10:5060;rinstance=7", ""},
		{"a name, which nobody looks up", outside, "sip:2001@registrar.example", ""},
		{"a name of a WebSocket", outside, "sip:2001@x7f3.invalid;transport=ws", ""},
		{"another scheme", outside, "mailto:2001@registrar.example", ""},
		{"a name with numbers", outside, "sip:2001@host1.2example", ""},

		{"this server", outside, "sip:2001@192.0.2.1", "itself"},
		{"this server's port", outside, "sip:2001@192.0.2.1:5060", "itself"},
		{"this server as IPv6", outside, "sip:2001@[2001:db8::1]:5060", "itself"},
		{"this server as IPv6, written in full", outside, "sip:2001@[2001:0DB8:0:0::0:1]", "itself"},
		{"this server, mapped", outside, "sip:2001@[::ffff:192.0.2.1]", "itself"},
		{"its other address", outside, "sip:2001@203.0.113.9", "itself"},
		{"by TCP", outside, "sip:2001@192.0.2.1:5070;transport=TCP", "itself"},
		{"by TLS", outside, "sip:2001@192.0.2.1;transport=tls", "itself"},
		{"by WSS", outside, "sip:2001@192.0.2.1;transport=wss", "itself"},
		{"by whatever transport", outside, "sip:2001@192.0.2.1:443;transport=%77ss", "itself"},
		{"by a transport that hides its name", outside, "sip:2001@192.0.2.1;tr%61nsport=udp", "itself"},
		{"by maddr", outside, "sip:2001@198.51.100.7;maddr=192.0.2.1", "itself"},
		{"by maddr that hides its name", outside, "sip:2001@198.51.100.7;m%61ddr=192.0.2.1", "itself"},
		{"by maddr that hides its value", outside, "sip:2001@198.51.100.7;maddr=192.0.2.%31", "maddr"},
		{"by maddr for a multicast address", outside, "sip:2001@198.51.100.7;maddr=239.255.255.1;ttl=16", "many"},
		{"beside maddr", outside, "sip:2001@192.0.2.1;maddr=198.51.100.7", "itself"},
		{"a maddr elsewhere", outside, "sip:2001@198.51.100.7;maddr=198.51.100.8", ""},
		{"from this machine", itself, "sip:2001@127.0.0.1:5060", "itself"},

		{"another port here, from here", itself, "sip:2001@192.0.2.1:5080", ""},
		{"another port here", outside, "sip:2001@192.0.2.1:5080", ""},
		{"another transport here", outside, "sip:2001@192.0.2.1:5060;transport=tcp", ""},
		{"where TLS is not listened on", outside, "sip:2001@203.0.113.9;transport=tls", ""},

		{"unspecified", outside, "sip:2001@0.0.0.0", "nobody"},
		{"unspecified, of IPv6", outside, "sip:2001@[::]:5062", "nobody"},
		{"this network", outside, "sip:2001@0.1.2.3:5062", "nobody"},
		{"an address of old", outside, "sip:2001@[::198.51.100.7]", "nobody"},
		{"multicast", outside, "sip:2001@224.0.1.75", "many"},
		{"multicast of IPv6", outside, "sip:2001@[ff02::1]", "many"},
		{"broadcast", outside, "sip:2001@255.255.255.255:5062", "many"},
		{"broadcast of a network here", outside, "sip:2001@192.0.2.255:5062", "many"},
		{"the last of a network elsewhere", outside, "sip:2001@198.51.100.255:5062", ""},

		{"loopback", outside, "sip:2001@127.0.0.1:5062", "another place"},
		{"another loopback", outside, "sip:2001@127.9.9.9:5062", "another place"},
		{"loopback of IPv6", outside, "sip:2001@[::1]:5062", "another place"},
		{"loopback, mapped", outside, "sip:2001@[::ffff:127.0.0.1]:5062", "another place"},
		{"loopback, with a dot", outside, "sip:2001@127.0.0.1.:5062", "neither"},
		{"loopback, abbreviated", outside, "sip:2001@127.1:5062", "neither"},
		{"loopback as a number", outside, "sip:2001@2130706433", "neither"},
		{"loopback in hexadecimal", outside, "sip:2001@0x7f.0X1", "neither"},
		{"loopback in octal", outside, "sip:2001@0177.0.0.1", "neither"},
		{"localhost", outside, "sip:2001@LocalHost:5062", "another place"},
		{"below localhost", outside, "sip:2001@a.localhost.:5062", "another place"},
		{"loopback from here", "127.0.0.2:5062", "sip:2001@127.0.0.1:5062", ""},
		{"localhost from here", "[::1]:5062", "sip:2001@localhost:5062", ""},
		{"loopback from here by another address", itself, "sip:2001@127.0.0.1:5062", ""},
		{"link-local", outside, "sip:2001@169.254.1.1:5062", "another place"},
		{"link-local of IPv6", outside, "sip:2001@[fe80::8]:5062", "another place"},
		{"link-local on the same link", onLink, "sip:2001@[fe80::7]:5062", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withHere(labHere))
			l.source = netip.MustParseAddrPort(test.source)
			p := l.kitchen()
			if test.want == "" {
				p.register("Contact: <" + test.contact + ">").want(200)
				return
			}
			if answer := p.register("Contact: <" + test.contact + ">").want(403); answer.reason != "Contact Address Not Allowed" {
				t.Errorf("phrase: %s", answer.reason)
			}
			if e := l.lastEvent(); e.Reason != journal.ContactMisleads || !strings.Contains(e.Detail, test.want) || !strings.Contains(e.Detail, test.contact) {
				t.Errorf("journal: %v %q, want %q", e.Reason, e.Detail, test.want)
			}
			if _, bindings := l.store.Count(); bindings != 0 {
				t.Error("it is bound")
			}
			p.register("Contact: <"+test.contact+">", "Expires: 0").want(200) // what is there from before may go
		})
	}
}

// A request goes to the first of Path; what stands behind is the proxies' affair.
func TestAPathIsNoWeapon(t *testing.T) {
	for _, test := range []struct {
		name, path string
		want       int
	}{
		{"a proxy", "<sip:198.51.100.9;lr>", 200},
		{"this server", "<sip:192.0.2.1;lr>", 403},
		{"loopback", "<sip:127.0.0.1:5080;lr>, <sip:198.51.100.9;lr>", 403},
		{"loopback behind a proxy", "<sip:198.51.100.9;lr>, <sip:127.0.0.1:5080;lr>", 200},
		{"in two header fields", "<sip:127.0.0.1:5080;lr>\r\nPath: <sip:198.51.100.9;lr>", 403},
		{"multicast", "<sip:198.51.100.9;lr;maddr=224.0.1.75>", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withHere(labHere))
			l.source = netip.MustParseAddrPort("198.51.100.9:5060")
			l.kitchen().register("Supported: path", "Contact: <sip:2001@198.51.100.7>", "Path: "+test.path).want(test.want)
		})
	}
}

// A connection tells where it came to, whatever is known of the machine.
func TestAContactToWhereTheRequestCame(t *testing.T) {
	l := newLab(t)
	l.kitchen().register("Contact: <sip:2001@192.0.2.1>").want(403)
	l.kitchen().register("Contact: <sip:2001@192.0.2.1;transport=tcp>").want(200)
}

// No name of a message is resolved or dialled, since nothing that sees messages can do
// that at all.
func TestNothingHereLooksUpOrDials(t *testing.T) {
	of := map[string][]string{ // packages, and what may not be used of them
		"net":        {"Dial", "Lookup", "Resol"},
		"crypto/tls": {"Dial"},
		"net/http":   {"Get", "Post", "Client", "DefaultClient", "NewRequest", "Transport", "DefaultTransport"},
		"syscall":    {"Connect"}, "golang.org/x/sys/unix": {"Connect"},
	}
	seen := 0
	for _, name := range []string{"registrar", "message", "sipuri", "digest", "transaction", "qualify", "redirect", "regevent", "transport", "location", "location/durable", "stun", "guard", "journal"} {
		paths, err := filepath.Glob("../" + name + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			checkUses(t, path, file, of)
		}
	}
	if seen < 50 {
		t.Errorf("just %d files were looked at", seen)
	}
}

// harmless are those that go to nothing which a message names.
var harmless = map[string]bool{
	"../transport/server.go ResolveIPAddr": true, // an address of sipregd.conf
	"../transport/socket.go Connect":       true, // a socket that goes out of use, to nobody on this machine
	"../transport/alone.go Connect":        true, // of the family unix, to another daemon on this machine
}

func checkUses(t *testing.T, path string, file *ast.File, of map[string][]string) {
	t.Helper()
	imports := map[string]string{}
	for _, spec := range file.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		imports[filepath.Base(imported)] = imported
		if imported == "os/exec" || spec.Name != nil && of[imported] != nil {
			t.Errorf("%s imports %s", path, imported)
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, begin := range of[imports[x.Name]] {
			if strings.HasPrefix(selector.Sel.Name, begin) && !harmless[path+" "+selector.Sel.Name] {
				t.Errorf("%s uses %s.%s", path, x.Name, selector.Sel.Name)
			}
		}
		return true
	})
}
