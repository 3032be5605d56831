//go:build !linux

package embedded

import (
	"os/exec"
	"syscall"
)

// attributes cannot ask for a signal at our death here: the next Start stops
// what was left behind.
func attributes(account *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account, Setpgid: true}
}

// handDown gives the folder's own name: here the child has to walk to it.
func handDown(_ *exec.Cmd, dir string, _ *syscall.Credential) (string, error) { return dir, nil }

// absent cannot be known here.
func absent(int, string) bool { return false }
