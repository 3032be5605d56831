package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"roster/credential"
	"roster/secret"
	"roster/telemetry"
)

// adminKeyPath returns the path of the file with the administrator's API key.
func adminKeyPath(dataDir string) string { return filepath.Join(dataDir, "admin-key") }

// adminKeyFile returns the file in the data folder with the administrator's API key.
func adminKeyFile(dataDir string) keyFile {
	return keyFile{path: adminKeyPath(dataDir), check: checkAdminKey, remedy: "remove it to get a new one"}
}

// keptAdminKey returns the administrator's API key that is kept in the data folder.
// If there is none and mayMake is true, it makes one and keeps it for the next start.
// It prints where the key is, and a new key only to a terminal.
func keptAdminKey(dataDir string, mayMake bool, out io.Writer) (key secret.Text, err error) {
	file, made := adminKeyFile(dataDir), false
	if mayMake {
		key, made, err = file.ensure(credential.New)
	} else if key, err = file.read(); errors.Is(err, fs.ErrNotExist) {
		return secret.Text{}, nil
	}
	switch {
	case err != nil:
		return secret.Text{}, fmt.Errorf("administrator's API key: %w", err)
	case made && telemetry.IsTerminal(out):
		fmt.Fprintf(out, "The administrator's API key, printed this once and kept in %s: %s\n", file.path, key.Reveal())
	default:
		fmt.Fprintf(out, "The administrator's API key is kept in %s.\n", file.path)
	}
	return key, nil
}

// checkAdminKey returns an error if the text does not have the form of an API key.
func checkAdminKey(key secret.Text) error {
	if !adminKeyPattern.MatchString(key.Reveal()) {
		return errors.New("no API key, which is rk_ and 32 to 200 letters, digits, _ or -")
	}
	return nil
}
