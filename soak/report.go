package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// shown is how many stretches of a finding are printed; all are in a file.
const shown = 5

// report prints what was done and found. It is an error unless every line is there exactly once.
func (s *soak) report(findings []finding) error {
	written, turns, early := uint64(0), 0, 0
	for _, n := range s.written() {
		written += n
	}
	for _, f := range s.files {
		turns += f.turns
		early += f.early
	}
	fmt.Printf("\n%-14s %d lines, to %d files (%d rotations)%s\n", "written", written, len(s.files), turns,
		s.containers)
	fmt.Printf("%-14s %d rotated files before all of them had arrived\n", "deleted", early)
	right := true
	for i := range findings {
		right = findings[i].Right() && right
		if err := s.show(&findings[i]); err != nil {
			return err
		}
	}
	if !s.allThere.IsZero() {
		last, what := s.lastLine, "line"
		if s.lastKill.After(last) {
			last, what = s.lastKill, "kill, which came after the last line"
		}
		fmt.Printf("%-14s all was there %s after the last %s\n", "caught up",
			s.allThere.Sub(last).Round(100*time.Millisecond), what)
	}
	if s.deadBehind > 0 {
		fmt.Printf("%-14s Elasticsearch lacked %d lines that Loki had when it was back\n", "dead output", s.deadBehind)
	}
	refused := s.letters()
	if refused > 0 {
		fmt.Printf("%-14s %d records, see data/dead-letters\n", "refused", refused)
	}
	fmt.Printf("%-14s %d SIGKILL, %d SIGTERM\n", "kills", s.agent.kills, s.agent.terms)
	if s.agent.asked > 0 {
		fmt.Printf("%-14s %d asked for, %d done\n", "reloads", s.agent.asked, s.agent.said(reloadedMark))
	}
	fmt.Printf("%-14s %s\n", "faults", s.places.faults())
	fmt.Printf("%-14s %.1f CPU s (%.2f per million lines), %.1f MiB at most\n", "agent", s.agent.cpu.Seconds(),
		s.agent.cpu.Seconds()/float64(written)*1e6, float64(s.agent.peak)/(1<<20))
	fmt.Printf("%-14s %s\n", "took", time.Since(s.began).Round(time.Second))
	if !right || refused > 0 {
		return errFound
	}
	return nil
}

func (s *soak) show(f *finding) error {
	fmt.Printf("%-14s %d delivered, %d missing, %d repeated\n", f.name, f.Delivered, f.Missing, f.Repeated)
	if f.Right() {
		return nil
	}
	if f.Foreign+f.Damaged+f.Colliding > 0 {
		fmt.Printf("%-14s %d that nobody wrote, %d damaged, %d with the identity of another\n", "", f.Foreign,
			f.Damaged, f.Colliding)
	}
	if f.Example != "" {
		fmt.Printf("%-14s such as: %s\n", "", f.Example)
	}
	var all bytes.Buffer
	for i, w := range f.Wrong {
		fmt.Fprintln(&all, w)
		if i < shown {
			fmt.Printf("%-14s %s\n", "", w)
		}
	}
	path := filepath.Join(s.dir, f.name+"-wrong.txt")
	fmt.Printf("%-14s %d stretches, see %s\n", "", len(f.Wrong), path)
	return os.WriteFile(path, all.Bytes(), 0o644)
}

// letters counts the agent's dead letters: nothing that is written here deserves to be refused.
func (s *soak) letters() (n int) {
	paths, _ := filepath.Glob(filepath.Join(s.dir, "data", "dead-letters", "*"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil {
			n += bytes.Count(text, []byte{'\n'})
		}
	}
	return n
}
