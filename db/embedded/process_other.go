//go:build !linux

package embedded

import (
	"os/exec"
	"syscall"
)

// attributes ignores the signal, because these systems cannot send one when the
// parent dies: the next Start stops a PostgreSQL that was left behind.
func attributes(account *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account, Setpgid: true}
}

// handDown returns dir: on these systems, the child has to walk to it.
func handDown(_ *exec.Cmd, dir string, _ *syscall.Credential) (string, error) { return dir, nil }

// absent returns false: these systems do not say where a process works.
func absent(int, string) bool { return false }
