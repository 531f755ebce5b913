package recognize

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	berlin, err := LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	near := time.Date(2024, 1, 1, 0, 0, 5, 0, time.UTC).UnixNano()
	tests := []struct {
		text string
		zone Zone
		want string // empty for none
	}{
		{"2024-05-01T12:00:00Z", nil, "2024-05-01T12:00:00Z"},
		{"2024-05-01 12:00:00.5", nil, "2024-05-01T12:00:00.5Z"},
		{"2024-05-01T12:00:00,123456789", nil, "2024-05-01T12:00:00.123456789Z"},
		{"2024-05-01T12:00:00.1234567899999Z", nil, "2024-05-01T12:00:00.123456789Z"},
		{"2024-05-01T12:00:00+02:00", berlin, "2024-05-01T10:00:00Z"},
		{"2024-05-01T12:00:00-0730", nil, "2024-05-01T19:30:00Z"},
		{"2024-05-01T12:00:00+02", nil, "2024-05-01T10:00:00Z"},
		{"2024-05-01 12:00:00 +0200", nil, "2024-05-01T10:00:00Z"},
		{"2024-05-01 12:00:00.5 +0000 UTC", nil, "2024-05-01T12:00:00.5Z"},
		{"2024/05/01 12:00:00", nil, "2024-05-01T12:00:00Z"},
		{"2024-05-01 12:00:00", berlin, "2024-05-01T10:00:00Z"},
		{"2024-01-01 12:00:00", berlin, "2024-01-01T11:00:00Z"},
		{"2024-05-01 12:00:00 UTC", berlin, "2024-05-01T12:00:00Z"},
		{"2024-05-01 12:00:00 CEST", berlin, "2024-05-01T10:00:00Z"},
		{"2024-05-01 12:00:00 CET", berlin, ""},
		{"2024-05-01 12:00:00 CEST", nil, ""},
		{"2024-02-29T00:00:00Z", nil, "2024-02-29T00:00:00Z"},
		{"2023-02-29T00:00:00Z", nil, ""},
		{"2024-13-01T00:00:00Z", nil, ""},
		{"2024-05-01T24:00:00Z", nil, ""},
		{"2024-05-01T12:00:00Zx", nil, ""},
		{"2024-05-01", nil, ""},
		{"01/May/2024:12:00:00 +0200", nil, "2024-05-01T10:00:00Z"},
		{"Wed, 01 May 2024 12:00:00 GMT", nil, "2024-05-01T12:00:00Z"},
		{"Wed May  1 12:00:00 2024", nil, "2024-05-01T12:00:00Z"},
		{"Wed May 01 12:00:00.123456 2024", nil, "2024-05-01T12:00:00.123456Z"},
		{"01 May 2024 12:00:00.123", nil, "2024-05-01T12:00:00.123Z"},
		{"Dec 31 23:59:59", nil, "2023-12-31T23:59:59Z"},
		{"Jan  1 00:00:10", nil, "2024-01-01T00:00:10Z"},
		{"1714564800", nil, "2024-05-01T12:00:00Z"},
		{"1714564800.123456789", nil, "2024-05-01T12:00:00.123456789Z"},
		{"1714564800123", nil, "2024-05-01T12:00:00.123Z"},
		{"1714564800123.5", nil, "2024-05-01T12:00:00.1235Z"},
		{"1714564800123456", nil, "2024-05-01T12:00:00.123456Z"},
		{"1714564800123456789", nil, "2024-05-01T12:00:00.123456789Z"},
		{"1.7145648e9", nil, "2024-05-01T12:00:00Z"},
		{"1.714564800123456e+09", nil, "2024-05-01T12:00:00.123456Z"},
		{"1.714564800123E12", nil, "2024-05-01T12:00:00.123Z"},
		{"1.7145648.1e9", nil, ""}, {"1.7e99", nil, ""}, {"1e9", nil, ""}, {"1.e9", nil, ""},
		{"1.7145648e9e9", nil, ""},
		{"17145648001234567890", nil, ""},
		{"99999999999", nil, ""},
		{"12345678", nil, ""},
		{"1714564800.", nil, ""},
		{"1714564800x", nil, ""},
		{"12ms", nil, ""},
		{"", nil, ""},
	}
	for _, test := range tests {
		ns, ok := Time([]byte(test.text), test.zone, near)
		got := ""
		if ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != test.want && !(ok && test.want == "" && !Believable(ns, 0)) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestBelievable(t *testing.T) {
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		ns, source time.Time
		want       bool
	}{
		{at, at, true},
		{at.Add(24 * time.Hour), at, true},
		{at.Add(24*time.Hour + 1), at, false},
		{at.AddDate(-4, 0, 0), at, true},
		{at.AddDate(-6, 0, 0), at, false},
	}
	for _, test := range tests {
		if got := Believable(test.ns.UnixNano(), test.source.UnixNano()); got != test.want {
			t.Errorf("%v beside %v: got %v, want %v", test.ns, test.source, got, test.want)
		}
	}
	if !Believable(at.AddDate(20, 0, 0).UnixNano(), 0) || Believable(at.AddDate(80, 0, 0).UnixNano(), 0) {
		t.Error("without a time of the source, the bound is the year 2100")
	}
}

var strict = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// FuzzTime holds RFC 3339 times against package time, and sees to it that
// nothing else breaks the readers.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2024-05-01T12:00:00Z", "2024-02-29T23:59:59.999999999+23:59", "1714564800.5",
		"Wed May  1 12:00:00 2024", "May  1 12:00:00", "01/May/2024:12:00:00 +0200", "2024-05-01 12:00:00 CEST"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ns, ok := Time([]byte(s), nil, 1714564800e9)
		Klog([]byte(s), nil, 1714564800e9)
		TimeOfDay([]byte(s))
		if !strict.MatchString(s) {
			return
		}
		want, err := time.Parse(time.RFC3339Nano, s)
		if year := strings.TrimLeft(s[:4], "0"); year < "1700" || len(year) < 4 || year > "2200" {
			return
		}
		if ok != (err == nil) || ok && ns != want.UnixNano() {
			t.Errorf("%q: got %d %v, want %v %v", s, ns, ok, want, err)
		}
	})
}
