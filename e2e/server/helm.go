package server

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Helm returns the program.
func Helm(t testing.TB) string {
	t.Helper()
	skipShort(t)
	folder, err := ensureHelm()
	if err != nil {
		unavailable(t, err)
	}
	return filepath.Join(folder, "helm")
}

func ensureHelm() (string, error) {
	const module = "helm.sh/helm/v4"
	tool, err := newTool("helm", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building Helm %s, about two minutes, once", tool.version)
	return once(tool.folder, announce, func(dir string) error {
		return tool.buildGo(module+"/cmd/helm", "", filepath.Join(dir, "helm"))
	})
}
