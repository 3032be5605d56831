package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Pooler is the kind of pooler between this program and PostgreSQL.
type Pooler string

const (
	// DetectPooler means that Open detects the pooler, if there is one.
	DetectPooler Pooler = ""
	// TransactionPooler is a pooler that uses another connection for each transaction, as
	// pgbouncer does with pool_mode = transaction.
	TransactionPooler Pooler = "transaction"
)

// leastVersion is the oldest PostgreSQL that Roster is tested with.
const leastVersion = 15

// openProbed opens the pool of reads and probes its first connection. If that finds a pooler,
// the pool is opened once more, since its connections are to do without a session then.
func openProbed(ctx context.Context, c *connector) (*DB, error) {
	for {
		pooled := c.pooled
		d, err := open(ctx, c, c.reads(c.share()))
		if err != nil {
			return nil, err
		}
		err = d.probe(ctx)
		if err == nil && c.pooled == pooled {
			return d, nil
		}
		_ = d.Close()
		if c.pooled == pooled {
			return nil, err
		}
	}
}

// probe detects a pooler, and returns an error if Roster cannot work with the database.
func (d *DB) probe(ctx context.Context) error {
	conn, err := d.pools.reads.Acquire(ctx)
	if err != nil {
		if refusesParameters(err) && !d.Pooled() {
			d.connector.poolTransactions()
		}
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	return d.connector.examine(ctx, conn.Conn().PgConn())
}

// refusesParameters reports whether a pooler refused to connect because it does not
// know a parameter of the session.
func refusesParameters(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.Contains(refused.Message, "unsupported startup parameter")
}

// aboutSQL asks for the process that answers, the version, whether this is a standby, and the
// encoding.
const aboutSQL = "select pg_backend_pid(), current_setting('server_version_num')::int / 10000, pg_is_in_recovery(), current_setting('server_encoding')"

// examine checks the pooler and the database at the other end of a connection. It prepares
// nothing, since perhaps there is a pooler, and no tracer sees its statements, since none of
// them is run for a request.
func (c *connector) examine(ctx context.Context, conn *pgconn.PgConn) error {
	answers, err := conn.Exec(ctx, aboutSQL).ReadAll()
	if err != nil {
		return fmt.Errorf("ask the database what it is: %w", err)
	}
	about := answers[0].Rows[0]
	process, standby, encoding := string(about[0]), string(about[2]) == "t", string(about[3])
	version, err := strconv.Atoi(string(about[1]))
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
	// PostgreSQL sends the number of the process that answers; a pooler sends a number of
	// its own. The pooler does not tell its mode. Code that works when each transaction
	// has another connection also works when it does not.
	if process != strconv.FormatUint(uint64(conn.PID()), 10) && !c.pooled {
		c.poolTransactions()
	}
	if c.pooled {
		return checkTransactions(ctx, conn)
	}
	return nil
}

// checkTransactions returns an error if the pooler uses another connection for each
// statement.
func checkTransactions(ctx context.Context, conn *pgconn.PgConn) error {
	for _, statement := range []string{"begin", "commit"} {
		if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("the pooler carries out no transactions (set its pool_mode to transaction, not statement): %w", err)
		}
	}
	return nil
}
