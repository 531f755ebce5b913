package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// TestJournal has the real systemd-journald write a journal, which rotates and is vacuumed, while
// the agent is killed again and again. What journalctl says is there must have come, once.
func TestJournal(t *testing.T) {
	j := server.Journald(t)
	loki, when := server.LokiImitation(t), around()
	a := newAgent(t, fmt.Sprintf("inputs: {journal: {type: journald, paths: [%q], identifiers: [e2e]}}\n"+
		"outputs: {loki: {type: loki, url: %q, labels: {job: e2e}}}\n", j.Folder, loki.URL))
	a.start()
	conn, err := net.Dial("unixgram", j.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const count, kills = 20_000, 8
	for i := range count {
		message := fmt.Sprintf("number %06d", i)
		switch i % 4 {
		case 1:
			message += "\nand a second line"
		case 2:
			message += " " + strings.Repeat("long ", 300)
		case 3:
			message += " \x01\xff"
		}
		entry := fmt.Sprintf("PRIORITY=4\nSYSLOG_IDENTIFIER=e2e\nORDER=%d\nMESSAGE\n", i%7)
		p := append([]byte(entry), byte(len(message)), byte(len(message)>>8), 0, 0, 0, 0, 0, 0)
		if _, err := conn.Write(append(append(p, message...), '\n')); err != nil {
			t.Fatal(err)
		}
		if i%(count/kills) == count/kills-1 {
			j.Rotate()
			if i%2 == 1 {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			}
			a.kill()
			a.start()
		}
	}
	said := journalSays(t, j.Folder)
	if len(said) != count {
		t.Fatalf("journalctl knows %d entries of %d", len(said), count)
	}
	inLoki(t, query.Loki{URL: loki.URL}, ofTheJournal, when, count)
	a.stop()
	got := stored(t, query.Loki{URL: loki.URL, Page: 1000}, when)
	for message := range said {
		if got[message] != 1 {
			t.Errorf("%.40q came %d times", message, got[message])
		}
	}
	if len(got) != count {
		t.Errorf("%d messages came", len(got))
	}
}

// ofTheJournal selects the streams of what the test has said.
const ofTheJournal = `{job="e2e"}`

// journalSays returns the messages that journalctl shows, as text.
func journalSays(t *testing.T, folder string) map[string]bool {
	t.Helper()
	text, err := exec.Command("journalctl", "-D", folder, "-o", "json", "--all", "-t", "e2e", "--no-pager").Output()
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var r struct{ Message json.RawMessage }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		var message string
		if json.Unmarshal(r.Message, &message) != nil {
			var raw []int // it has bytes that are no text
			if err := json.Unmarshal(r.Message, &raw); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(raw))
			for i, c := range raw {
				p[i] = byte(c)
			}
			message = string([]rune(string(p)))
		}
		said[message] = true
	}
	return said
}

// stored returns how often each message is in Loki. What journald knew of it must be there, too.
func stored(t *testing.T, loki query.Loki, when span) map[string]int {
	t.Helper()
	entries, err := loki.Entries(t.Context(), ofTheJournal, when.from, when.to)
	if err != nil {
		t.Fatal(err)
	}
	n, err := loki.Count(t.Context(), ofTheJournal, when.from, when.to)
	if err != nil || n != len(entries) {
		t.Errorf("Loki shows %d entries and counts %d: %v", len(entries), n, err)
	}
	got := map[string]int{}
	for _, e := range entries {
		var r struct{ Level, Message, Identifier, Order string }
		if err := json.Unmarshal([]byte(e.Line), &r); err != nil || r.Identifier != "e2e" || r.Order == "" {
			t.Fatalf("%.300s: %v", e.Line, err)
		}
		got[r.Message]++
	}
	return got
}
