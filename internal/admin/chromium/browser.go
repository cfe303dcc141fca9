// Package chromium lets tests use a page as people do, in a real browser.
package chromium

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a page may take for what has to happen.
const patience = 30 * time.Second

// Browser is a tab of a headless Chromium.
type Browser struct {
	t   testing.TB
	ctx context.Context

	listening  sync.WaitGroup
	marks      chan struct{} // each time that the console says mark
	mu         sync.Mutex
	complaints []string
}

// AnyCertificate has a browser trust whoever signed it.
var AnyCertificate = chromedp.Flag("ignore-certificate-errors", true)

// Start runs a browser until the test ends. Where there is none, the test is
// skipped; in CI it fails.
func Start(t testing.TB, settings ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		const text = "chromium is not installed: apt-get install chromium"
		if os.Getenv("CI") != "" {
			t.Fatal(text)
		}
		t.Skip("SKIPPED: " + text)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	options = append(options, settings...)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{t: t, ctx: ctx, marks: make(chan struct{}, 1)}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		stop()
		b.listening.Wait()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	console := chromedp.Console(ctx) // from here on
	b.listening.Go(func() { b.listen(console) })
	b.Size(1280, 800)
	return b
}

// mark is what the console says when a test asks what it has said before.
const mark = "the test listens"

// listen collects what the console says, until the browser ends. That requests
// fail is no complaint: the page has to cope with it.
func (b *Browser) listen(messages func(func(chromedp.ConsoleMessage, error) bool)) {
	for message, err := range messages {
		if err != nil {
			return
		}
		if message.Text == mark {
			select {
			case b.marks <- struct{}{}:
			default: // nobody waits any more
			}
		}
		if message.Source != "network" && (message.IsException() || message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleWarning) {
			b.mu.Lock()
			b.complaints = append(b.complaints, message.String())
			b.mu.Unlock()
		}
	}
}

// Complaints returns the errors and warnings of the console, such as those
// against the Content-Security-Policy.
func (b *Browser) Complaints() []string {
	b.t.Helper()
	b.Eval(fmt.Sprintf("console.debug(%q)", mark))
	select {
	case <-b.marks: // those of before are there now
	case <-time.After(patience):
		b.t.Error("the console is silent")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.complaints)
}

// do carries out steps of which each has to be possible soon.
func (b *Browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\nthe page:\n%s", err, b.text())
	}
}

// Open goes to an address.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// Size makes the window that wide and high.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// Prefer sets media features, such as prefers-color-scheme: dark, and takes back
// what was set before.
func (b *Browser) Prefer(features map[string]string) {
	b.t.Helper()
	var list []*emulation.MediaFeature
	for name, value := range features {
		list = append(list, &emulation.MediaFeature{Name: name, Value: value})
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list})
		return err
	}))
}

// Press presses keys, whatever has the focus: text, or constants of package kb.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(press(key))
	}
}

// press is a key that goes down and up. Unlike chromedp's own, it types nothing
// where the page has taken it for a command.
func press(key rune) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		events := kb.Encode(key)
		down, up := *events[0], *events[len(events)-1]
		if len(events) > 2 {
			down.Text = events[1].Text
		}
		for _, event := range []input.DispatchKeyEventParams{down, up} {
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, event); err != nil {
				return err
			}
		}
		return nil
	})
}

// Click clicks on the first element of a CSS selector, once it is visible.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// Eval returns the text that an expression of JavaScript has for its value.
func (b *Browser) Eval(expression string) string {
	b.t.Helper()
	value, err := b.eval(expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func (b *Browser) eval(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
}

// text is what somebody would read on the page.
func (b *Browser) text() string {
	text, err := b.eval("document.body.innerText")
	if err != nil {
		return err.Error()
	}
	return text
}

// Wait waits until an expression of JavaScript is true.
func (b *Browser) Wait(expression string) {
	b.t.Helper()
	var value string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if value = b.Eval(expression); value == "true" {
			return
		}
	}
	b.t.Fatalf("%s is %s\nthe page:\n%s\nthe console:\n%s", expression, value, b.text(), strings.Join(b.Complaints(), "\n"))
}

// Screenshot writes what is in the window to a PNG file.
func (b *Browser) Screenshot(path string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
