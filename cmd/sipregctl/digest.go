package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipregd/internal/digest"
)

const digestHelp = `Reads a secret and prints the line that stands for it in peers.conf, so that the
secret itself need not stand there:

  password_digest = MD5:…, SHA-256:…

It asks for the secret twice, without echo; if standard input is no terminal, it
reads one line of it. The digest is of authname, realm and secret: if one of them
changes, it has to be made anew. The daemon is asked for authname and realm of the
peer, unless --authname and --realm tell both.

A peer whose AORs are of several domains has several realms, and one line for each
of them is printed. A peer takes just one: let it have the AORs of one domain.`

const digestExamples = `  sipregctl digest 'Front desk'
  sipregctl digest --authname frontdesk --realm sipregd < secret.txt`

// digesting is the command line of digest.
type digesting struct {
	client          *client
	authname, realm string
	algorithm       string
}

func newDigestCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "digest [LABEL]",
		Short:   "Make the password_digest of a peer from its secret",
		Long:    digestHelp,
		Example: digestExamples,
		Args:    cobra.MaximumNArgs(1),
	}
	d := &digesting{client: newJSONClient(command)}
	flags := command.Flags()
	flags.StringVar(&d.authname, "authname", "", "the authname (default: that of the peer)")
	flags.StringVar(&d.realm, "realm", "", "the realm (default: those of the peer)")
	flags.StringVar(&d.algorithm, "algorithm", "", "make the digest of just MD5 or SHA-256 (default: the peer's algorithm, or both)")
	command.ValidArgsFunction = d.client.completeFirst(d.client.suggestLabels)
	_ = command.RegisterFlagCompletionFunc("authname", cobra.NoFileCompletions)
	_ = command.RegisterFlagCompletionFunc("realm", cobra.NoFileCompletions)
	_ = command.RegisterFlagCompletionFunc("algorithm",
		cobra.FixedCompletions([]cobra.Completion{"MD5", "SHA-256"}, cobra.ShellCompDirectiveNoFileComp))
	command.RunE = func(command *cobra.Command, arguments []string) error {
		realms, err := d.complete(command.Context(), strings.Join(arguments, ""))
		if err != nil {
			return err
		}
		algorithms, err := d.algorithms()
		if err != nil {
			return err
		}
		secret, err := readNewSecret(command.Context(), command.InOrStdin(), command.ErrOrStderr(), d.authname)
		if err != nil {
			return err
		}
		digests := makeDigests(d.authname, secret, realms, algorithms)
		if d.client.json {
			return printValue(command.OutOrStdout(), digests)
		}
		printDigests(command.OutOrStdout(), digests)
		return nil
	}
	return command
}

// complete asks the daemon for what the command line leaves open. It returns the
// realms.
func (d *digesting) complete(ctx context.Context, label string) (realms []string, err error) {
	if d.realm != "" {
		realms = []string{d.realm}
	}
	if label == "" && (d.authname == "" || d.realm == "") {
		return nil, usageError("say the LABEL of a peer, or both --authname and --realm")
	}
	if label != "" && (d.authname == "" || d.realm == "") {
		peer, _, err := askPeer(ctx, d.client, label)
		if err != nil {
			return nil, err
		}
		if d.authname == "" {
			d.authname = peer.Authname
		}
		if d.realm == "" {
			realms = peer.Realms
		}
		if d.algorithm == "" {
			d.algorithm = peer.Algorithm
		}
	}
	if strings.Contains(d.authname, ":") {
		return nil, usageError("an authname with a colon has no digest: it would be taken for a part of the realm")
	}
	if len(realms) == 0 {
		return nil, errors.New("the daemon knows no realm of that peer: name it by --realm")
	}
	return realms, nil
}

// algorithms returns those to make digests of.
func (d *digesting) algorithms() ([]digest.Algorithm, error) {
	if d.algorithm == "" {
		return []digest.Algorithm{digest.MD5, digest.SHA256}, nil
	}
	algorithm, err := digest.ParseAlgorithm(d.algorithm)
	if err != nil {
		return nil, usageError("--algorithm: " + err.Error())
	}
	return []digest.Algorithm{algorithm}, nil
}

// readNewSecret asks on a terminal for the secret twice, since nobody sees what
// was typed.
func readNewSecret(ctx context.Context, in io.Reader, errs io.Writer, whose string) (string, error) {
	secret, err := readSecret(ctx, in, errs, whose)
	if err == nil && secret == "" {
		return "", errors.New("the secret is empty")
	}
	if file, ok := in.(*os.File); err == nil && ok && term.IsTerminal(int(file.Fd())) {
		var again string
		if again, err = readSecret(ctx, in, errs, whose+", once more"); err == nil && again != secret {
			return "", errors.New("the two secrets differ: nothing is printed")
		}
	}
	return secret, err
}

// realmDigest is a password_digest and the realm that it is for.
type realmDigest struct {
	Realm          string `json:"realm"`
	PasswordDigest string `json:"password_digest"`
}

func makeDigests(authname, secret string, realms []string, algorithms []digest.Algorithm) []realmDigest {
	var digests []realmDigest
	for _, realm := range realms {
		digests = append(digests, realmDigest{realm, digest.NewA1(authname, realm, secret).Text(algorithms...)})
	}
	return digests
}

// printDigests prints a line for each realm, as peers.conf takes it.
func printDigests(out io.Writer, digests []realmDigest) {
	for _, d := range digests {
		if len(digests) > 1 {
			fmt.Fprintln(out, "; for the realm", visible(d.Realm))
		}
		fmt.Fprintln(out, "password_digest =", d.PasswordDigest)
	}
}
