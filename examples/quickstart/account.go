package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// restartAfter is when the agent is stopped and started again.
const restartAfter = 10 * time.Second

// shownLine is what is shown as it is logged and as it arrives.
const shownLine = "2026-05-01 12:00:00,120 ERROR [checkout] card declined for order 4711 " +
	"trace_id=4bf92f3577b34da6a3ce929d0e0e4736 password=hunter2"

// showLine shows a line and the record that the agent makes of it. Where that fails, there is more
// to see of it when the agent runs.
func showLine(agent []string, dir string) {
	if len(agent) == 0 {
		return
	}
	file := filepath.Join(dir, "one-line.log")
	if os.WriteFile(file, []byte(shownLine+"\n"), 0o600) != nil {
		return
	}
	say("A line, as it is logged:")
	fmt.Fprintln(os.Stderr, shownLine)
	say("and the record that arrives: its time, level and trace are fields, and the password is redacted:")
	cmd := exec.Command(agent[0], "try", file)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	_ = cmd.Run()
	say("Now the agent runs. Its page is at the address that it says.")
}

// count compares what was written with what has arrived.
func count(w io.Writer, dir string, told int64) error {
	arrived, once, err := arrivals(filepath.Join(dir, "arrived.jsonl"), filepath.Join(dir, "logs"))
	if err != nil {
		return fmt.Errorf("counting what has arrived: %w", err)
	}
	if int64(arrived) != told || once != arrived {
		return fmt.Errorf("%d entries were written; %d records have arrived, %d of them different", told, arrived, once)
	}
	_, err = fmt.Fprintf(w, "\n%d entries were written, and %d records have arrived, each once, over a restart.\n",
		told, arrived)
	return err
}

// arrivals returns how many records of a folder's files are in a file, and how many are different.
func arrivals(path, folder string) (all, different int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(lines.Text(), folder) {
			all++
			seen[lines.Text()] = true
		}
	}
	return all, len(seen), lines.Err()
}
