// Command sipregman writes the man pages of sipregd and its configuration files. It
// makes them of what is there already: sipregd --help, configs/sipregd.conf, and
// README.md with configs/peers.conf. It runs in the directory of all that.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: sipregman SIPREGD DIRECTORY")
		os.Exit(2)
	}
	if err := writePages(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "sipregman:", err)
		os.Exit(1)
	}
}

// writePages writes all pages to a directory. daemon is the program sipregd.
func writePages(daemon, directory string) error {
	help, err := exec.Command(daemon, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s --help: %w", daemon, err)
	}
	readme, readmeErr := os.ReadFile("README.md")
	settings, settingsErr := os.ReadFile("configs/sipregd.conf")
	peers, peersErr := os.ReadFile("configs/peers.conf")
	if err := errors.Join(readmeErr, settingsErr, peersErr); err != nil {
		return err
	}
	for name, page := range map[string]func() (string, error){
		"sipregd.8":      func() (string, error) { return daemonPage(string(help)) },
		"sipregd.conf.5": func() (string, error) { return settingsPage(string(settings)) },
		"peers.conf.5":   func() (string, error) { return peersPage(string(readme), string(peers)) },
	} {
		text, err := page()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
