package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// GoFakeS3 starts a gofakes3 with a bucket, in memory, and returns its URL without a path.
func GoFakeS3(t testing.TB, bucket string) string {
	t.Helper()
	binary, address := programAt(t, ensureGoFakeS3)
	serve(t, &daemon{
		name: "gofakes3",
		dir:  t.TempDir(),
		command: func() *exec.Cmd {
			return exec.Command(binary, "-backend", "memory", "-initialbucket", bucket, "-host", address, "-quiet")
		},
		ready:   answers("http://"+address+"/", bucket),
		patient: time.Minute,
		grace:   10 * time.Second,
		onDeath: syscall.SIGKILL,
	})
	return "http://" + address
}

func ensureGoFakeS3() (string, error) {
	const module = "github.com/johannesboyne/gofakes3"
	tool, err := newTool("gofakes3", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	dir, err := once(tool.folder, fmt.Sprintf("building gofakes3 %s, once", tool.version), func(dir string) error {
		return tool.buildGo(module+"/cmd/gofakes3", "", filepath.Join(dir, "gofakes3"))
	})
	return filepath.Join(dir, "gofakes3"), err
}
