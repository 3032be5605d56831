package db

import (
	"context"
	"database/sql"
	"log/slog"
)

// Refold does what migration 5 does, on rows that were made later.
func (d *DB) Refold(ctx context.Context, log *slog.Logger) error {
	tx, err := d.BeginTx(ctx, &sql.TxOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := (refolding{db: d, tx: tx.Tx, log: log}).run(ctx); err != nil {
		return err
	}
	return tx.Commit()
}
