package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page have what comes with it and nothing else: no script
// within the page, and none that is made of text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// pageTypes are the media types of its files. Those of the system may differ.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// pageFile is a file of the page.
type pageFile struct {
	content []byte
	kind    string
	tag     string // changes with the content
}

// page serves the page at / and what belongs to it below /page/, by GET and HEAD.
func page() http.Handler {
	files := readPage()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		setPageHeaders(header)
		header.Set("Content-Type", file.kind)
		header.Set("ETag", file.tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
	})
}

// readPage returns the files of the page by where they are served. That they are
// in the binary was seen to when it was built.
func readPage() map[string]pageFile {
	files := map[string]pageFile{}
	entries, err := pageFiles.ReadDir("page")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		content, err := pageFiles.ReadFile("page/" + entry.Name())
		if err != nil {
			panic(err)
		}
		at := "/page/" + entry.Name()
		if entry.Name() == "index.html" {
			at = "/"
		}
		sum := sha256.Sum256(content)
		files[at] = pageFile{content, pageTypes[path.Ext(entry.Name())], fmt.Sprintf(`"%x"`, sum[:16])}
	}
	return files
}

// setPageHeaders has browsers ask each time whether a file is still the same.
func setPageHeaders(header http.Header) {
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
}
