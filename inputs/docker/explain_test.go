package docker

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func explainIn(t *testing.T, e *fakeEngine, config Config, name string) pipeline.Explanation {
	t.Helper()
	t.Setenv("DOCKER_HOST", "")
	made, err := config.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*Input)
	in.dial = e.dial
	got, err := in.Explain(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestExplain(t *testing.T) {
	e := newFakeEngine(t)
	ids := map[string]string{} // by name
	add := func(c fakeContainer) {
		c.State = "running"
		ids[c.Name] = e.add(&c).ID
	}
	add(fakeContainer{ID: "web", Name: "web-1", Image: "nginx:1", Labels: map[string]string{
		pipeline.OptionParser: "json"}, Log: []message{out(1, "one\n"), err(2, "two\n"), out(3, "three\n")}})
	add(fakeContainer{ID: "off", Name: "off", Labels: map[string]string{labelEnable: "false"}})
	add(fakeContainer{ID: "loki", Name: "loki", Image: "grafana/loki:3"})
	add(fakeContainer{ID: "tty", Name: "tty", TTY: true, Log: []message{out(1, "one\n")}})
	add(fakeContainer{ID: "mute", Name: "mute", Driver: "none"})
	for _, test := range []struct {
		config    Config
		name      string
		taken     bool
		why, from string
	}{
		{Config{}, "web-1", true, "all containers are followed that nothing excludes", "API"},
		{Config{Mode: modeAPI}, "/" + ids["web-1"], true, "all containers", "as mode is api"},
		{Config{Include: Match{Names: []string{"web-*"}}}, "web-1", true, "include matches it", "API"},
		{Config{Include: Match{Names: []string{"db"}}}, "web-1", false, "include does not match it", ""},
		{Config{Exclude: Match{Images: []string{"nginx"}}}, "web-1", false, "exclude matches it", ""},
		{Config{}, "off", false, "it is labelled longshore.enable=false", ""},
		{Config{}, "loki", false, "it stores or shows logs", ""},
		{Config{}, "gone", false, "there is no container of that name", ""},
		{Config{}, "../images", false, "this is no name of a container", ""},
		{Config{}, "tty", true, "all containers", "API"},
		{Config{}, "mute", false, "its logging driver, none, keeps nothing that can be read", ""},
	} {
		got := explainIn(t, e, test.config, cmp.Or(ids[test.name], test.name))
		if got.Taken != test.taken || !strings.Contains(got.Why, test.why) || !strings.Contains(got.ReadFrom,
			test.from) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	got := explainIn(t, e, Config{}, ids["web-1"])
	if got.Is != "container web-1 of the image nginx:1" || len(got.Sources) != 2 {
		t.Fatalf("%+v", got)
	}
	stdout, stderr := got.Sources[0], got.Sources[1]
	if stdout.Key != ids["web-1"]+"/stdout" || !slices.Equal(stdout.Lines, []string{"one", "three"}) ||
		!slices.Equal(stderr.Lines, []string{"two"}) {
		t.Errorf("the sources are %+v", got.Sources)
	}
	if !slices.Contains(stdout.Labels, event.Label{Name: pipeline.OptionParser, Value: "json"}) {
		t.Errorf("the labels are %v", stdout.Labels)
	}
	if got := stdout.Position(1e9); got != "what was logged before 1970-01-01T00:00:01Z" {
		t.Errorf("a position is %q", got)
	}
	if got := explainIn(t, e, Config{}, ids["tty"]); len(got.Sources) != 1 || !slices.Equal(got.Sources[0].Lines,
		[]string{"one"}) {
		t.Errorf("of a terminal: %+v", got.Sources)
	}
}

func FuzzDemultiplex(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03abc\x02\x00\x00\x00\xff\xff\xff\xffd"))
	f.Fuzz(func(t *testing.T, log []byte) {
		text := demultiplex(log)
		if len(text[0])+len(text[1]) > len(log) {
			t.Error("more comes out than went in")
		}
	})
}
