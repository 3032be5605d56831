package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"roster/credential"
	"roster/secret"
	"roster/telemetry"
)

// adminKeyPath returns the path of the file with the administrator's API key.
func adminKeyPath(dataDir string) string { return filepath.Join(dataDir, "admin-key") }

// adminKeyFile returns the administrator's API key that is kept in the data folder.
// If there is none and mayMake is true, it makes one and keeps it for the next start.
// It prints where the key is, and a new key only to a terminal.
func adminKeyFile(dataDir string, mayMake bool, out io.Writer) (secret.Text, error) {
	path := adminKeyPath(dataDir)
	key, err := readOwnKey(path)
	switch {
	case err == nil:
		fmt.Fprintf(out, "The administrator's API key is kept in %s.\n", path)
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return secret.Text{}, fmt.Errorf("administrator's API key: %w", err)
	case !mayMake:
		return secret.Text{}, nil
	}
	made := credential.New()
	if err := writeSecret(dataDir, path, made); err != nil {
		return secret.Text{}, fmt.Errorf("administrator's API key: %w", err)
	}
	if telemetry.IsTerminal(out) {
		fmt.Fprintf(out, "The administrator's API key, printed this once and kept in %s: %s\n", path, made.Reveal())
	} else {
		fmt.Fprintf(out, "The administrator's API key is kept in %s.\n", path)
	}
	return made, nil
}

// readOwnKey returns the key in a file of our own. Somebody else could have planted
// any other file, and would know the key: it must belong to this account, and be
// closed to others.
func readOwnKey(path string) (secret.Text, error) {
	f, err := os.Open(path)
	if err != nil {
		return secret.Text{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Text{}, err
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return secret.Text{}, fmt.Errorf("%s is not a file; remove it to get a new key", path)
	case owner == nil || int(owner.Uid) != os.Geteuid():
		return secret.Text{}, fmt.Errorf("%s belongs to another account, which may know the key; remove it to get a new one", path)
	case info.Mode().Perm() != 0o600:
		return secret.Text{}, fmt.Errorf("%s has the mode %04o, so that others may know the key; remove it to get a new one, or set its mode to 0600", path, info.Mode().Perm())
	}
	key, err := readKey(f)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%w; remove it to get a new one", err)
	}
	return key, nil
}

// readKey reads a key from a file that has nothing else.
func readKey(f *os.File) (secret.Text, error) {
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return secret.Text{}, err
	}
	kept := strings.TrimSpace(string(text))
	if !adminKeyPattern.MatchString(kept) {
		return secret.Text{}, fmt.Errorf("%s holds no API key, which is rk_ and 32 to 200 letters, digits, _ or -", f.Name())
	}
	return secret.New(kept), nil
}

// writeSecret writes the file whole or not at all, readable to nobody else.
func writeSecret(dir, path string, made secret.Text) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, ".admin-key-") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(made.Reveal() + "\n")
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
