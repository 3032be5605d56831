package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Pooler is what stands between this program and PostgreSQL.
type Pooler string

const (
	// DetectPooler finds out by connecting.
	DetectPooler Pooler = ""
	// TransactionPooler gives each transaction another connection, as pgbouncer
	// does with pool_mode = transaction.
	TransactionPooler Pooler = "transaction"
)

// leastVersion is the oldest PostgreSQL that Roster is tested with.
const leastVersion = 15

// probe connects once: it finds a pooler, and refuses a database that Roster
// cannot work with.
func (c *connector) probe(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if refusesParameters(err) && !c.pooled {
		c.poolTransactions()
		conn, err = c.connect(ctx)
	}
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return c.examine(ctx, conn)
}

// refusesParameters reports whether a pooler refused to connect, since it does not
// know a parameter of the session.
func refusesParameters(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.Contains(refused.Message, "unsupported startup parameter")
}

// examine asks what is at the other end.
func (c *connector) examine(ctx context.Context, conn *pgx.Conn) error {
	var process uint32
	var version int
	var standby bool
	var encoding string
	err := conn.QueryRow(ctx, "select pg_backend_pid()::bigint, current_setting('server_version_num')::int / 10000, pg_is_in_recovery(), current_setting('server_encoding')").
		Scan(&process, &version, &standby, &encoding)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database what it is: %w", err)
	case version < leastVersion:
		return fmt.Errorf("the database is PostgreSQL %d, and Roster needs %d or newer", version, leastVersion)
	case standby:
		return errors.New("the database is a standby, which cannot be written to: name the primary, or all servers and target_session_attrs=read-write")
	case encoding != "UTF8":
		return fmt.Errorf("the database keeps text in %s, which has no room for most names: make one with the encoding UTF8", encoding)
	}
	// PostgreSQL introduces itself by the process that answers; a pooler by a number
	// of its own. In which mode it is, it doesn't say: what works with one that gives
	// each transaction another connection works with one that doesn't.
	if process != conn.PgConn().PID() && !c.pooled {
		c.poolTransactions()
	}
	if c.pooled {
		return checkTransactions(ctx, conn)
	}
	return nil
}

// checkTransactions refuses a pooler that gives each statement another connection.
func checkTransactions(ctx context.Context, conn *pgx.Conn) error {
	tx, err := conn.Begin(ctx)
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("the pooler carries out no transactions (set its pool_mode to transaction, not statement): %w", err)
	}
	return nil
}
