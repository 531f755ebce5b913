package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/longshore/longshore/e2e/server"
)

// released builds a release of the repository in a folder, by a program of that version.
func released(t *testing.T, source, version string) (out string) {
	t.Helper()
	out = t.TempDir()
	cmd := exec.Command("go", "run", ".", "-source", source, "-out", out, "-version", version, "-pgo", "off")
	cmd.Dir = "tools/release"
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the release: %v\n%s", err, text)
	}
	return out
}

// TestRelease builds what is released twice, in different folders, and installs it.
func TestRelease(t *testing.T) {
	debian, rpm, emulator := server.DebianRoot(t), server.RPM(t), server.EmulatorARM64(t)
	source, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	first := released(t, source, "v0.1.0")
	t.Run("the same bytes twice", func(t *testing.T) { sameBytes(t, source, first) })
	t.Run("deb", func(t *testing.T) { lifeOfDeb(t, debian, first) })
	t.Run("rpm", func(t *testing.T) { lifeOfRPM(t, debian, rpm, first) })
	t.Run("arm64", func(t *testing.T) { onARM64(t, emulator, first) })
}

// sameBytes builds again, of a copy of the source.
func sameBytes(t *testing.T, source, first string) {
	elsewhere := filepath.Join(t.TempDir(), "another folder")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	shell(t, "tar -C "+source+
		" --exclude=./.git --exclude=./bin --exclude=./dist -cf - . | tar -C '"+elsewhere+"' -xf -")
	second := released(t, elsewhere, "v0.1.0")
	sums := read(t, filepath.Join(first, "SHA256SUMS"))
	if again := read(t, filepath.Join(second, "SHA256SUMS")); sums != again || strings.Count(sums, "\n") != 8 {
		t.Errorf("the same source makes\n%sand\n%s", sums, again)
	}
	shell(t, "cd "+first+" && sha256sum --check --quiet --strict SHA256SUMS")
}

// lifeOfDeb installs the package where no systemd runs, starts the program as the unit does,
// upgrades, removes and purges it.
func lifeOfDeb(t *testing.T, debian, dist string) {
	deb := filepath.Join(debian, "longshore.deb")
	shell(t, "cp "+dist+"/*_amd64.deb "+deb)
	in := func(command string) string { return shell(t, "chroot "+debian+" sh -c '"+command+"'") }
	if said := in("dpkg -i /longshore.deb"); !strings.Contains(said, "systemctl enable --now longshore") {
		t.Errorf("the installation says %s", said)
	}
	if groups := in("id -nG longshore"); groups != "longshore adm systemd-journal" {
		t.Errorf("the user is in the groups %s", groups)
	}
	if modes := in("stat -c %A:%U:%G /etc/longshore/longshore.yml /var/lib/longshore"); modes !=
		"-rw-r-----:root:longshore\ndrwxr-x---:longshore:longshore" {
		t.Errorf("config and data are\n%s", modes)
	}
	in("systemd-analyze verify longshore.service")
	startPackaged(t, debian)
	config := filepath.Join(debian, "etc/longshore/longshore.yml")
	mine := read(t, config) + "# mine\n"
	if err := os.WriteFile(config, []byte(mine), 0o640); err != nil {
		t.Fatal(err)
	}
	newer(t, deb)
	if said := in("dpkg --force-confold -i /longshore.deb"); strings.Contains(said, "enable --now") {
		t.Errorf("an upgrade says %s", said)
	}
	if got := read(t, config); got != mine {
		t.Errorf("an upgrade made the config\n%s", got)
	}
	in("dpkg -r longshore && test ! -e /usr/bin/longshore && test -e /etc/longshore/longshore.yml && " +
		"test -e /var/lib/longshore/ledger.log")
	in("dpkg -P longshore && test ! -e /etc/longshore && test ! -e /var/lib/longshore")
}

// newer makes a package one of a higher version, with another default config.
func newer(t *testing.T, deb string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deb")
	shell(t, "dpkg-deb -R "+deb+" "+dir+" && echo '# newer' >> "+dir+"/etc/longshore/longshore.yml && "+
		"sed -i 's/^Version: .*/Version: 0.2.0-1/' "+dir+"/DEBIAN/control && "+
		"cd "+dir+" && find usr etc -type f -exec md5sum {} + > DEBIAN/md5sums && "+
		"dpkg-deb --root-owner-group -Zgzip -b "+dir+" "+deb)
}

// startPackaged runs the installed program by the command of the installed unit, as its user.
func startPackaged(t *testing.T, debian string) {
	t.Helper()
	unit := read(t, filepath.Join(debian, "usr/lib/systemd/system/longshore.service"))
	_, rest, _ := strings.Cut(unit, "ExecStart=")
	command, _, _ := strings.Cut(rest, "\n")
	m := newServiceManager(t)
	cmd := exec.Command("chroot", append([]string{"--userspec=longshore", debian}, strings.Fields(command)...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", m.env, "WATCHDOG_USEC=900000"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log safeBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	m.hears("READY=1")
	m.hears("WATCHDOG=1")
	cmd.Process.Signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the installed program ends with %v\n%s", err, log.String())
	}
}

// lifeOfRPM installs the package, and removes it; a config that was changed stays aside.
func lifeOfRPM(t *testing.T, debian, rpm, dist string) {
	run := func(args string) string { return shell(t, rpm+" --root "+debian+" "+args) }
	run("--nodeps -i " + dist + "/*_amd64.rpm")
	shell(t, "chroot "+debian+" /usr/bin/longshore version")
	config := filepath.Join(debian, "etc/longshore/longshore.yml")
	if flags := run("-q --configfiles longshore"); !strings.Contains(flags, "/etc/longshore/longshore.yml") {
		t.Errorf("its configs are %s", flags)
	}
	shell(t, "echo '# mine' >> "+config)
	run("--nodeps -U --replacepkgs " + dist + "/*_amd64.rpm") // as an upgrade does
	if text := read(t, config); !strings.Contains(text, "# mine") {
		t.Errorf("an upgrade made the config\n%s", text)
	}
	run("-e longshore")
	if text := read(t, config+".rpmsave"); !strings.Contains(text, "# mine") {
		t.Errorf("a removal left the config\n%s", text)
	}
}

// onARM64 runs the other binary, of the archive, as far as an emulator does.
func onARM64(t *testing.T, emulator, dist string) {
	dir := t.TempDir()
	shell(t, "tar -C "+dir+" --strip-components=1 -xzf "+dist+"/*_arm64.tar.gz")
	if said := shell(t, emulator+" "+dir+"/longshore version"); !strings.Contains(said, "linux/arm64") ||
		!strings.Contains(said, "0.1.0") {
		t.Errorf("it says %s", said)
	}
	config := fmt.Sprintf("version: 1\ndata_dir: %[1]s/data\nhttp: {listen: %[2]q}\ninputs: {in: {type: stdin}}\n"+
		"outputs: {out: {type: file, path: %[1]s/out}}\n", dir, freeAddress(t))
	if err := os.WriteFile(filepath.Join(dir, "c.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, "echo level=warn msg=slow | "+emulator+" "+dir+"/longshore run -c "+dir+"/c.yml")
	if got := read(t, filepath.Join(dir, "out")); !strings.Contains(got, `"level":"warn"`) {
		t.Errorf("it delivers %s", got)
	}
}

// shell runs a command of the shell, and gives what it says.
func shell(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
