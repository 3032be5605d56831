package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/embedded"
	"roster/db/migrations"
)

// The name of the seeded database. While it is being seeded, it has another name, so
// that it exists completely or not at all.
const (
	databaseName = "bench"
	seedingName  = "seeding"
)

// openDatabase starts a private PostgreSQL with the seeded database, as Roster does,
// and seeds the database if it does not exist. Its folder is in cache, and has
// another name for other migrations and other seeds.
func openDatabase(ctx context.Context, cache string, s size, out io.Writer) (*embedded.Server, error) {
	key, err := seedKey(s)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := seedOnce(ctx, server, s, out); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// seedKey returns a hash of the migrations and of everything that determines the
// seed.
func seedKey(s size) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %+v", seedVersion, s)
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := migrations.Files.ReadFile(name)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// seedOnce makes the seeded database unless it exists.
func seedOnce(ctx context.Context, server *embedded.Server, s size, out io.Writer) error {
	admin, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	var exists bool
	if err := admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", databaseName).Scan(&exists); err != nil || exists {
		return err
	}
	began := time.Now()
	fmt.Fprintf(out, "seeding %d users, once …\n", s.users)
	for _, text := range []string{"drop database if exists " + seedingName, "create database " + seedingName} {
		if _, err := admin.Exec(ctx, text); err != nil {
			return err
		}
	}
	if err := seed(ctx, server.DSN(seedingName), s); err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "alter database "+seedingName+" rename to "+databaseName); err != nil {
		return err
	}
	_, err = admin.Exec(ctx, "checkpoint")
	fmt.Fprintf(out, "seeded in %v\n", time.Since(began).Round(time.Second))
	return err
}
