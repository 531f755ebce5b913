package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/longshore/longshore/e2e/server"
)

// A tab is a page in a real headless Chromium. Whatever fails in the page itself (an exception, a
// refused load, a breach of its policy) fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	errors   []string
	expected []string
}

// newBrowser starts a browser that ends with the test, and returns its first tab.
func newBrowser(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(server.Chromium(t)),
		chromedp.WindowSize(1440, 900),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1")) // as a rebound name
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not start as root with it
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	return openTab(t, allocator)
}

// another opens a second tab of the same browser, which shares nothing but what an origin stores.
func (p *tab) another(t *testing.T) *tab {
	t.Helper()
	return openTab(t, p.ctx)
}

func openTab(t *testing.T, parent context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	p := &tab{t: t, ctx: ctx}
	var watching sync.WaitGroup
	thrown, logged := chromedp.Events(ctx, runtime.ExceptionThrown), chromedp.Events(ctx, cdplog.EntryAdded)
	watching.Go(func() {
		for e, err := range thrown {
			if err == nil {
				p.failed("an exception: %+v", e.ExceptionDetails)
			}
		}
	})
	watching.Go(func() {
		for e, err := range logged {
			if err == nil && e.Entry.Level == "error" {
				p.failed("%s: %s", e.Entry.Source, e.Entry.Text)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
		for _, e := range p.unexpected() {
			t.Errorf("in the page: %s", e)
		}
	})
	return p
}

func (p *tab) failed(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := fmt.Sprintf(format, args...); len(p.errors) < 100 {
		p.errors = append(p.errors, text[:min(len(text), 1000)])
	}
}

// expectErrors has the page's errors with a text be none, before and from now on: the test causes
// them.
func (p *tab) expectErrors(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// unexpected returns the errors that no expectErrors was about.
func (p *tab) unexpected() []string {
	return slices.DeleteFunc(p.errors, func(e string) bool {
		return slices.ContainsFunc(p.expected, func(text string) bool { return strings.Contains(e, text) })
	})
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("in the browser: %v", err)
	}
}

// open loads a URL anew.
func (p *tab) open(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(url))
}

// eval returns what JavaScript returns. It may be a promise.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("in the browser, %.200s: %v", script, err)
	}
	return v
}

// waitFor waits until JavaScript returns true.
func (p *tab) waitFor(what, script string) {
	p.t.Helper()
	eventually(p.t, what, time.Minute, func() (bool, string) {
		if eval[bool](p, "!!("+script+")") {
			return true, ""
		}
		return false, eval[string](p, "location.href + '\\n' + document.body.innerText.slice(0, 3000)")
	})
}

// shows waits until the page shows a text.
func (p *tab) shows(text string) {
	p.t.Helper()
	p.waitFor("the page shows "+text, "document.body.innerText.includes("+quoted(text)+")")
}

// press presses keys, as a user does who has no mouse.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		if len(key) == 1 && key > " " && key < "\x7f" {
			p.pressOne(key)
			continue
		}
		p.do(chromedp.KeyEvent(key))
	}
}

// pressOne presses a key as a keyboard does: a page that takes it for something else has not typed
// it.
func (p *tab) pressOne(key string) {
	p.t.Helper()
	for _, event := range []input.DispatchKeyEventParams{
		{Type: "keyDown", Key: key, Text: key}, {Type: "keyUp", Key: key},
	} {
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, event); err != nil {
			p.t.Fatal(err)
		}
	}
}

// click clicks the middle of what a selector finds.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.waitFor("there is "+selector, "document.querySelector("+quoted(selector)+")?.getClientRects().length")
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// write puts a text into a field, as typed.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	p.waitFor("there is "+selector, "document.querySelector("+quoted(selector)+")")
	eval[bool](p, "document.querySelector("+quoted(selector)+").focus() ?? true")
	eval[bool](p, "document.activeElement.select?.() ?? true")
	p.press(kb.Backspace, text)
}

// scheme sets whether the user prefers a dark page.
func (p *tab) scheme(dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		p.t.Fatal(err)
	}
}

// screenshot saves what the tab shows among the test's artifacts, and returns it.
func (p *tab) screenshot(name string) []byte {
	p.t.Helper()
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
	return picture
}

// quoted returns a text as JavaScript writes it.
func quoted(text string) string {
	q, _ := json.Marshal(text) // a string can always be
	return string(q)
}
