package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// manager is a service manager's end of the socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenAt(t *testing.T, address string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}
}

// hears wants the next message; times in it are written as N.
func (m *manager) hears(want string) {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := m.conn.Read(buffer)
	if err != nil {
		m.t.Fatal(err)
	}
	got := regexp.MustCompile(`USEC=\d+`).ReplaceAllString(string(buffer[:n]), "USEC=N")
	if got != want {
		m.t.Errorf("the manager hears %q, want %q", got, want)
	}
}

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if key, value, _ := strings.Cut(p, "="); key == name {
				return value, true
			}
		}
		return "", false
	}
}

func noWarning(t *testing.T) func(error) {
	return func(err error) { t.Errorf("it warns: %v", err) }
}

func TestManagerIsTold(t *testing.T) {
	addresses := map[string]string{"path": filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		addresses["abstract"] = fmt.Sprintf("@longshore-test-%d", os.Getpid())
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			heard := listenAt(t, address)
			m := Find(environment("NOTIFY_SOCKET="+address, "WATCHDOG_USEC=60000000"), noWarning(t))
			m.Ready()
			heard.hears("READY=1")
			m.look(func() string { return "3 records delivered" })
			heard.hears("STATUS=3 records delivered\nWATCHDOG=1")
			m.look(func() string { return "3 records delivered" })
			heard.hears("WATCHDOG=1")
			m.look(func() string { return "the ledger\nMAINPID=1\x00 cannot be written" })
			heard.hears("STATUS=the ledger MAINPID=1  cannot be written\nWATCHDOG=1")
			m.Reloading()
			heard.hears("RELOADING=1\nMONOTONIC_USEC=N")
			m.Ready()
			heard.hears("READY=1")
			m.Stopping(30 * time.Second)
			heard.hears("STOPPING=1\nEXTEND_TIMEOUT_USEC=N")
			m.Ready() // of a reload that the stop has overtaken
			m.look(func() string { return "2 pending" })
			heard.hears("STATUS=2 pending\nWATCHDOG=1")
		})
	}
}

// TestNobodyIsTold: without a manager nothing happens, nor where its address makes no sense.
func TestNobodyIsTold(t *testing.T) {
	for _, socket := range []string{"", "vsock:2:1234", "relative/path"} {
		warned := 0
		m := Find(environment("NOTIFY_SOCKET="+socket), func(error) { warned++ })
		m.Ready()
		m.Reloading()
		m.Stopping(time.Second)
		m.Run(t.Context(), func() string {
			t.Error("somebody looks")
			return ""
		})
		if m != nil || (warned > 0) != (socket != "") {
			t.Errorf("NOTIFY_SOCKET=%s: %v, %d warnings", socket, m, warned)
		}
	}
}

// TestUnreachableManager: one that is gone costs one warning, and is told again when it is back.
func TestUnreachableManager(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	var warnings []error
	m := Find(environment("NOTIFY_SOCKET="+address), func(err error) { warnings = append(warnings, err) })
	m.Ready()
	m.Reloading()
	if len(warnings) != 1 || !errors.Is(warnings[0], os.ErrNotExist) {
		t.Errorf("it warns %q", warnings)
	}
	heard := listenAt(t, address)
	m.Ready()
	heard.hears("READY=1")
}

// TestUnreadManager: one that reads nothing holds up nobody for long.
func TestUnreadManager(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	listenAt(t, address)
	warned := make(chan error, 1)
	m := Find(environment("NOTIFY_SOCKET="+address), func(err error) { warned <- err })
	for {
		m.Ready()
		select {
		case err := <-warned:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it warns %v", err)
			}
			return
		default:
		}
	}
}

func TestWatchdogTime(t *testing.T) {
	own := fmt.Sprint("WATCHDOG_PID=", os.Getpid())
	for _, c := range []struct {
		env  []string
		want time.Duration
	}{
		{nil, 0},
		{[]string{"WATCHDOG_USEC=1500000"}, 1500 * time.Millisecond},
		{[]string{"WATCHDOG_USEC=1500000", own}, 1500 * time.Millisecond},
		{[]string{"WATCHDOG_USEC=1500000", "WATCHDOG_PID=1"}, 0}, // another process is watched
		{[]string{"WATCHDOG_USEC=0"}, 0},
		{[]string{"WATCHDOG_USEC=-5"}, 0},
		{[]string{"WATCHDOG_USEC=often"}, 0},
		{[]string{"WATCHDOG_USEC=18446744073709551615"}, 0}, // "infinity"
		{[]string{"WATCHDOG_USEC=9223372036854775807"}, 0},
	} {
		if got := watchdog(environment(c.env...)); got != c.want {
			t.Errorf("%q: %v, want %v", c.env, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got := oneLine(strings.Repeat("ü", maxStatus)); len(got) > maxStatus+len("…") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long status becomes %q", got)
	}
	if got := oneLine("a\xffb"); got != "a?b" {
		t.Errorf("bytes that are no text become %q", got)
	}
}
