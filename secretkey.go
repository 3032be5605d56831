package main

import (
	"fmt"
	"path/filepath"

	"roster/secret"
)

// secretKeyFile returns the file in the data folder with the key that seals what lies in
// the database and must be readable again.
func secretKeyFile(dataDir string) keyFile {
	return keyFile{
		path: filepath.Join(dataDir, "secret-key"), check: checkSecretKey,
		remedy: "put your own one back, or set ROSTER_SECRET_KEY; what it has sealed is lost without it",
	}
}

// checkSecretKey returns an error if the text is no keyring.
func checkSecretKey(key secret.Text) error {
	if _, err := secret.ParseKeyring(key.Reveal()); err != nil {
		return fmt.Errorf("no secret key: %w", err)
	}
	return nil
}

// openKeyring returns the keyring of ROSTER_SECRET_KEY or else of the data folder, with
// the name of the one that it took.
func (c *config) openKeyring() (ring *secret.Keyring, source string, err error) {
	key, source := c.secretKey, "ROSTER_SECRET_KEY"
	if key.Empty() {
		file := secretKeyFile(c.dataDir)
		source = file.path
		if key, _, err = file.ensure(secret.NewKey); err != nil {
			return nil, "", fmt.Errorf("secret key: %w", err)
		}
	}
	ring, err = secret.ParseKeyring(key.Reveal())
	return ring, source, err
}
