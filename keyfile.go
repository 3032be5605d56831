package main

import (
	"crypto/rand"
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
)

// keyFile is a file of our own in the data folder, which holds one key and nothing else.
type keyFile struct {
	path string
	// check returns an error that says what a text lacks to be such a key.
	check func(secret.Text) error
	// remedy says what to do about a file that is refused.
	remedy string
}

// ensure returns the key that is kept. Without one, it makes a key and keeps it for the
// next start; made reports that.
func (f keyFile) ensure(newKey func() secret.Text) (key secret.Text, made bool, err error) {
	key, err = f.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = newKey()
	err = f.write(key)
	if errors.Is(err, fs.ErrExist) { // another server has made one at the same time
		key, err = f.read()
		return key, false, err
	}
	if err != nil {
		return secret.Text{}, false, err
	}
	return key, true, nil
}

// read returns the key that is kept, or fs.ErrNotExist. Somebody else could have planted
// any other file, and would know the key: it must belong to this account, and be
// closed to others.
func (f keyFile) read() (secret.Text, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return secret.Text{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return secret.Text{}, err
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return secret.Text{}, fmt.Errorf("%s is not a file; %s", f.path, f.remedy)
	case owner == nil || int(owner.Uid) != os.Geteuid():
		return secret.Text{}, fmt.Errorf("%s belongs to another account, which may know the key; %s", f.path, f.remedy)
	case info.Mode().Perm() != 0o600:
		return secret.Text{}, fmt.Errorf("%s has the mode %04o, so that others may know the key; %s, or set its mode to 0600", f.path, info.Mode().Perm(), f.remedy)
	}
	key, err := readKey(file, f.check)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%w; %s", err, f.remedy)
	}
	return key, nil
}

// readKey reads a key from a file that has nothing else.
func readKey(file *os.File, check func(secret.Text) error) (secret.Text, error) {
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return secret.Text{}, err
	}
	key := secret.New(strings.TrimSpace(string(text)))
	if err := check(key); err != nil {
		return secret.Text{}, fmt.Errorf("%s holds %w", file.Name(), err)
	}
	return key, nil
}

// write writes the file whole or not at all, readable to nobody else. It returns
// fs.ErrExist if there is a file.
func (f keyFile) write(key secret.Text) error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, "."+filepath.Base(f.path)+"-") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(key.Reveal() + "\n")
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	// Unlike a renamed file, a link never replaces the file of another server.
	if err := os.Link(temporary.Name(), f.path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(temporary.Name(), f.path) // where there are no links
}

// demoPasswordFile returns the file in the data folder with the password of people of the
// demo business.
func demoPasswordFile(dataDir string) keyFile {
	return keyFile{
		path: filepath.Join(dataDir, "demo-password"), check: func(p secret.Text) error { return credential.CheckPassword(p, 0) },
		remedy: "delete it, and set the passwords of the people of the demo business anew",
	}
}

// newDemoPassword returns a password of 26 letters and digits.
func newDemoPassword() secret.Text { return secret.New(strings.ToLower(rand.Text())) }
