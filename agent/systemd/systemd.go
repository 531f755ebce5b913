// Package systemd tells the service manager that started the program how it is: that it has
// started, reloads, stops, what it does, and that it is alive (sd_notify(3)).
package systemd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// sendTime is how long a manager that does not read may hold up what tells it something.
	sendTime = time.Second
	// statusInterval is how often it is told the status, where it does not watch.
	statusInterval = 10 * time.Second
	// maxStatus bounds a status, in bytes; managers show it on one line.
	maxStatus = 250
	// closingTime is what an end may take beyond the time for delivering.
	closingTime = 15 * time.Second
)

// A Manager is who started the program and wants to be told. A nil one is nobody, and told nothing.
// It is safe for concurrent use.
type Manager struct {
	socket   string
	watchdog time.Duration // how often it must hear that the program is alive; 0 for never
	warn     func(error)

	mu       sync.Mutex
	stopping bool
	status   string // what it was told last
	failed   bool   // to tell it something
}

// Find returns the manager that the environment names; nil for none. It warns once when it begins
// not to be reached.
func Find(env func(string) (string, bool), warn func(error)) *Manager {
	socket, _ := env("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		warn(fmt.Errorf("NOTIFY_SOCKET is %q, which is neither a path nor an abstract socket (@name): the service "+
			"manager is told nothing", socket))
		return nil
	}
	return &Manager{socket: socket, watchdog: watchdog(env), warn: warn}
}

// watchdog returns how often the manager wants to hear of this process; 0 for never.
func watchdog(env func(string) (string, bool)) time.Duration {
	if pid, _ := env("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	text, _ := env("WATCHDOG_USEC")
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 || usec > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// Ready says that the program has started, or has reloaded.
func (m *Manager) Ready() { m.tell("READY=1") }

// Reloading says that the program reloads; Ready must follow.
func (m *Manager) Reloading() {
	if m != nil {
		m.tell("RELOADING=1", monotonic())
	}
}

// Stopping says that the program stops, and asks for the time that it may take: as long as it goes
// on delivering, and what it takes to close. Nothing but the status is told after it.
func (m *Manager) Stopping(delivering time.Duration) {
	if m == nil {
		return
	}
	m.tell("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (delivering+closingTime).Microseconds()))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopping = true
}

// Run looks at the program, as often as the manager wants to hear of it, and tells it the status
// and that the program is alive. Where look does not return, it is told nothing.
func (m *Manager) Run(ctx context.Context, look func() (status string)) {
	if m == nil {
		return
	}
	tick := time.NewTicker(cmp.Or(m.watchdog/3, statusInterval))
	defer tick.Stop()
	for {
		m.look(look)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *Manager) look(look func() (status string)) {
	var lines []string
	if status := oneLine(look()); m.isNews(status) {
		lines = append(lines, "STATUS="+status)
	}
	if m.watchdog > 0 {
		lines = append(lines, "WATCHDOG=1")
	}
	if len(lines) > 0 {
		m.send(lines)
	}
}

func (m *Manager) isNews(status string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := status != m.status
	m.status = status
	return news
}

// oneLine makes a status of any text: a second line would be an order to the manager.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "") + "…"
	}
	return text
}

// tell sends what changes the state, until the program stops.
func (m *Manager) tell(lines ...string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	stopping := m.stopping
	m.mu.Unlock()
	if !stopping {
		m.send(lines)
	}
}

// send opens the socket anew each time, since a manager that was restarted has another one.
func (m *Manager) send(lines []string) {
	err := sendTo(m.socket, strings.Join(lines, "\n"))
	m.mu.Lock()
	news := err != nil && !m.failed
	m.failed = err != nil
	m.mu.Unlock()
	if news {
		m.warn(fmt.Errorf("telling the service manager (NOTIFY_SOCKET): %w", err))
	}
}

func sendTo(socket, text string) error {
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(text))
	return err
}
