package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/longshore/longshore/pipeline/dockerapi"
)

// restartLabel is what a container has whose restart its owner agrees to.
const restartLabel = "longshore.restart"

// restartPath is all that may be asked of an engine beside GET.
var restartPath = regexp.MustCompile(`^(/v[0-9.]+)?/containers/[0-9a-f]{64}/restart$`)

// newEngine returns the engine of a config. Anything but GET is sent only where a restart is
// configured, and only that.
func newEngine(c *Config) *dockerapi.Engine {
	e := &dockerapi.Engine{Host: dockerapi.Host(c.Docker.Host), TLS: c.Docker.TLS}
	if c.Action.Restart {
		e.May = func(r *http.Request) bool {
			return r.Method == http.MethodPost && restartPath.MatchString(r.URL.Path)
		}
	}
	return e
}

// connected returns the client of an engine, which is reached if it was not before.
func connected(ctx context.Context, e *dockerapi.Engine) (*client.Client, error) {
	if c := e.Client(); c != nil {
		return c, nil
	}
	if _, err := e.Connect(ctx); err != nil {
		return nil, err
	}
	return e.Client(), nil
}

// errRefused is the error of an action that was not taken, and changed nothing.
type errRefused struct{ why string }

func (e errRefused) Error() string { return e.why }

// restart restarts a container by its id or name, if it has the label for it and runs: one that was
// stopped on purpose stays so.
func restart(ctx context.Context, e *dockerapi.Engine, which string) error {
	c, err := connected(ctx, e)
	if err != nil {
		return err
	}
	found, err := c.ContainerInspect(ctx, which)
	if err != nil {
		return fmt.Errorf("looking at container %s: %w", which, err)
	}
	switch {
	case found.ContainerJSONBase == nil || found.State == nil || found.Config == nil:
		return errors.New("the engine's answer lacks the container's state or config")
	case found.Config.Labels[restartLabel] != "true":
		return errRefused{fmt.Sprintf("container %s lacks the label %s: \"true\"", which, restartLabel)}
	case !found.State.Running || found.State.Paused || found.State.Restarting:
		return errRefused{fmt.Sprintf("container %s is %s", which, found.State.Status)}
	}
	if err := c.ContainerRestart(ctx, found.ID, container.StopOptions{}); err != nil {
		return fmt.Errorf("restarting container %s: %w", which, err)
	}
	return nil
}

// runCommand runs a command of the config. What it prints is not kept: it may be anything.
func runCommand(ctx context.Context, command []string, probe, target string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LONGSHORE_PROBE=" + probe, "LONGSHORE_TARGET=" + target}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("running %s: it was killed, as it took too long or the agent stops", command[0])
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", command[0], err)
	}
	return nil
}
