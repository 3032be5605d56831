package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"roster/credential"
	"roster/secret"
)

// adminKeyPath returns the path of the file with the administrator's API key.
func adminKeyPath(dataDir string) string { return filepath.Join(dataDir, "admin-key") }

// adminKeyFile returns the administrator's API key that is kept in the data folder.
// If there is none and mayMake is true, it makes one, prints it this once, and keeps
// it for the next start.
func adminKeyFile(dataDir string, mayMake bool, out io.Writer) (secret.Text, error) {
	path := adminKeyPath(dataDir)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		kept := strings.TrimSpace(string(text))
		if !adminKeyPattern.MatchString(kept) {
			return secret.Text{}, fmt.Errorf("%s holds no API key; remove it to get a new one", path)
		}
		return secret.New(kept), nil
	case !errors.Is(err, fs.ErrNotExist):
		return secret.Text{}, fmt.Errorf("administrator's API key: %w", err)
	case !mayMake:
		return secret.Text{}, nil
	}
	made := credential.New()
	if err := writeSecret(dataDir, path, made); err != nil {
		return secret.Text{}, fmt.Errorf("administrator's API key: %w", err)
	}
	fmt.Fprintf(out, "The administrator's API key, printed this once and kept in %s: %s\n", path, made.Reveal())
	return made, nil
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
