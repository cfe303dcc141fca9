package admin

import (
	_ "github.com/chromedp/chromedp"
	_ "github.com/icholy/digest"
	_ "github.com/mattn/go-runewidth"
	_ "github.com/prometheus/client_golang/prometheus/testutil"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra/doc"
	_ "golang.org/x/term"
)
