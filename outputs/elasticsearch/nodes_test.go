package elasticsearch

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// someNodes returns nodes named a, b, c …, and what asks n times and tells whom.
func someNodes(t *testing.T, names string) (*nodes, map[string]*elastictransport.Connection, func(n int) string) {
	t.Helper()
	conns := map[string]*elastictransport.Connection{}
	var all []*elastictransport.Connection
	for _, name := range strings.Split(names, "") {
		conns[name] = &elastictransport.Connection{URL: &url.URL{Host: name}}
		all = append(all, conns[name])
	}
	n := newNodes(all)
	return n, conns, func(times int) string {
		t.Helper()
		var asked strings.Builder
		for range times {
			c, err := n.Next()
			if err != nil {
				t.Fatal(err)
			}
			asked.WriteString(c.URL.Host)
		}
		return asked.String()
	}
}

func TestNodesInTurn(t *testing.T) {
	t.Parallel()
	_, _, ask := someNodes(t, "abc")
	if got := ask(7); got != "abcabca" {
		t.Errorf("asked %s", got)
	}
}

func TestNodeDownBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, conns, ask := someNodes(t, "abc")
		_ = n.OnFailure(conns["b"])
		if got := ask(4); strings.Contains(got, "b") {
			t.Errorf("right after its failure: asked %s", got)
		}
		time.Sleep(initialBackoff)
		if got := ask(9); strings.Count(got, "b") != 1 {
			t.Errorf("it is tried with one request, but asked %s", got)
		}
		_ = n.OnFailure(conns["b"])
		time.Sleep(initialBackoff)
		if got := ask(6); strings.Contains(got, "b") {
			t.Errorf("after its second failure it rests longer, but asked %s", got)
		}
		time.Sleep(initialBackoff)
		_ = ask(3)
		_ = n.OnSuccess(conns["b"])
		if got := ask(6); strings.Count(got, "b") != 2 {
			t.Errorf("it is well again, but asked %s", got)
		}
	})
}

func TestAllNodesDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, _, ask := someNodes(t, "ab")
		for range 100 {
			n.MarkFailed("a")
		}
		n.MarkFailed("b")
		if got := ask(1); got != "b" {
			t.Errorf("asked %s, not the one that may be well soonest", got)
		}
		time.Sleep(maxBackoff)
		got := strings.Split(ask(2), "")
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("after the longest rest: asked %v", got)
		}
	})
}

func TestOneNodeIsAlwaysAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, conns, ask := someNodes(t, "a")
		for range 5 {
			_ = n.OnFailure(conns["a"])
			if got := ask(2); got != "aa" {
				t.Errorf("asked %s", got)
			}
		}
	})
}
