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

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments. It returns the exit status:
// 0, 1 where the configuration or an address does not serve, 2 for a wrong
// command line.
func run(arguments []string, in io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("sipregd", flag.ContinueOnError)
	flags.SetOutput(errs)
	path := flags.String("config", config.DefaultPath, "read the configuration from `FILE`")
	check := flags.Bool("check", false, "test the configuration and exit")
	export := flags.Bool("export", false, "print the bindings on disk, a line of JSON for each, and exit")
	importing := flags.Bool("import", false, "add the bindings that --export has printed, from standard input, and exit")
	version := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(arguments); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case count(*check, *export, *importing, *version) > 1:
		fmt.Fprintln(errs, "sipregd: say one of --check, --export, --import and --version")
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "sipregd: unexpected argument %q; see sipregd --help\n", flags.Arg(0))
		return 2
	case *version:
		fmt.Fprintln(out, "sipregd", buildVersion())
		return 0
	}
	var err error
	switch {
	case *check:
		err = checkConfiguration(*path, out)
	case *export:
		err = withConfig(*path, func(c *config.Config) error { return exportBindings(c, out) })
	case *importing:
		err = withConfig(*path, func(c *config.Config) error { return importBindings(c, in, out) })
	default:
		err = serve(*path, out)
	}
	if err != nil {
		fmt.Fprintln(errs, "sipregd:", err)
		return 1
	}
	return 0
}

func count(flags ...bool) (set int) {
	for _, flag := range flags {
		if flag {
			set++
		}
	}
	return set
}

func withConfig(path string, do func(*config.Config) error) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	return do(&c)
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
