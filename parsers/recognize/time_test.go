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
		{"2024-05-01 12:00:00 CET", berlin, "2024-05-01T11:00:00Z"},
		{"2024-05-01 12:00:00 CEST", nil, "2024-05-01T10:00:00Z"},
		{"2024-05-01 12:00:00 XYZT", nil, ""},
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

// TestLayouts reads one instant as it is written in many ways.
func TestLayouts(t *testing.T) {
	const instant = "2024-05-11T13:04:05Z"
	near := time.Date(2024, 5, 11, 14, 0, 0, 0, time.UTC).UnixNano()
	for _, text := range []string{
		"2024-05-11 13:04:05", "2024-05-11_13:04:05", "2024-05-11-13:04:05", "2024-05-11:13:04:05",
		"2024-05-11-13.04.05", "2024/05/11-13:04:05", "2024.05.11 13:04:05",
		"2024-05-11 01:04:05 PM", "2024-05-11 1:04:05 PM", "2024-05-11  1:04:05 pm", "2024-05-11T13:04:05+00",
		"2024-05-11 13:04:05 +00:00", "2024-05-11 13:04:05 GMT", "2024-05-11 13:04:05UTC",
		"2024-05-11 15:04:05 UTC+02:00", "2024-05-11 15:04:05 +02",
		"11/May/2024:13:04:05 +0000", "11/May/2024:13:04:05", "11/May/2024 13:04:05", "11/May/2024:15:04:05 CEST",
		"Sat, 11 May 2024 13:04:05 GMT", "Sat, 11 May 2024 15:04:05 +0200", "Sat, 11 May 2024 09:04:05 EDT",
		"Sat May 11 13:04:05 2024", "Sat May 11 13:04:05 UTC 2024", "Sat May 11 09:04:05 EDT 2024",
		"Sat May 11 09:04:05 2024 -04:00", "Sat May 11 09:04:05 2024 -0400", "Sat May 11 09:04:05 2024 EDT",
		"Sat May 11 2024 15:04:05 GMT+0200", "Sat May 11 13:04:05", "Sat 11 May 2024 13:04:05",
		"Sat 11 May 2024 09:04:05 AM EDT",
		"11 May 2024 13:04:05", "11 May 2024, 13:04:05", "11 May 13:04:05", "11-May-2024 13:04:05",
		"11-May-2024::13:04:05", "11-May-2024 15:04:05 CEST", "11-May-2024 01:04:05 PM",
		"May 11, 2024 1:04:05 PM", "May 11, 2024, 1:04:05 PM", "May 11, 2024 1:04:05 PM UTC",
		"May 11, 2024 9:04:05 AM EDT", "May 11, 2024 13:04:05",
		"2024 May 11 13:04:05", "2024 May 11 13:04:05 UTC",
		"May 11 13:04:05", "May 11 2024 13:04:05", "May 11 13:04:05 2024", "May 11 13:04:05 UTC",
		"5/11/2024, 1:04:05 PM", "5/11/2024 1:04:05 PM", "05/11/2024 13:04:05", "11/05/2024 13:04:05",
		"05/11/2024-13:04:05", "11-05-2024 13:04:05", "11.05.2024 13:04:05", "11.05.2024, 13:04:05",
		"24/05/11 13:04:05", "11/05/24 13:04:05", "5/11/24 13:04:05", "5/11/24 13:04:05 UTC", "05/11/24 9:04:05 EDT",
		"05/11 13:04:05", "05/11-13:04:05", "05-11 13:04:05",
		"2024-132T13:04:05Z", "2024-132T15:04:05+02:00", "2024:132:13:04:05", "11. Mai 2024 13:04:05",
		"11 mai 2024 13:04:05", "11/Mai/2024:13:04:05", "11-mei-2024 13:04:05", "mai 11, 2024 1:04:05 PM",
		"may 11 13:04:05", "maio 11 2024 13:04:05", "sam. 11 mai 2024 13:04:05", "Sa 11. Mai 15:04:05 CEST 2024",
		"sáb 11 may 2024 13:04:05", "MAJ 11 2024 13:04:05",
		"20240511T130405Z", "20240511 13:04:05", "20240511-13:04:05", "240511 13:04:05", "240511 130405 ",
		"20240511130405", "1715432645", "1715432645000",
	} {
		ns, ok := Time([]byte(text), nil, near)
		if text == "240511 130405 " {
			ns, _, ok = Layout([]byte(text+"x"), nil, near)
		}
		if got := time.Unix(0, ns).UTC().Format(time.RFC3339Nano); !ok || got != instant {
			t.Errorf("%q: got %s, %v", text, got, ok)
		}
	}
	const within = "2024-05-11T13:04:05.607Z"
	for _, text := range []string{
		"2024-05-11 13:04:05.607", "2024-05-11 13:04:05,607", "2024-05-11 13:04:05:607", "2024-05-11_13:04:05.60700",
		"2024-05-11-13.04.05.607000", "20240511-13:04:05:607", "5/11/24 13:04:05:607 UTC", "20240511130405607",
		"Sat May 11 13:04:05.607000 2024", "11 May 13:04:05.607", "11-May-2024 13:04:05.607",
		"05/11/2024-13:04:05.607000", "05/11-13:04:05.607000", "1715432645.607", "1715432645607000",
	} {
		ns, ok := Time([]byte(text), nil, near)
		if got := time.Unix(0, ns).UTC().Format(time.RFC3339Nano); !ok || got != within {
			t.Errorf("%q: got %s, %v", text, got, ok)
		}
	}
}

// TestMonths reads the whole names of months.
func TestMonths(t *testing.T) {
	for month := time.January; month <= time.December; month++ {
		at := time.Date(2019, month, 11, 13, 15, 40, 0, time.UTC)
		for _, layout := range []string{"January 2, 2006 15:04:05", "January 02, 2006, 3:04:05 PM",
			"January 2 2006 15:04:05", "02 Jan 2006 15:04:05", "2006 Jan  2 15:04:05"} {
			text := at.Format(layout)
			if ns, ok := Time([]byte(text), nil, 0); !ok || ns != at.UnixNano() {
				t.Errorf("%q: got %v, %v", text, time.Unix(0, ns).UTC(), ok)
			}
		}
	}
}

// TestNoTimes is about what only looks like a time.
func TestNoTimes(t *testing.T) {
	near := time.Date(2024, 5, 11, 14, 0, 0, 0, time.UTC).UnixNano()
	for _, text := range []string{
		"2024-05-11 13:64:05", "2024-05-11-13.04", "2024-05-11 13:04:05 PMS", "2024-05-11 13:04:05 AST cache",
		"32/May/2024:13:04:05", "11/Mia/2024:13:04:05", "mai 11 2024", "set 11 13:04:05", "2024-366 13:04",
		"On 11 May 2024 13:04:05", "2023-366T13:04:05", "2024-000T13:04:05",
		"13/32/2024 13:04:05", "05/11/2024 13:04", "05-11-24 13:04:05",
		"20241311130405", "202405111304", "20240511", "99999999999", "77777777777777", "99999999999999999",
		"10.0.0.1 13:04:05", "1/2 13:04", "May 11", "May 11 2024", "Sat 11", "11-22-33 44:55:66",
	} {
		if ns, ok := Time([]byte(text), nil, near); ok && Believable(ns, 0) {
			t.Errorf("%q is taken for %v", text, time.Unix(0, ns).UTC())
		}
	}
}

// TestOrderOfDates is about dates of which only the source's time tells the order.
func TestOrderOfDates(t *testing.T) {
	tests := []struct{ text, near, want string }{
		{"05/04/2024 12:00:00", "2024-05-04", "2024-05-04"},
		{"05/04/2024 12:00:00", "2024-04-05", "2024-04-05"},
		{"05/04/2024 12:00:00", "2024-11-01", "2024-05-04"}, // the month first, as most write
		{"05-04-2024 12:00:00", "2024-11-01", "2024-04-05"}, // the day first, as most write
		{"05/04/03 12:00:00", "2003-05-04", "2003-05-04"},
		{"05/04/03 12:00:00", "2003-04-05", "2003-04-05"},
		{"05/04/03 12:00:00", "2005-04-03", "2005-04-03"},
		{"18/05/26 12:00:00", "2026-06-01", "2026-05-18"},
		{"18/05/26 12:00:00", "2018-06-01", "2018-05-26"},
	}
	for _, test := range tests {
		near, err := time.Parse(time.DateOnly, test.near)
		if err != nil {
			t.Fatal(err)
		}
		ns, ok := Time([]byte(test.text), nil, near.UnixNano())
		if got := time.Unix(0, ns).UTC().Format(time.DateOnly); !ok || got != test.want {
			t.Errorf("%q near %s: got %s, %v, want %s", test.text, test.near, got, ok, test.want)
		}
	}
	if _, ok := Time([]byte("05/04/03 12:00:00"), nil, 0); ok {
		t.Error("without a time near it, nobody knows the order of 05/04/03")
	}
}

// TestMissingYear: a year that is missing brings the time nearest to the source's, and not a day
// after it.
func TestMissingYear(t *testing.T) {
	tests := []struct{ text, near, want string }{
		{"Dec 31 23:59:59", "2024-01-01T00:00:05Z", "2023-12-31T23:59:59Z"},
		{"Jan  1 00:00:01", "2023-12-31T23:59:59Z", "2024-01-01T00:00:01Z"},
		{"May  4 12:24:48", "2026-11-29T01:00:00Z", "2026-05-04T12:24:48Z"},
		{"May  4 12:24:48", "2026-05-03T12:24:47Z", "2025-05-04T12:24:48Z"},
		{"May  4 12:24:48", "2026-05-03T12:24:48Z", "2026-05-04T12:24:48Z"},
		{"Feb 29 12:00:00", "2026-05-01T00:00:00Z", "2024-02-29T12:00:00Z"},
		{"Feb 29 12:00:00", "2103-05-01T00:00:00Z", "2096-02-29T12:00:00Z"},
	}
	for _, test := range tests {
		near, err := time.Parse(time.RFC3339, test.near)
		if err != nil {
			t.Fatal(err)
		}
		ns, ok := Time([]byte(test.text), nil, near.UnixNano())
		if got := time.Unix(0, ns).UTC().Format(time.RFC3339); !ok || got != test.want {
			t.Errorf("%q near %s: got %s, %v, want %s", test.text, test.near, got, ok, test.want)
		}
	}
}

// TestZoneRule: a name that several zones have is that of the configured zone if it is called so,
// and otherwise the one that most people mean.
func TestZoneRule(t *testing.T) {
	tests := []struct{ text, zone, want string }{
		{"2024-05-11 12:00:00 IST", "", "06:30"},
		{"2024-05-11 12:00:00 IST", "Asia/Kolkata", "06:30"},
		{"2024-05-11 12:00:00 IST", "Asia/Jerusalem", "10:00"},
		{"2024-05-11 12:00:00 IST", "Europe/Dublin", "11:00"},
		{"2024-05-11 12:00:00 IST", "America/New_York", "06:30"},
		{"2024-05-11 12:00:00 CST", "", "18:00"},
		{"2024-05-11 12:00:00 CST", "America/Chicago", "18:00"},
		{"2024-05-11 12:00:00 CST", "Asia/Shanghai", "04:00"},
		{"2024-05-11 12:00:00 CDT", "America/Havana", "16:00"},
		{"2024-05-11 12:00:00 BST", "", "11:00"},
		{"2024-05-11 12:00:00 EST", "Australia/Sydney", "17:00"},
	}
	for _, test := range tests {
		zone, err := LoadZone(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		ns, ok := Time([]byte(test.text), zone, 0)
		if got := time.Unix(0, ns).UTC().Format("15:04"); !ok || got != test.want {
			t.Errorf("%q in %q: got %s, %v, want %s", test.text, test.zone, got, ok, test.want)
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
