package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/klauspost/compress/gzip"
)

var updatePictures = flag.Bool("update-pictures", false, "take the pictures of docs/page*.png anew")

// A store is a destination as Elasticsearch is one, which the test has fail.
type store struct {
	*httptest.Server
	does   atomic.Int32 // takeAll and so on
	stored atomic.Int64
}

const (
	takeAll = iota
	beAway
	rejectAll
)

func newStore(t *testing.T) *store {
	s := &store{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case s.does.Load() == beAway:
		http.Error(w, `{"error":"the cluster is down"}`, http.StatusServiceUnavailable)
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		s.bulk(w, r)
	case r.URL.Path == "/":
		fmt.Fprint(w, `{"cluster_name":"shop","version":{"number":"8.19.7","build_flavor":"default"}}`)
	default:
		http.Error(w, `{"error":"no such thing"}`, http.StatusNotFound)
	}
}

func (s *store) bulk(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	var items []string
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 32<<20)
	for i := 0; lines.Scan(); i++ {
		switch {
		case i%2 == 1: // a document
		case s.does.Load() == rejectAll:
			items = append(items, fmt.Sprintf(`{"create":{"_index":"logs","status":400,"error":{`+
				`"type":"document_parsing_exception",`+
				`"reason":"failed to parse field [amount] of type [long] in document with id 'x%d'"}}}`, i))
		default:
			s.stored.Add(1)
			items = append(items, `{"create":{"_index":"logs","status":201}}`)
		}
	}
	fmt.Fprintf(w, `{"errors":%t,"items":[%s]}`, s.does.Load() == rejectAll, strings.Join(items, ","))
}

// A shop writes logs that the agent reads.
type shop struct {
	t   *testing.T
	dir string
	n   int
}

func (s *shop) write(lines ...string) {
	s.t.Helper()
	file, err := os.OpenFile(filepath.Join(s.dir, "shop.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.WriteString(file, strings.Join(lines, "\n")+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

// line returns one of a service, as JSON.
func (s *shop) line(level, service, message string, more ...string) string {
	s.n++
	fields := map[string]any{"time": time.Now().Format(time.RFC3339Nano), "level": level, "service": service,
		"msg": message, "n": s.n}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	text, err := json.Marshal(fields)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// pageAgent runs an agent that keeps recent records, reads what a shop writes and sends it to a
// store.
func pageAgent(t *testing.T, http string) (*agent, *shop, *store) {
	t.Helper()
	s := newStore(t)
	dir := t.TempDir()
	a := newAgentWithHTTP(t, http, fmt.Sprintf(`
recent: on
shutdown_timeout: 2s
inputs:
  shop: {type: file, paths: [%s/*.log]}
transforms:
  quiet: {type: drop, if: 'message == "drop me"'}
outputs:
  search: {type: elasticsearch, urls: [%q], index: logs, auth: {username: me, password: swordfish}, retry: {max_backoff: 1s}}
`, dir, s.URL))
	a.start()
	a.says("/health", 200)
	return a, &shop{t: t, dir: dir}, s
}

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestPageOverview: one look tells healthy from not, and why.
func TestPageOverview(t *testing.T) {
	a, shop, store := pageAgent(t, "")
	p := newBrowser(t)
	p.open(a.url)
	p.shows("nothing has come in yet")
	shop.write(shop.line("info", "web", "hello"), shop.line("info", "web", "drop me"))
	p.shows("All is well")
	p.waitFor("the account", `[...document.querySelectorAll('.tables td')].some(td => td.textContent === '1')`)
	p.shows("1 dropped by quiet")
	p.waitFor("three cards, joined", `document.querySelectorAll('.card').length === 3 &&
		document.querySelectorAll('.lines path.pipe').length === 2`)

	store.does.Store(beAway)
	shop.write(shop.line("info", "web", "is kept"))
	p.shows("search does not take records")
	p.shows("Nothing is lost: 1 record waits")
	p.waitFor("the card is marked", `document.querySelector('[data-part="output:search"]').className === 'card bad'`)
	p.waitFor("it says the reason",
		`document.querySelector('[data-part="output:search"] .problem').textContent.includes('503')`)
	store.does.Store(takeAll)
	p.shows("All is well")

	store.does.Store(rejectAll)
	shop.write(shop.line("info", "web", "is rejected"))
	p.shows("some were rejected")
	p.shows("failed to parse field [amount]")
	if seen := eval[string](p, "document.documentElement.innerHTML"); strings.Contains(seen, "swordfish") {
		t.Error("the page has the password")
	}
	a.stop()
	p.shows("The agent does not answer")
	p.expectErrors("Failed to load resource")
}

// rows returns the messages of the rows, from top to bottom.
const rows = `[...document.querySelectorAll('.log .row:not([hidden])')]
	.sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
	.map(r => r.querySelector('.message').textContent)`

func (p *tab) hasRows(want ...string) {
	p.t.Helper()
	p.waitFor(fmt.Sprintf("the rows %q", want), "JSON.stringify("+rows+") === JSON.stringify("+asJS(want)+")")
}

func asJS(v any) string {
	text, _ := json.Marshal(v) // what the tests have can always be
	return string(text)
}

// TestPageLogs: live lines, filters, a trace across services, what a record unfolds to, pause; and
// a link to each view.
func TestPageLogs(t *testing.T) {
	a, shop, _ := pageAgent(t, "")
	p := newBrowser(t)
	shop.write(shop.line("info", "web", "before the page"))
	a.says("/api/v1/logs", 200)
	p.open(a.url + "/#/logs")
	p.hasRows("before the page")
	shop.write(
		shop.line("info", "web", "checkout", "trace_id", traceID),
		shop.line("error", "payments", "declined", "trace_id", traceID),
		shop.line("warn", "stock", "low <b>stock</b>"), shop.line("debug", "web", "nothing"))
	all := []string{"before the page", "checkout", "declined", "low <b>stock</b>", "nothing"}
	p.hasRows(all...)

	p.click(`[data-level="error"]`)
	p.hasRows("declined")
	p.click(`[data-level="warn"]`)
	p.hasRows("declined", "low <b>stock</b>")
	link := eval[string](p, "location.href")
	if !strings.Contains(link, "level=warn%2Cerror") {
		t.Errorf("the view's link is %s", link)
	}
	second := p.another(t)
	second.open(link)
	second.hasRows("declined", "low <b>stock</b>")
	second.waitFor("the levels are pressed", `document.querySelectorAll('.chip[aria-pressed=true]').length === 2`)
	p.click("#clear-filters")
	p.hasRows(all...)

	p.write("#filter-text", "STOCK<")
	p.hasRows("low <b>stock</b>")
	p.write("#filter-text", "checkout")
	p.hasRows("checkout")
	p.click("#clear-filters")
	p.write("#filter-service", "web")
	p.hasRows("before the page", "checkout", "nothing")
	shop.write(shop.line("info", "stock", "another"), shop.line("info", "web", "live and filtered"))
	p.hasRows("before the page", "checkout", "nothing", "live and filtered")
	p.click("#clear-filters")

	p.click(".row .trace-id:not([hidden])")
	p.hasRows("checkout", "declined")
	p.shows("2 services")
	p.waitFor("a lane for each service", `document.querySelectorAll('.lane').length === 2 &&
		[...document.querySelectorAll('.lane circle')].filter(c => c.checkVisibility()).length === 2`)
	p.waitFor("the link is the trace's", "location.hash.includes("+quoted(traceID)+")")
	p.press(kb.Escape)
	p.waitFor("the trace is left", "!location.hash.includes('trace')")

	p.waitFor("all are there again", rows+".includes('declined') && "+rows+".includes('nothing')")
	eval[bool](p, `[...document.querySelectorAll('.row')].find(r => r.textContent.includes('declined')).click()
		?? true`)
	p.shows("read as json")
	p.waitFor("it unfolds to the raw line",
		`document.querySelector('.detail pre').textContent.includes('"msg":"declined"')`)
	p.waitFor("it pauses", `document.querySelector('#pause').getAttribute('aria-pressed') === 'true'`)
	shop.write(shop.line("info", "web", "while paused"))
	p.waitFor("it counts", `document.querySelector('#pause').textContent === 'Go on: 1 new'`)
	if eval[bool](p, rows+".includes('while paused')") {
		t.Error("it goes on although it is paused")
	}
	p.click("#pause")
	p.waitFor("it goes on", rows+".includes('while paused')")

	// An agent that was away is followed again, and what came meanwhile shows.
	p.expectErrors("net::")
	a.stop()
	p.shows("Not live")
	shop.write(shop.line("info", "web", "while the agent was away"))
	a.start()
	p.waitFor("it is live again", rows+".at(-1) === 'while the agent was away'")
	shop.write(shop.line("info", "web", "and since"))
	p.waitFor("it follows", rows+".at(-1) === 'and since'")
	p.waitFor("nothing shows twice", "new Set("+rows+").size === "+rows+".length")

	p.write("#filter-trace", "no trace")
	p.shows("is no trace id")
	p.expectErrors("400")
}

// TestPageHostileLines: nothing in a line runs, breaks the page, hides itself or reaches out of its
// row.
func TestPageHostileLines(t *testing.T) {
	a, shop, _ := pageAgent(t, "")
	p := newBrowser(t)
	p.open(a.url + "/#/logs")
	p.shows("Live")
	attack := `<script>window.ran=1</script><img src=x onerror="window.ran=2"><svg/onload=window.ran=3>`
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	shop.write(
		shop.line("info", attack, attack, attack, attack, "url", "javascript:window.ran=4"),
		`level=error msg="`+attack+`" service="'\"><script>window.ran=5</script>"`,
		shop.line("warn", "ansi", "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x07 \x1b[2J\x1b[H bell\x07 "+
			"back\b\b\b\b"),
		shop.line("warn", "bidi", "pay \u202e001\u202c to \u2066\u200fevil\u2069 zero\u200bwidth \ufeffmark \u00ad"),
		shop.line("warn", "unpaired", "nul \u0000 lines\r\n two\u2028three \u0085 next"),
		shop.line("warn", "zalgo", "Z"+strings.Repeat("\u0301\u0489\u0334", 300)),
		shop.line("info", strings.Repeat("long-service-", 500), "wide "+strings.Repeat("W", 5000)),
		shop.line("error", "large", large, "field", large[:4000]),
		"\xff\xfe not UTF-8 \xc3\x28 "+attack,
		shop.line("info", "last", "the last one"),
	)
	p.waitFor("all rows", rows+".at(-1) === 'the last one' && "+rows+".length === 10")
	for name, script := range map[string]string{
		"something of a line ran": `window.ran`,
		"a line became an element": `document.querySelectorAll(
			'.log script, .log img, .log svg, .log b, .log a, .log iframe').length`,
		"a row is higher than others": `[...document.querySelectorAll('.row:not([hidden])')]
			.some(r => r.offsetHeight !== 24)`,
		"something reaches out of a row": `[...document.querySelectorAll('.row:not([hidden]) > *')]
			.some(c => c.getBoundingClientRect().right > innerWidth)`,
		"the page scrolls": `document.documentElement.scrollWidth > innerWidth ||
			document.documentElement.scrollHeight > innerHeight`,
		"a control character is hidden": `/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/
			.test(document.querySelector('.log').textContent)`,
		"the direction of a row is a line's": `[...document.querySelectorAll('.row bdi')]
			.some(b => getComputedStyle(b).unicodeBidi !== 'isolate')`,
		"a row has all of a long line": `[...document.querySelectorAll('.row')]
			.some(r => r.textContent.length > 3000)`,
	} {
		if eval[bool](p, "!!("+script+")") {
			t.Errorf("%s: %s", name, eval[string](p, "String("+script+")"))
		}
	}
	for _, want := range []string{"‹ESC[31m›", "‹ESC[0m›", "‹BEL›", "‹202E›001‹202C›", "‹200B›", "‹FEFF›", "‹NUL›",
		"‹CR›⏎", "‹2028›"} {
		if !eval[bool](p, "document.querySelector('.log').textContent.includes("+quoted(want)+")") {
			t.Errorf("%s is not shown", want)
		}
	}
	p.screenshot("hostile")
	// Every one of them unfolds.
	p.click(".log")
	p.press(kb.Escape, kb.Home)
	const detail = "document.querySelector('.detail').textContent"
	unfoldedLarge := false
	for i := range 10 {
		p.press(kb.Enter)
		p.waitFor(fmt.Sprintf("record %d unfolds", i), fmt.Sprintf(
			`document.querySelector('.detail pre')?.textContent.length > 5 &&
				document.querySelector('.row.open')?.getAttribute('aria-rowindex') === '%d'`, i+1))
		if !unfoldedLarge && eval[bool](p, detail+".includes('0123456789abcdef'.repeat(100))") {
			unfoldedLarge = true
			short := eval[int](p, detail+".length")
			p.waitFor("a long value is shortened", detail+".includes('Show all')")
			p.waitFor("it says how much is kept", detail+`.match(/the first [0-9.]+ KiB of [0-9.]+ MiB are kept here/)`)
			p.screenshot("large")
			eval[bool](p, `[...document.querySelectorAll('.detail button')]
				.filter(b => b.textContent.startsWith('Show all')).forEach(b => b.click()) ?? true`)
			p.waitFor("all of it is to be had",
				fmt.Sprintf("!%[1]s.includes('Show all') && %[1]s.length > 1.5 * %[2]d", detail, short))
		}
		p.press(kb.Enter, kb.ArrowDown)
	}
	if !unfoldedLarge {
		t.Error("the record of 1 MiB was not among them")
	}
	if eval[bool](p, "!!window.ran || document.querySelectorAll('.log script, .log img').length > 0") {
		t.Error("something of an unfolded line ran")
	}
}

// TestPageFlood: 5,000 lines a second neither stall the page nor make it grow: told by counts of
// what it does, however slow this machine is.
func TestPageFlood(t *testing.T) {
	a, shop, _ := pageAgent(t, "")
	p := newBrowser(t)
	p.open(a.url + "/#/logs")
	p.shows("Live")
	shop.write(shop.line("info", "web", "the first"))
	p.hasRows("the first")
	// One step of the page is a frame. In each, so many elements may come and go.
	eval[bool](p, `(() => {
		const seen = window.seen = { frames: 0, drawn: 0, elements: 0, added: 0 };
		let changed = false;
		new MutationObserver(all => {
			changed = true;
			for (const m of all) for (const n of m.addedNodes) if (n.nodeType === 1 && n.classList.contains('row')) seen.added++;
		}).observe(document.querySelector('.log'), { childList: true, subtree: true, characterData: true });
		const frame = () => {
			seen.frames++;
			if (changed) seen.drawn++;
			changed = false;
			seen.elements = Math.max(seen.elements, document.getElementsByTagName('*').length);
			requestAnimationFrame(frame);
		};
		requestAnimationFrame(frame);
		return true;
	})()`)
	const perSecond, seconds = 5000, 6
	for second := range seconds {
		before := eval[int](p, "window.seen.drawn")
		for part := range 10 {
			var lines bytes.Buffer
			for i := range perSecond / 10 {
				fmt.Fprintln(&lines, shop.line("info", "flood", fmt.Sprintf("line %d %d %d %s", second, part, i,
					strings.Repeat("x", 100))))
			}
			shop.write(strings.TrimSuffix(lines.String(), "\n"))
			time.Sleep(100 * time.Millisecond)
		}
		p.waitFor("it draws meanwhile", fmt.Sprintf("window.seen.drawn > %d", before))
	}
	shop.write(shop.line("info", "flood", "the end"))
	p.waitFor("the end shows", rows+".at(-1) === 'the end'")
	p.waitFor("it says how many it keeps", `document.body.innerText.includes('the newest 10,000')`)
	type seen struct{ Frames, Drawn, Elements, Added int }
	var is seen
	if err := json.Unmarshal([]byte(eval[string](p, "JSON.stringify(window.seen)")), &is); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines: %d frames, of which %d drew; at most %d elements; %d rows made", perSecond*seconds, is.Frames,
		is.Drawn, is.Elements, is.Added)
	if is.Elements > 2000 || is.Added > 200 {
		t.Errorf("the page grows: %+v", is)
	}
	if is.Drawn > is.Frames {
		t.Errorf("it draws more often than is seen: %+v", is)
	}
	// It still listens.
	p.press("p")
	p.waitFor("it pauses", `document.querySelector('#pause').getAttribute('aria-pressed') === 'true'`)
	p.press(kb.ArrowUp, kb.Enter)
	p.waitFor("a record unfolds", `document.querySelector('.detail')`)
}

// TestPageKeyboard: all of it without a mouse.
func TestPageKeyboard(t *testing.T) {
	a, shop, _ := pageAgent(t, "")
	p := newBrowser(t)
	shop.write(shop.line("info", "web", "one", "trace_id", traceID),
		shop.line("info", "pay", "two", "trace_id", traceID),
		shop.line("info", "web", "three"))
	p.open(a.url)
	p.shows("All is well")
	focused := `(document.activeElement.textContent || document.activeElement.id)`
	p.press(kb.Tab)
	p.waitFor("first is the way to the content", focused+" === 'Skip to the content'")
	p.press(kb.Tab, kb.Tab, kb.Enter)
	p.waitFor("the second link is the logs'", "location.hash === '#/logs'")
	p.hasRows("one", "two", "three")
	p.press("1")
	p.waitFor("1 is the overview", "location.hash === '#/' && document.querySelector('.flow')")
	p.press("2")
	p.hasRows("one", "two", "three")
	p.press("/", "w", "o")
	p.waitFor("it searches", "document.activeElement.id === 'filter-text' && document.activeElement.value === 'wo'")
	p.hasRows("two")
	p.press(kb.Escape)
	p.waitFor("Escape leaves the field", "document.activeElement.id !== 'filter-text'")
	p.press(kb.ArrowUp, kb.ArrowUp, kb.Enter)
	p.waitFor("Enter unfolds", `document.querySelector('.row.open.selected .message')?.textContent === 'two'`)
	p.waitFor("the screen reader is told which", `document.getElementById(
		document.querySelector('.log').getAttribute('aria-activedescendant'))?.textContent.includes('two')`)
	p.press(kb.Escape)
	p.waitFor("Escape folds", `!document.querySelector('.detail')`)
	p.press("t")
	p.hasRows("one", "two")
	p.press("p")
	p.waitFor("p pauses", `document.querySelector('#pause').getAttribute('aria-pressed') === 'true'`)
	p.press("p")
	p.waitFor("and goes on", `document.querySelector('#pause').getAttribute('aria-pressed') === 'false'`)
	p.press("?")
	p.waitFor("the keys are shown", `document.querySelector('#help-dialog').open`)
	p.press(kb.Escape, "3")
	p.waitFor("3 is the config", `document.querySelector('#try-lines')`)
	p.press("4")
	p.waitFor("4 are the dead letters", `document.querySelector('.dead')`)
}

// TestPageConfig: secrets are hidden, and lines can be tried.
func TestPageConfig(t *testing.T) {
	a, _, _ := pageAgent(t, ", token: open-sesame")
	p := newBrowser(t)
	p.expectErrors("401")
	p.open(a.url + "/#/config")
	p.write("#token-input", "open-sesame")
	p.press(kb.Enter)
	p.shows("password: ***")
	if seen := eval[string](p, "document.documentElement.innerHTML"); strings.Contains(seen, "swordfish") {
		t.Error("the page has the password")
	}
	p.write("#try-lines", `{"level":"warn","msg":"<i>tried</i>","password":"hunter22"}`)
	p.press(kb.Tab, kb.Tab, kb.Enter)
	p.shows("1 record.")
	p.shows("goes to search")
	p.shows("<i>tried</i>")
	p.write("#try-lines", `{"msg":"drop me"}`)
	p.press(kb.Tab, kb.Tab, kb.Enter)
	p.shows("dropped by quiet")
	p.screenshot("config")

	p.shows("As it was at the start")
	before, err := os.ReadFile(a.config)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(text string) {
		t.Helper()
		if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(string(before) + "nonsense: true\n")
	p.expectErrors("422")
	p.click("#reload")
	p.shows("failed, and the config before it goes on")
	p.shows("nonsense")
	rewrite(string(before) + "# as it is now\n")
	p.click("#reload")
	p.shows("Reloaded at")
	p.shows("# as it is now")
}

// TestPageDeadLetters: what was rejected shows with its reason, and is sent again with the token,
// which is kept in this tab alone.
func TestPageDeadLetters(t *testing.T) {
	a, shop, store := pageAgent(t, ", token: open-sesame")
	p := newBrowser(t)
	store.does.Store(rejectAll)
	shop.write(shop.line("info", "web", "first <script>window.ran=1</script>", "amount", "many"),
		shop.line("info", "web", "second", "amount", "few"))
	p.open(a.url + "/#/dead-letters")
	p.waitFor("it asks for the token", `document.querySelector('#token-dialog').open`)
	p.write("#token-input", "wrong")
	p.press(kb.Enter)
	p.shows("That token was not accepted")
	p.write("#token-input", "open-sesame")
	p.press(kb.Enter)
	p.waitFor("two are counted",
		`document.querySelector('[data-output="search"] .amount')?.textContent === '2 records'`)
	p.shows("failed to parse field [amount]")
	p.click("details summary")
	p.shows("second")
	p.screenshot("dead-letters")
	p.waitFor("nothing of a record runs", "window.ran === undefined")
	if n := eval[int](p, "localStorage.length + document.cookie.length"); n != 0 {
		t.Error("something is kept beyond the tab")
	}
	second := p.another(t)
	second.open(a.url + "/#/dead-letters")
	second.waitFor("another tab is asked, too", `document.querySelector('#token-dialog').open`)
	second.expectErrors("401")

	store.does.Store(takeAll)
	before := store.stored.Load()
	p.click(`[data-output="search"] button`)
	p.shows("2 delivered")
	p.waitFor("none is left", `document.querySelector('[data-output="search"] .amount').textContent === 'none'`)
	if n := store.stored.Load() - before; n != 2 {
		t.Errorf("%d records were sent again, want 2", n)
	}
	p.expectErrors("401")
}

// TestPageWithoutToken: what changes something is refused without a token, and the page says how to
// get it.
func TestPageWithoutToken(t *testing.T) {
	a, shop, store := pageAgent(t, "")
	p := newBrowser(t)
	store.does.Store(rejectAll)
	shop.write(shop.line("info", "web", "first"))
	p.open(a.url + "/#/dead-letters")
	p.waitFor("one is counted", `document.querySelector('[data-output="search"] .amount')?.textContent === '1 record'`)
	p.click(`[data-output="search"] button`)
	p.shows("set http.token")
	p.expectErrors("403")
}

// TestPageOfAnotherOrigin: neither a name that was made to mean this machine nor a page of another
// port of it gets anything, in a browser that lets it try.
func TestPageOfAnotherOrigin(t *testing.T) {
	a, shop, store := pageAgent(t, "")
	shop.write(shop.line("info", "web", "a secret of the shop"))
	p := newBrowser(t)
	p.expectErrors("") // it is refused
	p.open(strings.Replace(a.url, "127.0.0.1", "evil.example", 1))
	p.shows("closed to this host name")
	p.open(store.URL)
	for _, try := range []string{
		`fetch(%[1]s + "/api/v1/logs").then(r => r.text(), () => "")`,
		`fetch(%[1]s + "/api/v1/try", {method: "POST", body: '{"lines":"x"}'}).then(r => r.text(), () => "")`,
		`fetch(%[1]s + "/api/v1/dead-letters/search/replay", {method: "POST", mode: "no-cors"}).then(r => r.text())`,
		`new Promise(done => {
			const script = document.createElement("script");
			script.src = %[1]s + "/api/v1/logs";
			script.onload = () => done("loaded");
			script.onerror = () => done("");
			document.documentElement.append(script);
		})`,
		`new Promise(done => {
			const frame = document.createElement("iframe");
			frame.src = %[1]s;
			frame.onload = () => done(frame.contentDocument?.body?.innerText ?? "");
			document.documentElement.append(frame);
		})`,
	} {
		if got := eval[string](p, fmt.Sprintf(try, quoted(a.url))); got != "" {
			t.Errorf("%s: %s", try, got)
		}
	}
}

// TestPageIsReadable: text stands out from its ground, and everything that can be used has a name,
// in the light and in the dark. It takes the pictures, too.
func TestPageIsReadable(t *testing.T) {
	a, shop, store := pageAgent(t, "")
	p := newBrowser(t)
	a.says("/ready", 200)
	fillShop(shop)
	p.open(a.url)
	p.shows("All is well")
	for _, dark := range []bool{false, true} {
		p.scheme(dark)
		name := map[bool]string{false: "light", true: "dark"}[dark]
		store.does.Store(takeAll)
		for _, view := range []string{"", "logs", "config", "dead-letters", "logs?trace=" + traceID} {
			p.open(a.url + "/#/" + view)
			p.waitFor("it is there", "document.querySelector('.card, .row, .source li, .dead, .lane')")
			p.checkReadable(name + " " + view)
			p.screenshot(name + "-" + strings.NewReplacer("?", "-", "=", "-").Replace(view))
		}
		store.does.Store(beAway)
		shop.write(shop.line("info", "web", "waits"))
		p.open(a.url)
		p.shows("search does not take records")
		p.checkReadable(name + " failing")
		p.screenshot(name + "-failing")
	}
	store.does.Store(takeAll)
	p.scheme(false)
	p.open(a.url + "/#/logs")
	p.waitFor("rows", "document.querySelectorAll('.row').length > 20")
	eval[bool](p, `[...document.querySelectorAll('.row')]
		.find(r => r.textContent.includes('charge declined')).click() ?? true`)
	p.shows("As it was read")
	p.checkReadable("unfolded")
	p.screenshot("unfolded")
}

// TestPagePictures takes those of README and docs, with -update-pictures.
func TestPagePictures(t *testing.T) {
	if !*updatePictures {
		t.Skip("pictures are taken with -update-pictures")
	}
	elastic := newStore(t)
	dir := filepath.Join(os.TempDir(), "shop") // shows in them
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := newAgent(t, fmt.Sprintf(`
recent: on
shutdown_timeout: 2s
inputs:
  shop: {type: file, paths: [%[1]s/*.log]}
  gateway: {type: file, paths: [%[1]s/gateway/*.log]}
transforms:
  health-checks: {type: drop, if: 'message == "health"'}
outputs:
  archive: {type: file, path: %[1]s/all.jsonl}
  elastic: {type: elasticsearch, urls: [%[2]q], index: logs}
`, dir, elastic.URL))
	if err := os.MkdirAll(filepath.Join(dir, "gateway"), 0o755); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.says("/health", 200)
	services, gateway := &shop{t: t, dir: dir}, &shop{t: t, dir: filepath.Join(dir, "gateway")}
	p := newBrowser(t)
	p.do(chromedp.EmulateViewport(1280, 620))
	p.open(a.url)
	for i := range 100 {
		fillShop(services)
		gateway.write(gateway.line("info", "gateway", "GET /api/products 200"),
			gateway.line("info", "gateway", "health"))
		if i == 75 {
			elastic.does.Store(beAway)
		}
		time.Sleep(time.Duration(250+100*(i%4)) * time.Millisecond)
	}
	p.shows("elastic does not take records")
	save := func(name string, picture []byte) {
		if err := os.WriteFile(filepath.Join("..", "docs", name), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save("page.png", p.screenshot("overview"))
	elastic.does.Store(takeAll)
	p.do(chromedp.EmulateViewport(1280, 600))
	p.open(a.url + "/#/logs")
	p.waitFor("rows", "document.querySelectorAll('.row').length > 20")
	eval[bool](p, `[...document.querySelectorAll('.row:not([hidden])')]
		.findLast(r => r.textContent.includes('charge declined')).click() ?? true`)
	p.shows("As it was read")
	save("page-logs.png", p.screenshot("logs"))
}

// fillShop writes what a shop logs.
func fillShop(s *shop) {
	for i := range 12 {
		half := 0x4bf92f3577b34da6 + uint64(i)*0x9e3779b97f4a7c15
		id := fmt.Sprintf("%016x%016x", half, half*7)
		if i == 11 {
			id = traceID
		}
		order := fmt.Sprint(52941 + 17*i)
		s.write(
			s.line("info", "web", "products listed", "page", fmt.Sprint(i), "response_time", "81ms"),
			s.line("info", "web", "checkout started", "trace_id", id, "user", "amina", "items", fmt.Sprint(1+i%4)),
			s.line("debug", "stock", "cache hit", "key", "sku-"+order),
			s.line("info", "stock", "stock reserved", "trace_id", id, "order", order, "took", "116ms"))
		if i%4 == 3 {
			s.write(s.line("warn", "payments", "charge declined", "trace_id", id, "order", order, "reason",
				"insufficient_funds", "retryable", "false"),
				s.line("error", "orders", "order cancelled: payment declined", "trace_id", id, "order", order))
			continue
		}
		s.write(s.line("info", "payments", "charge accepted", "trace_id", id, "order", order, "amount", "44.36"),
			s.line("info", "orders", "order confirmed", "trace_id", id, "order", order))
	}
}

// checkReadable looks at every text and control that is seen.
func (p *tab) checkReadable(when string) {
	p.t.Helper()
	found := eval[[]string](p, `(() => {
		const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
		const rgb = color => {
			canvas.clearRect(0, 0, 1, 1);
			canvas.fillStyle = color;
			canvas.fillRect(0, 0, 1, 1);
			return [...canvas.getImageData(0, 0, 1, 1).data];
		};
		const light = c => {
			const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] / 255 + below[i] * (1 - top[3] / 255));
		const ground = node => {
			const layers = [];
			for (let n = node; n; n = n.parentElement) {
				const c = rgb(getComputedStyle(n).backgroundColor);
				if (c[3] > 0) layers.push(c);
				if (c[3] === 255) break;
			}
			return layers.reduceRight((below, top) => over(top, below), [255, 255, 255]);
		};
		const bad = new Set();
		for (const node of document.querySelectorAll('body *')) {
			if (!node.checkVisibility?.() || node.closest('.hidden, .skip, [hidden], [disabled], svg')) continue;
			const text = [...node.childNodes].some(c => c.nodeType === 3 && c.data.trim());
			if (!text) continue;
			const style = getComputedStyle(node);
			const below = ground(node);
			const [a, b] = [light(over(rgb(style.color), below)), light(below)].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) bad.add(node.className + ' "' + node.textContent.slice(0, 30) + '" has a contrast of ' + ratio.toFixed(2));
		}
		for (const node of document.querySelectorAll('button, input, select, textarea, a[href], [role=meter], [tabindex="0"]')) {
			const name = node.getAttribute('aria-label') || node.labels?.[0]?.textContent || node.textContent.trim() || document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
			if (!name && node.checkVisibility()) bad.add('without a name: ' + node.outerHTML.slice(0, 120));
		}
		const ids = [...document.querySelectorAll('[id]')].map(n => n.id);
		for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.add('twice: #' + id);
		if (document.querySelectorAll('main').length !== 1 || !document.querySelector('header nav')) bad.add('landmarks are missing');
		if (document.querySelectorAll('h1').length > 1) bad.add('more than one h1');
		return [...bad];
	})()`)
	for _, what := range found {
		p.t.Errorf("%s: %s", when, what)
	}
}
