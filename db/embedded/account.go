package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// accountFor returns the account to run PostgreSQL under, which refuses to run as
// root; nil means the account of this process. For root it returns the owner of an
// existing cluster, so that an ordinary account can go on using a folder that it
// made, and otherwise a system account.
func accountFor(cluster string) (*syscall.Credential, error) {
	owner, exists, err := ownerOf(cluster)
	if err != nil {
		return nil, err
	}
	self := uint32(os.Geteuid())
	switch {
	case self != 0 && exists && owner.Uid != self:
		return nil, fmt.Errorf("%s belongs to the account with uid %d: start Roster as that account", cluster, owner.Uid)
	case self != 0:
		return nil, nil
	case exists && owner.Uid != 0:
		return owner, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return credential(u)
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither an account postgres nor nobody")
}

// ownerOf returns the account that owns a folder, with the primary group of the
// account, because the folder's own group may be root's. It reports false if there
// is no such folder.
func ownerOf(dir string) (*syscall.Credential, bool, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	if u, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
		owner, err := credential(u)
		return owner, true, err
	}
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}, true, nil
}

func credential(u *user.User) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// own makes account the owner of the cluster, which may belong to root after the
// restore of a backup.
func own(cluster string, account *syscall.Credential) error {
	if account == nil {
		return nil
	}
	owner, exists, err := ownerOf(cluster)
	if err != nil || !exists || owner.Uid == account.Uid {
		return err
	}
	return filepath.WalkDir(cluster, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(account.Uid), int(account.Gid))
	})
}
