package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// A soak is one run: the writers, the agent, and the destinations.
type soak struct {
	options
	began      time.Time
	journal    *journal
	places     destinations
	agent      *agent
	files      []*logFile
	containers *containers
	deleting   sync.Mutex   // held while files are deleted, and while the agent is being ended
	early      atomic.Bool  // files are deleted before all of them has arrived
	deletedAt  atomic.Int64 // when one last was so, in Unix nanoseconds
	lastLine   time.Time
	lastKill   time.Time // from when on the agent runs undisturbed
	deadBehind uint64    // lines that the destination which was dead lacked when it was back
	allThere   time.Time // zero if it never was
}

// destinations are where the agent ships to, and what tells what arrived.
type destinations interface {
	// urls gives the addresses of Loki and Elasticsearch.
	urls() (loki, elastic string)
	// disturb makes trouble of its own until ctx ends.
	disturb(ctx context.Context)
	// calm ends all trouble.
	calm()
	// arrived gives a number that grows as long as something arrives, and whether every
	// line has arrived everywhere.
	arrived(ctx context.Context, written []uint64) (progress uint64, all bool)
	// has tells whether a writer's lines have arrived everywhere.
	has(writer int, from, to uint64) bool
	// verify holds what arrived against what was written.
	verify(ctx context.Context, written []uint64) ([]finding, error)
	// faults tells what went wrong on purpose.
	faults() string
	close()
}

var errFound = errors.New("not every line is there exactly once")

func run(ctx context.Context, o options) error {
	dir := o.dir
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "longshore-soak-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	o.dir = dir
	fmt.Printf("soak: seed %d, %s, %d lines/s, %d kills, %d reloads, in %s\n", o.seed, o.duration, o.rate, o.kills,
		o.reloads, dir)
	err = o.soak(ctx)
	if err == nil && !o.keep {
		return os.RemoveAll(dir)
	}
	fmt.Println("kept in", dir)
	return err
}

func (o options) soak(ctx context.Context) error {
	s := &soak{options: o, began: time.Now()}
	if err := s.prepare(ctx); err != nil {
		s.clean()
		return err
	}
	defer s.clean()
	if err := s.trouble(ctx); err != nil {
		return err
	}
	if err := s.settleDown(ctx); err != nil {
		return err
	}
	s.places.calm()
	if err := s.agent.terminate(); err != nil {
		return err
	}
	findings, err := s.places.verify(ctx, s.written())
	if err != nil {
		return fmt.Errorf("asking what arrived: %w", err)
	}
	return s.report(findings)
}

func (s *soak) prepare(ctx context.Context) error {
	logs := filepath.Join(s.dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	var err error
	if s.journal, err = newJournal(s.dir, s.began); err != nil {
		return err
	}
	if s.places, err = s.openDestinations(); err != nil {
		return err
	}
	if s.containers, err = s.openContainers(ctx); err != nil {
		return err
	}
	rate := s.rate - s.containers.rate()
	for w := range s.options.files {
		s.files = append(s.files, newLogFile(w, logs, rate/s.options.files, s))
	}
	s.agent, err = newAgent(s)
	return err
}

// trouble writes lines, kills the agent and disturbs the destinations for as long as was asked for.
func (s *soak) trouble(ctx context.Context) error {
	if err := s.agent.start(); err != nil {
		return err
	}
	s.lastLine = time.Now().Add(s.duration)
	during, stop := context.WithDeadline(ctx, s.lastLine)
	defer stop()
	var all sync.WaitGroup
	errs := make([]error, len(s.files)+3)
	for i, f := range s.files {
		all.Go(func() { errs[i] = f.write(during) })
	}
	all.Go(func() { errs[len(s.files)] = s.killAgain(ctx); s.lastKill = time.Now() })
	all.Go(func() { errs[len(s.files)+1] = s.containers.run(ctx) })
	all.Go(func() { errs[len(s.files)+2] = s.reloadAgain(during) })
	all.Go(func() { s.places.disturb(during) })
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// killAgain kills the agent at random times, and starts it again at once or
// after a while in which files rotate.
func (s *soak) killAgain(ctx context.Context) error {
	random := rand.New(rand.NewPCG(s.seed, 2))
	between := s.duration / time.Duration(s.kills+1)
	began := time.Now()
	for k := range s.kills {
		at := began.Add(time.Duration((float64(k) + 0.2 + random.Float64()) * float64(between)))
		if late := time.Since(at); late > 0 { // an agent that was asked to end took its time
			began = began.Add(late)
			at = time.Now().Add(time.Duration(random.Int64N(int64(between))))
		}
		pause(ctx, time.Until(at))
		if ctx.Err() != nil {
			return nil
		}
		if err := s.killOnce(ctx, random); err != nil {
			return err
		}
		if random.IntN(5) > 0 {
			continue
		}
		pause(ctx, between/4)
		if err := s.stopOnce(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reloadAgain has the agent reload its config at random times, with other settings each time.
func (s *soak) reloadAgain(ctx context.Context) error {
	random := rand.New(rand.NewPCG(s.seed, 5))
	began, between := time.Now(), s.duration/time.Duration(s.reloads+1)
	for k := range s.reloads {
		pause(ctx, time.Until(began.Add(time.Duration((float64(k)+0.2+random.Float64())*float64(between)))))
		if ctx.Err() != nil {
			return nil
		}
		if err := s.reloadOnce(ctx, random); err != nil {
			return err
		}
	}
	return nil
}

// reloadOnce reloads once. Nothing is deleted meanwhile, as while the agent is started again; now
// and then it is killed on the way.
func (s *soak) reloadOnce(ctx context.Context, random *rand.Rand) error {
	s.deleting.Lock()
	defer s.deleting.Unlock()
	if !s.deletedIsSafe(ctx) {
		return nil
	}
	if err := s.agent.reload(ctx, random); err != nil {
		return err
	}
	if random.IntN(20) > 0 || time.Since(time.Unix(0, s.deletedAt.Load())) < settled {
		return s.agent.reloaded(ctx)
	}
	pause(ctx, time.Duration(random.Int64N(int64(time.Second))))
	if err := s.agent.kill(); err != nil {
		return err
	}
	return s.agent.start()
}

// stopOnce has the agent end in order, and starts it again.
func (s *soak) stopOnce(ctx context.Context) error {
	s.deleting.Lock()
	defer s.deleting.Unlock()
	if !s.deletedIsSafe(ctx) {
		return nil
	}
	if err := s.agent.terminate(); err != nil {
		return err
	}
	return s.agent.start()
}

// settled is how long after a file was deleted early nothing of it is left in memory alone. Until
// then SIGKILL loses what no agent could keep, and SIGTERM must not.
const settled = 15 * time.Second

func (s *soak) killOnce(ctx context.Context, random *rand.Rand) error {
	s.deleting.Lock()
	defer s.deleting.Unlock()
	if !s.deletedIsSafe(ctx) {
		return nil
	}
	end := s.agent.kill
	if time.Since(time.Unix(0, s.deletedAt.Load())) < settled {
		end = s.agent.terminate
	}
	if err := end(); err != nil {
		return err
	}
	switch random.IntN(5) {
	case 0, 1:
	case 2, 3:
		pause(ctx, time.Duration(random.Int64N(int64(time.Second))))
	default:
		for range 1 + random.IntN(3) {
			for _, f := range s.files {
				f.askRotation()
			}
			pause(ctx, time.Duration(random.Int64N(int64(time.Second))))
		}
	}
	return s.agent.start()
}

// deletedIsSafe waits until the agent has read what is deleted, or has it in its spool: until then
// a deleted file is nowhere but in the agent's hands, and goes with it.
func (s *soak) deletedIsSafe(ctx context.Context) bool {
	const patience = 20 * time.Second
	for began := time.Now(); time.Since(began) < patience && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		if !s.agent.holdsDeleted(filepath.Join(s.dir, "logs")) {
			return true
		}
	}
	s.journal.note("the agent still holds deleted files, and is not ended")
	return false
}

// settleDown waits until all has arrived, or nothing more does. Requests go on going wrong.
func (s *soak) settleDown(ctx context.Context) error {
	written := s.written()
	s.journal.note("all is written; waiting for the rest")
	last, since := uint64(0), time.Now()
	for time.Since(since) < s.settle {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.agent.alive(); err != nil {
			return err
		}
		progress, all := s.places.arrived(ctx, written)
		if all {
			s.journal.note("all is there")
			s.allThere = time.Now()
			pause(ctx, time.Second) // for what may come twice
			return nil
		}
		if progress != last {
			last, since = progress, time.Now()
		}
		pause(ctx, 250*time.Millisecond)
	}
	s.journal.note("nothing arrives any more")
	return nil
}

// written gives how many lines each writer has written.
func (s *soak) written() []uint64 {
	var n []uint64
	for _, f := range s.files {
		n = append(n, f.lines())
	}
	return append(n, s.containers.written()...)
}

func (s *soak) clean() {
	if s.agent != nil {
		s.agent.close()
	}
	if s.containers != nil {
		s.containers.close()
	}
	if s.places != nil {
		s.places.close()
	}
	if s.journal != nil {
		s.journal.close()
	}
}

func pause(ctx context.Context, span time.Duration) {
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
