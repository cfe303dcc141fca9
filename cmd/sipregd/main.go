// Command sipregd is a SIP registrar (RFC 3261 §10) that runs as a service.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"sipregd/internal/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments. It returns the exit status:
// 0, 1 where the configuration or an address does not serve, 2 for a wrong
// command line.
func run(arguments []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("sipregd", flag.ContinueOnError)
	flags.SetOutput(errs)
	path := flags.String("config", config.DefaultPath, "read the configuration from `FILE`")
	check := flags.Bool("check", false, "test the configuration and exit")
	version := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(arguments); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "sipregd: unexpected argument %q; see sipregd --help\n", flags.Arg(0))
		return 2
	case *version:
		fmt.Fprintln(out, "sipregd", buildVersion())
		return 0
	}
	var err error
	if *check {
		err = checkConfiguration(*path, out)
	} else {
		err = serve(*path, out)
	}
	if err != nil {
		fmt.Fprintln(errs, "sipregd:", err)
		return 1
	}
	return 0
}

// buildVersion is the module's version, or the commit that it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return info.Main.Version + " " + info.GoVersion
}

// loadConfig reads sipregd.conf. Where the default file is not there, the
// defaults serve.
func loadConfig(path string) (config.Config, error) {
	c, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) && path == config.DefaultPath {
		return config.Default(), nil
	}
	return c, err
}
