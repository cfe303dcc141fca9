package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
)

// Options are what peers inherit from [registrar] of sipregd.conf.
type Options struct {
	Domains           Domains
	Algorithms        []digest.Algorithm // that are offered, at least one
	MaxContacts       int                // at least 1
	MaxAORs           int                // 0: without end
	RemoveExisting    bool
	RemoveUnavailable bool
	CSeqReset         bool
	RecognizePhone    Wish
	QualifyFrequency  int    // seconds, 0 or inifile.Auto
	QualifyTimeout    int    // seconds
	MinimumExpiration uint32 // seconds
	DefaultExpiration uint32 // seconds
	MaximumExpiration uint32 // seconds

	ClientCertificates bool // phones are asked for a certificate
}

// loader builds a directory from files.
type loader struct {
	options   Options
	directory *Directory
	keeper    keeper
	labels    map[string]place
	faults    inifile.Report
	warnings  inifile.Report
}

// Load reads the peers of all files that the patterns name: paths, or globs of
// them. Warnings are one line each, at most some twenty. The error is a
// *inifile.Report with file:line and section of each fault; there is no
// directory then. Neither holds a secret.
func Load(patterns []string, options Options) (*Directory, []string, error) {
	l := newLoader(options)
	for _, path := range l.paths(patterns) {
		l.loadFile(path)
	}
	return l.finish()
}

func newLoader(options Options) *loader {
	return &loader{options: options, directory: newDirectory(options.Domains), keeper: newKeeper(), labels: map[string]place{}}
}

func (l *loader) finish() (*Directory, []string, error) {
	if err := l.faults.Err(); err != nil {
		return nil, l.warnings.Lines(), err
	}
	warnings := l.warnings.Lines()
	if l.directory.Len() == 0 {
		warnings = append(warnings, "there are no peers: nobody can register; write some into the files that [peers] file of sipregd.conf names")
	}
	l.directory.trim()
	return l.directory, warnings, nil
}

// paths returns the files that the patterns name, each once, in order.
func (l *loader) paths(patterns []string) []string {
	var paths []string
	seen := map[string]bool{}
	for _, pattern := range patterns {
		for _, path := range l.expand(pattern) {
			if path = filepath.Clean(path); !seen[path] {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// expand returns the files that a pattern names. As in a shell "*" finds no
// hidden files, which editors leave behind.
func (l *loader) expand(pattern string) []string {
	if _, err := os.Lstat(pattern); err == nil || !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		l.faults.Add(inifile.Error{File: pattern, Err: err, Fault: inifile.Fault{
			Cause: "malformed pattern", Advice: "mend [peers] file of sipregd.conf"}})
		return nil
	}
	var paths []string
	for _, path := range matches {
		if !strings.HasPrefix(filepath.Base(path), ".") || strings.HasPrefix(filepath.Base(pattern), ".") {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		l.warnings.Add(inifile.Error{File: pattern, Fault: inifile.Fault{
			Cause: "no file is named so", Advice: "write one, or mend [peers] file of sipregd.conf"}})
	}
	return paths
}

// loadFile adds the peers of one file, or what is wrong with it.
func (l *loader) loadFile(path string) {
	text, err := inifile.Open(path)
	if err == nil {
		l.warnOfReaders(path)
		err = l.addFile(text)
	}
	var report *inifile.Report
	switch {
	case err == nil:
	case errors.As(err, &report):
		l.faults.Merge(report)
	case errors.Is(err, os.ErrPermission):
		l.faults.Add(*inifile.Unreadable(path, err, "let the account that sipregd runs under read it"))
	default:
		l.faults.Add(*inifile.Unreadable(path, err, "write a file with peers there, or name another one as [peers] file of sipregd.conf"))
	}
}

// warnOfReaders warns where everybody on the machine can read the secrets.
func (l *loader) warnOfReaders(path string) {
	const othersRead = 0o004
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&othersRead != 0 {
		l.warnings.Add(inifile.Error{File: path, Fault: inifile.Fault{
			Cause: "every account on this machine can read the secrets in it", Advice: "take that away with chmod o-r"}})
	}
}

// addFile adds the peers of a file that can be read.
func (l *loader) addFile(text *inifile.Text) error {
	l.directory.files = append(l.directory.files, text.Name)
	l.directory.reserve(text.Headers)
	l.keeper.reserve(text.Headers)
	defaults, r := newRecord(l, text.Name), new(record)
	for section, err := range text.Sections() {
		switch {
		case err != nil:
			return err
		case section.Line == 0:
			defaults.readDefaults(section)
		default:
			r.begin(defaults, section)
			l.add(r.readPeer())
		}
	}
	return nil
}

// add takes in a peer, unless it is nil.
func (l *loader) add(p *Peer) {
	if p != nil {
		l.keeper.compact(p)
		l.directory.add(p)
	}
}
