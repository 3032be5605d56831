package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

func attributes(account *syscall.Credential, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account, Setpgid: true, Pdeathsig: onDeath}
}

// handDown lets cmd use the folder dir and returns the name of the folder for cmd.
//
// A child under another account may be unable to walk to the folder, for example to
// a checkout below /root, or to a data folder of mode 0700. The child inherits the
// folder as an open file and finds it under /proc/self/fd, without walking. This
// needs no mount, no wider modes, and no capability, which containers often lack;
// CAP_DAC_READ_SEARCH would let PostgreSQL read every file of the machine.
func handDown(cmd *exec.Cmd, dir string, account *syscall.Credential) (string, error) {
	if account == nil {
		return dir, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	return fmt.Sprintf("/proc/self/fd/%d", 2+len(cmd.ExtraFiles)), nil
}

// absent reports whether process pid certainly does not run the cluster dir: it is a
// zombie, or has another working folder, while every PostgreSQL works in its cluster.
func absent(pid int, dir string) bool {
	home, err := os.Stat(dir)
	if err != nil {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return false
	}
	there, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !os.SameFile(there, home)
}
