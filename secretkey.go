package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roster/cli"
	"roster/telemetry"
	"roster/token"

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
// the name of the one that it took. It makes a key if there is none and mayMake is true.
func (c *config) openKeyring(mayMake bool) (ring *secret.Keyring, source string, err error) {
	key, source := c.secretKey, "ROSTER_SECRET_KEY"
	if key.Empty() {
		file := secretKeyFile(c.dataDir)
		source = file.path
		if mayMake {
			key, _, err = file.ensure(secret.NewKey)
		} else {
			key, err = file.read()
		}
		if errors.Is(err, fs.ErrNotExist) && !mayMake {
			err = fmt.Errorf("the database has keys that another one has sealed, and neither ROSTER_SECRET_KEY is set, nor is there a file %s: give this server the secret key that made them", file.path)
		}
		if err != nil {
			return nil, "", fmt.Errorf("ROSTER_SECRET_KEY: %w", err)
		}
	}
	ring, err = secret.ParseKeyring(key.Reveal())
	return ring, source, err
}

// openKeys opens the keyring, and the signing keys that it seals. The secret key is made
// only while the database has nothing that another one has sealed.
func (s *server) openKeys(ctx context.Context) error {
	exist, err := token.Exist(ctx, s.db)
	if err != nil {
		return err
	}
	ring, source, err := s.openKeyring(!exist)
	if err != nil {
		return err
	}
	issuer := strings.TrimSuffix(s.publicURL, "/")
	if issuer == "" && s.listener != nil {
		issuer = s.localURL()
	}
	s.keyring = ring
	s.tokens, err = token.Open(ctx, s.db, ring, time.Now, token.Options{Issuer: issuer, Audiences: []string{issuer}, Log: s.log})
	if errors.Is(err, secret.ErrUnknownKey) || errors.Is(err, secret.ErrNotSealed) {
		return fmt.Errorf("%s is not the secret key that the database was used with: %w; give this server the one that the others have", source, err)
	}
	return err
}

// runKeys shows the signing keys, or lets the next one sign.
func runKeys(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	if len(args) > 0 && slices.ContainsFunc(args, isHelp) {
		fmt.Fprintln(stdout, "roster keys list shows the signing keys, and roster keys rotate lets the next one sign. They work on the database itself, and take the settings of the server, such as DATABASE_URL and ROSTER_SECRET_KEY; roster -help lists them.")
		return flag.ErrHelp
	}
	if len(args) == 0 || args[0] != "list" && args[0] != "rotate" {
		return cli.Usage("\"roster keys\" is followed by list or rotate, and then by flags")
	}
	c, err := readConfig(args[1:], getenv, stdout)
	if err != nil {
		return err
	}
	s := &server{config: c, log: telemetry.NewLogger(stderr, telemetry.LogAuto, slog.LevelWarn), metrics: telemetry.NewMetrics(), out: stdout}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	if err := s.openKeys(ctx); err != nil {
		return err
	}
	if args[0] == "rotate" {
		at, err := s.tokens.Rotate(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "The next key signs from %s on.\n", at.UTC().Format(time.RFC3339))
	}
	for _, key := range s.tokens.List() {
		fmt.Fprintf(stdout, "%s %s %-7s made %s, signs from %s\n", key.ID, key.Algorithm, key.State, key.CreatedAt.UTC().Format(time.RFC3339), key.SignsFrom.UTC().Format(time.RFC3339))
	}
	return nil
}

// isHelp reports whether the argument asks for help.
func isHelp(arg string) bool {
	name := strings.TrimLeft(arg, "-")
	return strings.HasPrefix(arg, "-") && (name == "help" || name == "h")
}
