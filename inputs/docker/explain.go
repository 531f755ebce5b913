package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Explainer = (*Input)(nil)

// containerName matches names and IDs of containers.
var containerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// Explain implements pipeline.Explainer for a container's name or ID.
func (in *Input) Explain(ctx context.Context, name string) (pipeline.Explanation, error) {
	name = strings.TrimPrefix(name, "/")
	if !containerName.MatchString(name) {
		return pipeline.Explanation{Why: "this is no name of a container"}, nil
	}
	eng := newEngine(&in.config)
	eng.Dial = in.dial
	defer eng.Close()
	info, err := eng.connect(ctx)
	if err != nil {
		return pipeline.Explanation{}, err
	}
	c, err := eng.inspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return pipeline.Explanation{Why: "there is no container of that name at " + eng.Host}, nil
	}
	if err != nil {
		return pipeline.Explanation{}, fmt.Errorf("asking for the container: %w", err)
	}
	ident := newIdentity(c, info.name)
	e := pipeline.Explanation{Found: true, Is: fmt.Sprintf("container %s of the image %s", ident.name, ident.image)}
	self := findSelf("/proc/self")
	e.Why, e.Taken = in.config.follows(ident)
	switch {
	case self.is(c):
		e.Taken, e.Why = false, "it is the agent's own"
	case e.Taken && in.config.Include.empty():
		e.Why = "all containers are followed that nothing excludes"
	case e.Taken:
		e.Why = "include matches it"
	}
	if e.Taken {
		in.explainReading(ctx, eng, c, ident, &e)
	}
	return e, nil
}

// explainReading says how a container is read, and reads its last lines.
func (in *Input) explainReading(
	ctx context.Context, eng *engine, c container.InspectResponse, ident *identity, e *pipeline.Explanation,
) {
	lines, err := eng.lastLines(ctx, c)
	noLines := "it has none"
	if err != nil {
		if reason, yes := isUnreadable(err); yes {
			e.Taken = false
			e.Why = fmt.Sprintf("its logging driver, %s, keeps nothing that can be read (%s); use json-file, local or "+
				"journald", snapshotOf(c).driver, reason)
			return
		}
		noLines = "they cannot be read: " + err.Error()
	}
	e.ReadFrom = in.readsFrom(eng, snapshotOf(c))
	for s := range lines {
		stream := logformat.Stream(s)
		if stream == logformat.Stderr && c.Config.Tty {
			continue // a terminal has one stream
		}
		e.Sources = append(e.Sources, pipeline.ExplainedSource{
			Key: sourceKey(c.ID, stream), Name: stream.String(), Labels: ident.sourceLabels(stream),
			Position: describeTime, Lines: lines[s], NoLines: noLines,
		})
	}
}

// describeTime describes a position, which is a time.
func describeTime(pos uint64) string {
	return "what was logged before " + time.Unix(0, int64(pos)).UTC().Format(time.RFC3339Nano)
}

// readsFrom says where a container's log is read from; see useFiles.
func (in *Input) readsFrom(eng *engine, c snapshot) string {
	api := "the engine's API (" + eng.Host + ")"
	switch {
	case in.config.Mode == modeAPI:
		return api + ", as mode is api"
	case c.driver != "json-file":
		return api + ", as its log driver is " + c.driver
	case c.logPath == "" || eng.IsPodman():
		return api
	}
	if err := readable(c.logPath); err != nil {
		if in.config.Mode == modeFiles {
			return fmt.Sprintf("nowhere: mode is files, and they cannot be read (%v); %s", err,
				noFileError{err}.advice())
		}
		return fmt.Sprintf("%s, as its files cannot be read (%v)", api, err)
	}
	return c.logPath
}

// streams is how many a container has.
const streams = 2

// lastLines returns the last lines of each stream.
func (e *engine) lastLines(ctx context.Context, c container.InspectResponse) (lines [streams][]string, err error) {
	ctx, done, err := e.acquire(ctx)
	if err != nil {
		return lines, err
	}
	defer done()
	body, err := e.Client().ContainerLogs(ctx, c.ID, container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: strconv.Itoa(pipeline.TailLines),
	})
	if err != nil {
		return lines, err
	}
	defer body.Close()
	log, err := io.ReadAll(io.LimitReader(body, pipeline.TailBytes))
	if err != nil {
		return lines, err
	}
	text := [streams][]byte{log}
	if !c.Config.Tty {
		text = demultiplex(log)
	}
	for s := range text {
		for line := range bytes.Lines(text[s]) {
			_, message, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" ")) // after the timestamp
			lines[s] = append(lines[s], string(message))
		}
	}
	return lines, nil
}

// demultiplex separates the streams of a log: each frame has a head of eight bytes, with the stream
// in the first and the length in the last four. A last frame may be cut off.
func demultiplex(log []byte) (text [streams][]byte) {
	const head = 8
	for len(log) >= head {
		size := min(uint64(binary.BigEndian.Uint32(log[4:])), uint64(len(log)-head))
		s := 0
		if log[0] == 2 {
			s = 1
		}
		text[s] = append(text[s], log[head:head+size]...)
		log = log[head+size:]
	}
	return text
}
