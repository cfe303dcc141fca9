package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const nftHelp = `Prints the networks that are kept out as a table of nftables, inet sipregd, which takes the
place of the last one when nft reads it:

  sipregctl ban nft | nft -f -

The kernel then drops what comes from there to the ports of SIP, before the daemon sees
it. It is to be run anew for new bans: "systemctl enable --now sipregd-nft" has that done
each 5 seconds. A ban ends by itself in the kernel, too. To take all away:

  nft delete table inet sipregd`

func newBanNFTCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "nft",
		Short:   "Print the bans for nftables",
		Long:    nftHelp,
		Example: "  sipregctl ban nft | nft -f -\n  sipregctl ban nft --ports 5060,5061,443 | nft -f -",
		Args:    cobra.NoArgs,
	}
	c := newClient(command)
	ports := command.Flags().UintSlice("ports", []uint{5060, 5061}, "drop what comes to these `PORTS`")
	command.RunE = func(command *cobra.Command, _ []string) error {
		for _, port := range *ports {
			if port < 1 || port > math.MaxUint16 {
				return usageError(fmt.Sprintf("%d is no port", port))
			}
		}
		var bans api.Bans
		if _, err := c.ask(command.Context(), http.MethodGet, "/bans", nil, nil, &bans); err != nil {
			return err
		}
		elements, err := elementsOf(bans.Bans, time.Now())
		if err != nil {
			return err
		}
		return printNFT(command.OutOrStdout(), elements, *ports)
	}
	return command
}

// element is a network, and for how many seconds it is kept out; 0: for good.
type element struct {
	network netip.Prefix
	seconds int64
}

// elementsOf returns what nftables is to drop. Its sets hold no network that is a part of
// another one: that of two which ends first comes in when it is alone.
func elementsOf(bans []api.Ban, now time.Time) (elements []element, err error) {
	for _, b := range bans {
		e := element{}
		if e.network, err = readNetwork(b.Network); err != nil {
			return nil, err
		}
		if b.Until != nil {
			e.seconds = max(1, int64(b.Until.Sub(now).Seconds()))
		}
		elements = append(elements, e)
	}
	slices.SortStableFunc(elements, func(a, b element) int { return a.network.Bits() - b.network.Bits() }) // wide ones first
	var apart []element
	for _, e := range elements {
		if !slices.ContainsFunc(apart, func(wide element) bool { return wide.network.Overlaps(e.network) }) {
			apart = append(apart, e)
		}
	}
	return apart, nil
}

// readNetwork reads what the daemon says: nothing else goes to nft.
func readNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("the daemon says that %q is banned, which is no network", text)
	}
	return network.Masked(), nil
}

// printNFT prints a file for nft -f. All of it takes effect at once.
func printNFT(out io.Writer, elements []element, ports []uint) error {
	var text strings.Builder
	text.WriteString("add table inet sipregd\ndelete table inet sipregd\ntable inet sipregd {\n")
	for _, family := range [...]struct{ set, kind string }{{"banned4", "ipv4_addr"}, {"banned6", "ipv6_addr"}} {
		fmt.Fprintf(&text, "\tset %s {\n\t\ttype %s\n\t\tflags interval, timeout\n", family.set, family.kind)
		var list []string
		for _, e := range elements {
			if e.network.Addr().Is4() == (family.set == "banned4") {
				list = append(list, e.String())
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(&text, "\t\telements = {\n\t\t\t%s\n\t\t}\n", strings.Join(list, ",\n\t\t\t"))
		}
		text.WriteString("\t}\n")
	}
	var numbers []string
	for _, port := range ports {
		numbers = append(numbers, strconv.FormatUint(uint64(port), 10))
	}
	text.WriteString("\tchain input {\n\t\ttype filter hook input priority -10; policy accept;\n")
	for _, source := range []string{"ip saddr @banned4", "ip6 saddr @banned6"} {
		fmt.Fprintf(&text, "\t\tmeta l4proto { tcp, udp } th dport { %s } %s counter drop\n", strings.Join(numbers, ", "), source)
	}
	text.WriteString("\t}\n}\n")
	_, err := io.WriteString(out, text.String())
	return err
}

// String returns an element as nft reads it.
func (e element) String() string {
	if e.seconds == 0 {
		return e.network.String()
	}
	return fmt.Sprintf("%s timeout %ds", e.network, e.seconds)
}
