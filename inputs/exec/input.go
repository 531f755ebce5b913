package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	firstPause   = 500 * time.Millisecond
	longestPause = time.Minute
	steadyAfter  = 10 * time.Second // a command that has run for so long works
	leftOpen     = time.Second      // how long others may hold its pipes open behind its end
	blockSize    = 64 << 10
	maxLeft      = 2 << 20 // of what is read behind the end: more than a pipe holds
	drainFor     = 100 * time.Millisecond
)

type input struct {
	config  Config
	env     pipeline.Env
	metrics *metrics
	failed  bool // as the log has it
}

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	if err := forgetEarlier(feed); err != nil {
		return err
	}
	names := []string{"stdout"}
	if in.config.Stderr != discarded {
		names = append(names, "stderr")
	}
	var streams []*stream
	defer func() {
		for _, s := range streams {
			feed.Close(s.src, true)
		}
	}()
	for _, name := range names {
		s, err := in.open(feed, name)
		if err != nil {
			return err
		}
		streams = append(streams, s)
	}
	in.env.Found("the command " + in.config.name())
	in.repeat(ctx, streams)
	return nil
}

// forgetEarlier closes the sources of earlier runs: nothing of them can be read again.
func forgetEarlier(feed pipeline.Feed) error {
	for _, k := range feed.Known() {
		src, err := feed.Open(k.ID, k.Key, nil)
		if err != nil {
			return fmt.Errorf("ending the source of an earlier run: %w", err)
		}
		feed.Close(src, true)
	}
	return nil
}

func (in *input) open(feed pipeline.Feed, name string) (*stream, error) {
	host, _ := os.Hostname() // without a name there is no label
	src, err := feed.Open(0, in.config.name()+" "+name, []event.Label{
		{Name: event.LabelHost, Value: host},
		{Name: event.LabelService, Value: in.config.name()},
		{Name: event.LabelStream, Value: name},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the source of %s: %w", name, err)
	}
	return &stream{in: in, feed: feed, src: src, splitter: lines.Splitter{Max: int(in.config.MaxLineSize)}}, nil
}

// repeat runs the command again and again, until ctx ends.
func (in *input) repeat(ctx context.Context, streams []*stream) {
	failures := backoff.Failures(0)
	for ctx.Err() == nil {
		begin := time.Now()
		err := in.once(ctx, streams, failures.Reset)
		if ctx.Err() != nil {
			return
		}
		pause := time.Duration(in.config.Interval) - time.Since(begin)
		if in.config.Interval == 0 {
			pause = failures.Next(firstPause, longestPause)
			if err == nil {
				err = errors.New("has ended")
			}
		}
		in.tell(err, pause)
		_ = backoff.Sleep(ctx, max(pause, 0), nil)
	}
}

// tell notes how the command has ended.
func (in *input) tell(err error, pause time.Duration) {
	if err != nil {
		in.metrics.failures.Inc()
		err = fmt.Errorf("the command %s %w; it is started again in %v", in.config.name(), err,
			max(pause, 0).Round(time.Millisecond))
	}
	in.env.Health(err)
	if err != nil && !in.failed {
		in.env.Log.Warn("the command does not run as it should", "error", err)
	}
	in.failed = err != nil
}

// once runs the command to its end, and reads all that it writes.
func (in *input) once(ctx context.Context, streams []*stream, works func()) error {
	runtime.LockOSThread() // the signal at the agent's end is bound to the thread
	defer runtime.UnlockOSThread()
	cmd := osexec.Command(in.config.Command[0], in.config.Command[1:]...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = in.config.environment(), in.config.Folder, ownGroup()
	var readers, writers []*os.File
	defer func() { closeAll(readers); closeAll(writers) }()
	for range streams {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("cannot be started: %w", err)
		}
		readers, writers = append(readers, r), append(writers, w)
	}
	cmd.Stdout = writers[0]
	if len(writers) > 1 {
		cmd.Stderr = writers[1]
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot be started: %w", err)
	}
	in.metrics.starts.Inc()
	closeAll(writers)
	r := &process{in: in, cmd: cmd, readers: readers, works: works, exited: make(chan error, 1)}
	return r.run(ctx, streams)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // some are closed already
	}
}

// A process is the command that runs.
type process struct {
	in      *input
	cmd     *osexec.Cmd
	readers []*os.File
	works   func()
	exited  chan error
}

// run waits for the command to end, or has it end with ctx, and reads what it writes meanwhile.
func (p *process) run(ctx context.Context, streams []*stream) error {
	sending, endSending := context.WithCancel(context.WithoutCancel(ctx))
	defer endSending()
	var reading sync.WaitGroup
	for i, s := range streams {
		reading.Go(func() {
			defer p.in.env.Panicked.Contain()
			s.readAll(sending, p.readers[i])
		})
	}
	read := make(chan struct{})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() {
		defer p.in.env.Panicked.Contain()
		reading.Wait()
		close(read)
	})
	waiting.Go(func() {
		defer p.in.env.Panicked.Contain()
		p.exited <- p.cmd.Wait()
	})
	err := p.wait(ctx)
	p.finish(ctx, read, endSending)
	return err
}

// wait returns how the command has ended.
func (p *process) wait(ctx context.Context) error {
	steady := time.NewTimer(steadyAfter)
	defer steady.Stop()
	var limit <-chan time.Time
	if t := p.in.config.Timeout; t > 0 {
		timer := time.NewTimer(time.Duration(t))
		defer timer.Stop()
		limit = timer.C
	}
	for {
		select {
		case err := <-p.exited:
			return ended(err)
		case <-steady.C:
			p.works()
			p.in.env.Health(nil)
			p.in.failed = false
		case <-limit:
			p.stop()
			return fmt.Errorf("has taken longer than %v", p.in.config.Timeout)
		case <-ctx.Done():
			p.stop()
			return nil
		}
	}
}

func ended(err error) error {
	if err != nil {
		return fmt.Errorf("has ended with %w", err)
	}
	return nil
}

// stop has the command's group end, and kills it where that takes too long.
func (p *process) stop() {
	terminate(p.cmd.Process)
	timer := time.NewTimer(time.Duration(p.in.config.StopTimeout))
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		kill(p.cmd.Process)
		<-p.exited
	}
}

// finish waits until what was written is read and sent. What is left of the group is killed; what
// holds the pipes open outside of it is not waited for.
func (p *process) finish(ctx context.Context, read <-chan struct{}, endSending func()) {
	timer := time.NewTimer(leftOpen)
	defer timer.Stop()
	select {
	case <-read:
	case <-timer.C:
	}
	kill(p.cmd.Process)
	for _, r := range p.readers {
		_ = r.SetReadDeadline(time.Now()) // what is in the pipe is read all the same, see readAll
	}
	select {
	case <-read:
		return
	case <-ctx.Done(): // else a slow output is waited for
	}
	endSending()
	<-read
}

// A stream is what the command writes to one of its outputs, in all its runs.
type stream struct {
	in       *input
	feed     pipeline.Feed
	src      *event.Source
	splitter lines.Splitter

	pos  uint64 // position of buf[0]
	buf  []byte // read, and not yet sent
	sent uint64 // To of the last batch
}

// readAll reads one run's to its end. What is left without a line end is a line, too.
// So is what is in the pipe when nobody waits for its writers any more.
func (s *stream) readAll(ctx context.Context, r *os.File) {
	for left := maxLeft; ; {
		if cap(s.buf)-len(s.buf) < blockSize {
			s.buf = append(make([]byte, 0, 2*len(s.buf)+blockSize), s.buf...)
		}
		n, err := r.Read(s.buf[len(s.buf) : len(s.buf)+blockSize])
		s.buf = s.buf[:len(s.buf)+n]
		if errors.Is(err, os.ErrDeadlineExceeded) && left == maxLeft {
			err = r.SetReadDeadline(time.Now().Add(drainFor))
			left -= blockSize
		}
		if left < maxLeft {
			if left -= n; left <= 0 && err == nil {
				err = io.EOF
			}
		}
		if sendErr := s.send(ctx, err != nil); sendErr != nil || err != nil {
			return
		}
	}
}

func (s *stream) send(ctx context.Context, last bool) error {
	if len(s.buf) == 0 {
		s.splitter = lines.Splitter{Max: s.splitter.Max}
		return nil
	}
	b := s.feed.Batch(s.src)
	b.Arena = append(b.Arena, s.buf...)
	used := s.splitter.Split(b, 0, s.pos)
	if last && used < len(b.Arena) {
		s.splitter.Last(b, used, s.pos+uint64(used))
		used = len(b.Arena)
	}
	s.pos += uint64(used)
	s.buf = s.buf[:copy(s.buf, s.buf[used:])]
	b.From, b.To = s.sent, s.pos
	b.Cursor = append(b.Cursor[:0], 1) // it cannot be read again
	s.sent = s.pos
	s.in.metrics.truncated.Add(float64(s.splitter.TruncatedBytes))
	s.splitter.TruncatedBytes = 0
	if last {
		s.splitter = lines.Splitter{Max: s.splitter.Max} // the next run begins anew
	}
	return s.feed.Send(ctx, b)
}

var _ pipeline.Examiner = (*input)(nil)

// Examine implements pipeline.Examiner: it looks whether there is such a program.
func (in *input) Examine(_ context.Context, tell func(pipeline.Finding)) {
	f := pipeline.Finding{What: strings.Join(in.config.Command[:1], "")}
	path, err := osexec.LookPath(in.config.Command[0])
	if err == nil && in.config.Folder != "" {
		_, err = os.Stat(in.config.Folder)
	}
	if err != nil {
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		f.Advice = "install it where the agent runs (the image has no programs), or give its path"
	} else {
		f.Says = "is " + path
	}
	tell(f)
}
