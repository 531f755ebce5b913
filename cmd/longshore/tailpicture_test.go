package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// shopRecords are what a web shop logs around an order that fails.
func shopRecords() []*tailRecord {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	record := func(at, level, container, message string, fields map[string]any) map[string]any {
		return map[string]any{"time": "2026-03-01T14:03:" + at + "Z", "level": level, "container": container,
			"message": message, "fields": fields, "trace_id": trace}
	}
	slow := record("04.870", "warn", "stock-1", "stock level is low", map[string]any{"sku": "kettle", "left": 2})
	delete(slow, "trace_id")
	return tailed(
		record("04.118", "info", "gateway-1", "POST /api/orders 202", map[string]any{"bytes": 517, "user": "greta"}),
		record("04.131", "info", "checkout-1", "checkout started", map[string]any{"order": 36656, "items": 3}),
		record("04.205", "debug", "stock-1", "stock reserved", map[string]any{"took_ms": 12}),
		slow,
		record("05.062", "error", "payments-1", javaTrace, nil),
		record("05.064", "error", "checkout-1", "payment failed, will try again",
			map[string]any{"order": 36656, "attempt": 1}),
		record("05.917", "info", "payments-1", "charge accepted", map[string]any{"amount": 135.68, "currency": "EUR"}),
	)
}

// TestTailPicture makes the picture of longshore tail that the README shows.
func TestTailPicture(t *testing.T) {
	var out bytes.Buffer
	v := newTailView(&app{stdout: &out, env: os.LookupEnv}, "text", false)
	v.style, v.width = true, func() int { return 104 }
	v.now = func() time.Time { return time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC) }
	for _, r := range shopRecords() {
		if err := v.show(r); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, filepath.Join("..", "..", "docs", "tail.svg"), picture("longshore tail", out.String()))
}

// terminalColours are those of a dark terminal, by their codes.
var terminalColours = map[string]string{
	"31": "#f47067", "32": "#6bc46d", "33": "#d9a941", "34": "#6cb6ff", "35": "#dcbdfb", "36": "#56d4dd",
	"91": "#ff938a", "92": "#8ddb8c", "93": "#eac55f", "94": "#96d0ff", "95": "#eedcff", "96": "#b3f0ff",
}

var coloured = regexp.MustCompile("\x1b\\[([0-9;]*)m([^\x1b]*)\x1b\\[0m|([^\x1b]+)")

// picture draws what stands on a terminal below a command.
func picture(command, text string) string {
	const lineHeight, charWidth, margin = 20, 8.43, 16
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var b strings.Builder
	height := 2*margin + lineHeight*(len(lines)+1)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="920" height="%d" role="img" `+
		`aria-label="%s: records of several containers, coloured by container and level">`+"\n", height, command)
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#1c2128"/>` + "\n" +
		`<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#cdd9e5" ` +
		`xml:space="preserve">` + "\n")
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#768390">$ %s</text>`+"\n", margin, margin+14, command)
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d">`, margin, margin+14+lineHeight*(i+1))
		column := 0
		for _, m := range coloured.FindAllStringSubmatch(line, -1) {
			word := m[2] + m[3]
			fmt.Fprintf(&b, `<tspan x="%.2f"%s>%s</tspan>`, margin+charWidth*float64(column), tspanLook(m[1]),
				html.EscapeString(word))
			column += columns(word)
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// tspanLook returns the attributes of a code such as "1;31".
func tspanLook(codes string) (attributes string) {
	for code := range strings.SplitSeq(codes, ";") {
		switch {
		case code == "1":
			attributes += ` font-weight="bold"`
		case code == "2":
			attributes += ` fill="#768390"`
		case terminalColours[code] != "":
			attributes += ` fill="` + terminalColours[code] + `"`
		}
	}
	return attributes
}
