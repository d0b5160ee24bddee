package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

// What a process may read, root or not, with a capability or a group, is told as the kernel has it.
func TestUnreadable(t *testing.T) {
	lab.Require(t)
	const nobody, theirs = 65534, 4711
	dir, err := os.MkdirTemp("/run", "doctor-") // others can look into it
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	file := func(name string, mode os.FileMode, group int) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(secret), mode))
		must(t, os.Chmod(path, mode))
		must(t, os.Chown(path, 0, group))
		return path
	}
	roots, groups, all := file("roots", 0o600, 0), file("groups", 0o640, theirs), file("all", 0o644, 0)
	user := func() *syscall.Credential { return &syscall.Credential{Uid: nobody, Gid: nobody} }
	member := user()
	member.Groups = []uint32{theirs}
	for name, tt := range map[string]struct {
		as   syscall.SysProcAttr
		path string
		want string
	}{
		"root":              {syscall.SysProcAttr{}, roots, ""},
		"a user":            {syscall.SysProcAttr{Credential: user()}, roots, "Permission denied"},
		"what all may":      {syscall.SysProcAttr{Credential: user()}, all, ""},
		"a capability":      {syscall.SysProcAttr{Credential: user(), AmbientCaps: []uintptr{unix.CAP_DAC_READ_SEARCH}}, roots, ""},
		"another":           {syscall.SysProcAttr{Credential: user(), AmbientCaps: []uintptr{unix.CAP_NET_RAW}}, roots, "Permission denied"},
		"no member":         {syscall.SysProcAttr{Credential: user()}, groups, "Permission denied"},
		"a member":          {syscall.SysProcAttr{Credential: member}, groups, ""},
		"what is not there": {syscall.SysProcAttr{}, filepath.Join(dir, "none"), "No such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sleep", "60")
			cmd.SysProcAttr, cmd.Dir = &tt.as, "/"
			if err := cmd.Start(); err != nil {
				lab.Miss(t, "other users: "+err.Error())
			}
			defer func() { _ = cmd.Wait() }() // ended by the test
			defer cmd.Process.Kill()
			why, err := (hostKernel{}).Unreadable(t.Context(), cmd.Process.Pid, tt.path)
			if err != nil || why != tt.want || strings.Contains(why, secret) {
				t.Errorf("%q, %v; want %q", why, err, tt.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
