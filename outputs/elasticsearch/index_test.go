package elasticsearch

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"

	"github.com/prometheus/client_golang/prometheus"
)

// aRecord returns a batch of one record with a level, the labels, and fields given as name, value,
// name, value.
func aRecord(at time.Time, labels []event.Label, fields ...string) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(7, "app", "/var/log/app.log", labels))
	r := b.Add(42, at.UnixNano(), b.PutString("the raw line"))
	r.Level = event.Warn
	for i := 0; i < len(fields); i += 2 {
		key := event.Value{Span: b.PutString(fields[i]), Kind: event.NameKind([]byte(fields[i]))}
		value := event.Value{Span: b.PutString(fields[i+1]), Kind: event.Text}
		if fields[i] == "service" {
			r.Service = value
			continue
		}
		b.AddField(0, key, value)
	}
	return b
}

var noon = time.Date(2024, 2, 29, 12, 30, 15, 123_000_000, time.UTC)

func TestIndexName(t *testing.T) {
	t.Parallel()
	labels := []event.Label{{Name: "host.name", Value: "Web-1"}, {Name: "env", Value: "prod"},
		{Name: "service", Value: "from-label"}}
	tests := []struct {
		template string
		at       time.Time
		fields   []string
		want     string
	}{
		{"", noon, nil, "logs-longshore-default"},
		{"logs-{service}-default", noon, []string{"service", "shop"}, "logs-shop-default"},
		{"logs-{service}-default", noon, nil, "logs-from-label-default"},
		{"{service}", noon, []string{"service", "../_ALL, *?"}, "-_all----"},
		{"logs-{level}-{env}-{host.name}", noon, nil, "logs-warn-prod-web-1"},
		{"logs-{host.name}", noon, []string{"host.name", "forged"}, "logs-web-1"},
		{"logs-{container.name}", noon, []string{"container.name", "forged"}, "logs-unknown"},
		{"logs-{tenant}", noon, []string{"tenant", "A"}, "logs-a"},
		{"logs-{tenant}", noon, []string{"tenant", ""}, "logs-unknown"},
		{"logs-{ yyyy.MM.dd }", noon, nil, "logs-2024.02.29"},
		{"logs-{yyyy-MM_dd.HH}", noon, nil, "logs-2024-02_29.12"},
		{"logs-{yyyy}.{yyyyMM}", noon, nil, "logs-2024.202402"},
		{"logs-{yyyy.MM.dd}", time.Date(2024, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600)), nil, "logs-2023.12.31"},
		{"logs-{yyyy.MM.dd}", time.Unix(-1, 0), nil, "logs-1969.12.31"},
		{"{x}", noon, []string{"x", "__.-+"}, "unknown"},
		{"logs-{x}", noon, []string{"x", strings.Repeat("é", 300)}, "logs-" + strings.Repeat("é", 50)},
	}
	for _, tt := range tests {
		x, err := parseIndex(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		raw := x.appendName(nil, aRecord(tt.at, labels, tt.fields...), 0)
		got := sanitize(raw)
		if got != strings.TrimLeft(tt.want, "-_") {
			t.Errorf("%s of %q: got %s, want %s", tt.template, tt.fields, got, tt.want)
		}
	}
}

func TestIndexProblems(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"logs-{service":                   "has a { without its }",
		"logs-service}":                   "has a } without its {",
		"logs-{}":                         "no field's name",
		"logs-{a{b}}":                     "no field's name",
		"logs-{trace_id}":                 "an index of its own",
		"logs-{yyyy.mm.dd}":               "not made of yyyy, MM, dd and HH",
		"Logs":                            "lower case",
		"a b":                             "takes in no index's name",
		"a/b":                             "takes in no index's name",
		"-a":                              "begins with",
		".a":                              "begins with",
		strings.Repeat("a", 256):          "longer than",
		"logs," + "b":                     "takes in no index's name",
		"logs-{yyyy.MM.dd}-{service}:{x}": "takes in no index's name",
	} {
		_, err := parseIndex(template)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", template, err, want)
		}
	}
}

func TestIndexPattern(t *testing.T) {
	t.Parallel()
	for template, want := range map[string][2]string{
		"":                              {"logs-longshore-default", "logs-longshore-default"},
		"logs-{service}-{yyyy.MM.dd}-x": {"logs-*-*-x", "logs-overflow-overflow-x"},
	} {
		x, err := parseIndex(template)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{x.pattern(), x.overflow()}; got != want {
			t.Errorf("%q: got %v, want %v", template, got, want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	for _, s := range []string{"", "Logs", "..", "a\x00b", "\xff\xfe", strings.Repeat("İ", 300), "a:b#c,d e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := sanitize([]byte(raw))
		switch {
		case got == "" || len(got) > maxIndexName || !utf8.ValidString(got):
			t.Errorf("%q became %q", raw, got)
		case strings.ContainsAny(got, "\\/*?\"<>|,#: \x00\n"), strings.ContainsRune("-_+.", rune(got[0])):
			t.Errorf("%q became %q", raw, got)
		case strings.ToLower(got) != got:
			t.Errorf("%q became %q, which is not lower case", raw, got)
		}
	})
}

func TestIndicesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		template, _ := parseIndex("logs-{service}")
		metrics := newMetrics(prometheus.NewRegistry())
		x := newIndexNames(template, 3, slog.New(slog.NewTextHandler(&log, nil)), metrics.overflowed)
		admit := func(n int) string { return x.admit(fmt.Appendf(nil, "logs-%d", n)) }
		for n := range 3 {
			if got := admit(n); got != fmt.Sprintf("logs-%d", n) {
				t.Errorf("the name %d became %s", n, got)
			}
		}
		for n := 3; n < 6; n++ {
			if got := admit(n); got != "logs-overflow" {
				t.Errorf("the name %d became %s", n, got)
			}
		}
		if strings.Count(log.String(), "\n") != 1 {
			t.Errorf("the log says:\n%s", log.String())
		}
		time.Sleep(20 * time.Hour)
		if got := admit(0); got != "logs-0" {
			t.Errorf("a known name became %s", got)
		}
		time.Sleep(5 * time.Hour)
		if got := admit(7); got != "logs-7" {
			t.Errorf("after a day in which others were idle, a new name became %s", got)
		}
		if _, kept := x.used["logs-0"]; !kept || len(x.used) != 2 {
			t.Errorf("kept %v", x.used)
		}
	})
}
