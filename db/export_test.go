package db

import (
	"context"
	"database/sql"
	"log/slog"
)

// MigrateTo is Migrate as it was when the version was the last one.
func (d *DB) MigrateTo(ctx context.Context, log *slog.Logger, version int64) error {
	provider, err := d.provider(log)
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}

// Refold does what migration 5 does, on rows that were made later.
func (d *DB) Refold(ctx context.Context, log *slog.Logger) error {
	return d.inMigration(ctx, func(tx *sql.Tx) error { return refolding{db: d, tx: tx, log: log}.run(ctx) })
}

// GiveLineage does what migration 7 does to the rows, on rows that were made later.
func (d *DB) GiveLineage(ctx context.Context, log *slog.Logger) error {
	return d.inMigration(ctx, func(tx *sql.Tx) error { return lineage{db: d, tx: tx, log: log}.assign(ctx) })
}

func (d *DB) inMigration(ctx context.Context, run func(*sql.Tx) error) error {
	tx, err := d.BeginTx(ctx, &sql.TxOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := run(tx.Tx); err != nil {
		return err
	}
	return tx.Commit()
}
