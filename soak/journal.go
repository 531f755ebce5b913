package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A journal notes what was done when, for whoever looks for the cause of a finding.
type journal struct {
	began time.Time
	mu    sync.Mutex
	file  *os.File
}

func newJournal(dir string, began time.Time) (*journal, error) {
	f, err := os.Create(filepath.Join(dir, "journal.txt"))
	return &journal{began: began, file: f}, err
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintf(j.file, "%s %8.3f %s\n", time.Now().UTC().Format("15:04:05.000"), time.Since(j.began).Seconds(),
		fmt.Sprintf(format, args...))
}

func (j *journal) close() { j.file.Close() }
