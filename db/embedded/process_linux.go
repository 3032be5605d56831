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

// handDown lets cmd use the folder dir and returns its name there.
//
// Where the child runs under another account, it may be unable to walk to the
// folder: a checkout below /root, or a data folder of mode 0700. It gets the
// folder as an open file and finds it under /proc/self/fd, without walking.
// This needs no capability, which containers often lack, no mount, and no wider
// modes; CAP_DAC_READ_SEARCH would let PostgreSQL read every file of the machine.
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

// absent is true when process pid surely does not work in dir: it is a zombie,
// or works elsewhere, as the working folder of every PostgreSQL is its cluster.
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
