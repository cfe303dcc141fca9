package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/spf13/cobra"
)

const registerHelp = `A test phone: it registers at any SIP registrar, prints each message in short and
says what came of it. The binding stays until it expires, unless --remove is given.

An ordinary phone shows its settings under other names: User ID or Extension is
--aor here, Auth ID or Login is --authname, Password is the secret. The secret is
taken from --secret, else from SIPREGCTL_SECRET, else from the terminal or one line
of standard input.

SERVER is a name or an address; SRV records are not looked up.

The exit status is 0 if the phone is registered (or removed, if that was wanted),
1 if it is not, 2 for a wrong command line.`

const registerExamples = `  sipregctl register --aor 2001 --authname 7f3a9c 192.0.2.1
  sipregctl register --aor 2001@example.com --transport tcp --remove sip.example.com:5060`

// registration is the command line of register.
type registration struct {
	settings
	aor       string
	bindText  string
	hasSecret bool
	remove    bool
	whole     bool
	json      bool
}

func newRegisterCommand() *cobra.Command {
	r := &registration{}
	command := &cobra.Command{
		Use:     "register [flags] SERVER[:PORT]",
		Short:   "Register as a phone does, to prove a registrar",
		Long:    registerHelp,
		Example: registerExamples,
		Args:    oneServer,
		RunE: func(command *cobra.Command, arguments []string) error {
			r.hasSecret = command.Flags().Changed("secret")
			if err := r.complete(arguments[0]); err != nil {
				return err
			}
			if err := r.findSecret(command); err != nil {
				return err
			}
			told := &transcript{out: command.OutOrStdout(), json: r.json, whole: r.whole, began: time.Now()}
			return r.run(command.Context(), told)
		},
	}
	flags := command.Flags()
	flags.StringVar(&r.aor, "aor", "", "the User ID: user part of the address-of-record, or user@domain (domain: SERVER)")
	flags.StringVar(&r.authname, "authname", "", "the Auth ID (default: the User ID)")
	flags.StringVar(&r.secret, "secret", "", "the password; others on this machine see it in the list of processes")
	flags.StringVar(&r.transport, "transport", "udp", "udp or tcp")
	flags.Uint32Var(&r.expires, "expires", 60, "seconds that the binding shall last; 0 removes it")
	flags.BoolVar(&r.remove, "remove", false, "remove the binding again after success")
	flags.StringVar(&r.contact, "contact", "", "the Contact's `URI` (default: the User ID at the local address)")
	flags.StringVar(&r.bindText, "bind", "", "the local `ADDRESS` to send from")
	flags.DurationVar(&r.timers.f, "timeout", 64*t1, "how long to wait for an answer")
	flags.StringVar(&r.userAgent, "user-agent", "sipregctl", "the User-Agent header field")
	flags.StringVar(&r.callID, "call-id", "", "the Call-ID (default: a random one)")
	flags.Uint32Var(&r.cseq, "cseq", 1, "the CSeq of the first request")
	flags.BoolVar(&r.noAuth, "no-auth", false, "do not answer the challenge")
	flags.StringVar(&r.algorithm, "algorithm", "", "answer the challenge with MD5, SHA-256, SHA-512 or SHA-512-256, offered or not (default: the first offered)")
	flags.StringVar(&r.realm, "realm", "", "answer with this realm instead of the challenge's")
	flags.StringVar(&r.digestURI, "digest-uri", "", "make the digest over this `URI` instead of the Request-URI")
	flags.BoolVar(&r.whole, "verbose", false, "print whole messages, too")
	flags.BoolVar(&r.json, "json", false, "print lines of JSON")
	putNoFlagsFirst(command)
	_ = command.RegisterFlagCompletionFunc("transport",
		cobra.FixedCompletions([]cobra.Completion{"udp", "tcp"}, cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("algorithm",
		cobra.FixedCompletions([]cobra.Completion{"MD5", "SHA-256", "SHA-512", "SHA-512-256"}, cobra.ShellCompDirectiveNoFileComp))
	return command
}

func oneServer(_ *cobra.Command, arguments []string) error {
	if len(arguments) != 1 {
		return usageError("say one server: sipregctl register --aor USER SERVER[:PORT]")
	}
	return nil
}

// complete checks what the command line says and adds what it leaves open.
func (r *registration) complete(server string) error {
	host, port, err := splitServer(server)
	if err != nil {
		return err
	}
	r.server, r.domain = net.JoinHostPort(host, port), bracketed(host)
	r.user = strings.TrimPrefix(r.aor, "sip:")
	if at := strings.LastIndexByte(r.user, '@'); at >= 0 {
		r.user, r.domain = r.user[:at], bracketed(r.user[at+1:])
	}
	if r.authname == "" {
		r.authname = r.user
	}
	if r.callID == "" {
		r.callID = rand.Text()
	}
	if r.bindText != "" {
		if r.bind, err = netip.ParseAddr(r.bindText); err != nil {
			return usageError(fmt.Sprintf("--bind %q is no address", r.bindText))
		}
	}
	r.timers.t1, r.timers.t2 = t1, t2
	return r.check()
}

// check refuses what would make no request at all. What makes a strange one is
// wanted: it shows what the server does with it.
func (r *registration) check() error {
	switch {
	case r.user == "" || r.domain == "":
		return usageError("say which address to register: --aor USER or --aor USER@DOMAIN")
	case r.transport != "udp" && r.transport != "tcp":
		return usageError(fmt.Sprintf("--transport %q is none of udp and tcp", r.transport))
	case r.timers.f <= 0:
		return usageError("--timeout has to be longer than nothing")
	case r.remove && r.expires == 0:
		return usageError("--expires 0 removes the binding already: leave --remove out")
	case r.cseq == 0 || r.cseq > 1<<31-1-2*mostRequests:
		return usageError(fmt.Sprintf("--cseq has to be 1 to %d", 1<<31-1-2*mostRequests))
	}
	switch strings.ToUpper(r.algorithm) {
	case "", "MD5", "SHA-256", "SHA-512", "SHA-512-256":
	default:
		return usageError(fmt.Sprintf("--algorithm %q is none of MD5, SHA-256, SHA-512 and SHA-512-256", r.algorithm))
	}
	for _, flag := range []struct{ name, text string }{
		{"aor", r.domain}, {"authname", r.authname}, {"contact", r.contact}, {"user-agent", r.userAgent},
		{"call-id", r.callID}, {"realm", r.realm}, {"digest-uri", r.digestURI},
	} {
		if strings.ContainsAny(flag.text, "\r\n\x00") {
			return usageError(fmt.Sprintf("--%s %q does not fit into a header field", flag.name, flag.text))
		}
	}
	return nil
}

// splitServer takes SERVER[:PORT] apart. An IPv6 address may have brackets.
func splitServer(text string) (host, port string, err error) {
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.String(), "5060", nil
	}
	if !strings.Contains(text, ":") {
		host, port = text, "5060"
	} else if host, port, err = net.SplitHostPort(text); err != nil {
		return "", "", usageError(fmt.Sprintf("%q is no SERVER[:PORT]", text))
	}
	if host == "" || port == "" || strings.ContainsAny(host, " \t\r\n<>@/;") {
		return "", "", usageError(fmt.Sprintf("%q is no SERVER[:PORT]", text))
	}
	return host, port, nil
}

// findSecret looks where no other account sees it, unless it stands on the
// command line.
func (r *registration) findSecret(command *cobra.Command) (err error) {
	if r.hasSecret || r.noAuth {
		return nil
	}
	if r.secret = os.Getenv("SIPREGCTL_SECRET"); r.secret == "" {
		r.secret, err = readSecret(command.Context(), command.InOrStdin(), command.ErrOrStderr(), r.authname)
	}
	return err
}

// run registers and, if asked to, removes the binding again.
func (r *registration) run(ctx context.Context, told *transcript) error {
	dialing, cancel := context.WithTimeout(ctx, r.timers.f)
	defer cancel()
	wire, err := dial(dialing, r.transport, r.server, r.bind)
	if err != nil {
		return r.failed(told, r.expires, &refusal{0, noWay(r.transport, r.server, err)})
	}
	defer wire.close()
	p := &phone{settings: r.settings, wire: wire, parser: newParser(), told: told, fromTag: rand.Text()}
	if err := r.once(ctx, p, r.expires); err != nil || !r.remove {
		return err
	}
	return r.once(ctx, p, 0)
}

// once makes one registration, or removes it, and tells the outcome.
func (r *registration) once(ctx context.Context, p *phone, expires uint32) error {
	seconds, err := p.register(ctx, expires)
	if err != nil {
		return r.failed(p.told, expires, err)
	}
	line := entry{Outcome: "removed", AOR: r.user + "@" + r.domain, Contact: p.contactURI(), Status: 200,
		Sentence: fmt.Sprintf("%s of %s", visible(p.contactURI()), visible(r.aor))}
	if expires > 0 {
		line.Outcome, line.Expires, line.Sentence = "registered", seconds, visible(r.aor)
		if len(p.proofs) > 0 {
			line.Authname = r.authname
			line.Sentence += " by " + visible(r.authname)
		} else {
			line.Sentence += ", unproved (the server asked for no proof!)"
		}
		if seconds != nil {
			line.Sentence += fmt.Sprintf(", expires in %d s", *seconds)
		}
	}
	p.told.outcome(line)
	return nil
}

// failed tells why there is no registration, and where to look further.
func (r *registration) failed(told *transcript, expires uint32, err error) error {
	var why *refusal
	if !errors.As(err, &why) {
		return err
	}
	line := entry{Outcome: "not registered", AOR: r.user + "@" + r.domain, Authname: r.authname, Status: why.status, Sentence: why.sentence}
	if expires == 0 {
		line.Outcome = "not removed"
	}
	if !strings.HasSuffix(line.Sentence, "?") {
		line.Sentence += "."
	}
	if why.status > 0 {
		line.Sentence = fmt.Sprintf("%d: %s", why.status, line.Sentence)
	}
	if why.status == sip.StatusNotFound {
		line.Sentence += fmt.Sprintf(" If it does not serve the domain %s, say one that it serves: --aor NAME@DOMAIN.", visible(r.domain))
	}
	if why.status >= 300 && !r.noAuth {
		line.Sentence += fmt.Sprintf(" A phone is told no more: `sipregctl why %s` at the server tells the cause.", visible(asArgument(r.user)))
	}
	told.outcome(line)
	return errSaid
}
