package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A conclusion is that a group rings or is resolved, as a line of the journal.
type conclusion struct {
	Time      time.Time         `json:"time"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Service   string            `json:"service,omitempty"`
	Alert     string            `json:"alert"`
	Status    string            `json:"status"`
	Key       string            `json:"key"`
	Count     int64             `json:"count"`
	Rate      float64           `json:"rate"` // records a minute
	Window    string            `json:"window"`
	Condition string            `json:"condition"`
	Usual     string            `json:"usual,omitempty"`
	Group     map[string]string `json:"group,omitempty"`
	Sample    string            `json:"sample,omitempty"`
	Since     time.Time         `json:"since"`           // when it began to ring
	Until     *time.Time        `json:"until,omitempty"` // rings again before, or has ended
	Link      string            `json:"link,omitempty"`
	// Bucket is the end of the one that it was concluded at.
	Bucket time.Time `json:"bucket"`
}

// textNames are what a text may name, beside the names of by.
var textNames = []string{"alert", "status", "level", "count", "rate", "window", "condition", "usual", "group", "sample"}

// untilMargin is for how much longer than until the next time an alert rings for destinations that
// ask for an end.
const untilMargin = 10 * time.Minute

// withoutRepeat is how long an alert may go on that does not ring again.
const withoutRepeat = 30 * 24 * time.Hour

// conclude notes what rings. The caller holds mu.
func (e *engine) conclude(r *rule, key string, g *group, k int64, status string, f finding, now time.Time) {
	g.decided = k
	at := time.Unix(0, r.end(k)).UTC()
	c := conclusion{
		Time: at, Level: r.alert.Level, Alert: r.name, Status: status, Key: fixedKey(e.host, r.name, key),
		Count: f.count, Rate: perMinute(float64(f.count), r), Window: short(time.Duration(r.alert.Window)),
		Condition: r.condition(f), Group: r.valuesOf(key), Sample: g.sample, Since: time.Unix(0, r.end(g.fired)).UTC(),
		Bucket: at,
	}
	if e.live && at.After(now) {
		c.Time = now.UTC()
	}
	if status == firing {
		until := c.Time.Add(withoutRepeat)
		if r.alert.Repeat > 0 {
			until = c.Time.Add(time.Duration(r.alert.Repeat) + untilMargin)
		}
		c.Until = &until
	}
	if r.learns() && f.usual.spread > 0 {
		c.Usual = usualText(f.usual, r)
	}
	c.Service = c.Group[event.LabelService]
	c.Link = e.link(&c, r)
	c.Message = c.text(r)
	e.outbox = append(e.outbox, c)
}

// perMinute returns a number of records of a window as one of a minute, rounded to be read.
func perMinute(n float64, r *rule) float64 {
	return rounded(n/time.Duration(r.alert.Window).Minutes(), 3)
}

// rounded rounds to some digits, but not before the point.
func rounded(n float64, digits float64) float64 {
	scale := math.Pow(10, max(0, digits-1-math.Floor(math.Log10(max(n, 1)))))
	return math.Round(n*scale) / scale
}

// usualText returns what is usual, as records a minute: "2±1".
func usualText(u usual, r *rule) string {
	return number(perMinute(u.median, r)) + "±" + number(rounded(perMinute(u.spread, r), 2))
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// condition says what makes it ring, in words.
func (r *rule) condition(f finding) string {
	switch {
	case r.learns() && f.usual.spread > 0:
		return "usually " + usualText(f.usual, r) + "/min"
	case r.learns():
		return "as usual"
	case r.alert.Below > 0:
		return "fewer than " + strconv.Itoa(r.alert.Below)
	}
	return "at least " + strconv.Itoa(r.alert.AtLeast)
}

// text returns the message.
func (c *conclusion) text(r *rule) string {
	if len(r.text) > 0 {
		var text strings.Builder
		for _, part := range r.text {
			text.WriteString(part.Text + c.named(part.Field))
		}
		return text.String()
	}
	what := fmt.Sprintf("%s in %s, %s", pipeline.Count(int(c.Count), "record"), c.Window, c.Condition)
	if c.Usual != "" {
		what = fmt.Sprintf("%s/min, usually %s", number(c.Rate), c.Usual)
	}
	if r.alert.Below == 1 && c.Status == firing {
		what = "no record in " + c.Window
	}
	if c.Status == resolved {
		what = "over after " + short(c.Bucket.Sub(c.Since)) + ": " + what
	}
	if group := c.named("group"); group != "" {
		what += " (" + group + ")"
	}
	return c.Alert + ": " + what
}

// named returns what a text has for a name; "" for none.
func (c *conclusion) named(name string) string {
	switch name {
	case "alert":
		return c.Alert
	case "status":
		return c.Status
	case "level":
		return c.Level
	case "count":
		return strconv.FormatInt(c.Count, 10)
	case "rate":
		return number(c.Rate)
	case "window":
		return c.Window
	case "condition":
		return c.Condition
	case "usual":
		return c.Usual
	case "sample":
		return c.Sample
	case "group":
		var values []string
		for _, by := range slices.Sorted(maps.Keys(c.Group)) {
			values = append(values, by+"="+c.Group[by])
		}
		return strings.Join(values, ", ")
	}
	return c.Group[name]
}

// short writes a duration without what is zero: 5m, 1h30m.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// filters are the filters of the page by what is grouped by.
var filters = map[string]string{
	event.LabelService: "service", event.LabelContainerName: "container", event.LabelFile: "source", "level": "level",
	"trace_id": "trace",
}

// link returns the page's view of the window, and of what came after; "" where it is not known
// where the page is.
func (e *engine) link(c *conclusion, r *rule) string {
	if e.page == "" {
		return ""
	}
	view := url.Values{}
	view.Set("since", c.Since.Add(-time.Duration(r.alert.Window)).Format(time.RFC3339))
	view.Set("until", c.Bucket.Format(time.RFC3339))
	for by, value := range c.Group {
		if filter := filters[by]; filter != "" && value != "" {
			view.Set(filter, value)
		}
	}
	return e.page + "/#/logs?" + view.Encode()
}

// line returns the conclusion as a line of the journal.
func (c *conclusion) line() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // what is in links
	err := encoder.Encode(c)
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), err
}
