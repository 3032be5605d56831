package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"roster/problem"
)

// fault is an error of the database with the function that met it, for the log, and the
// problem that callers see; nil if the error does not concern callers.
type fault struct {
	function string
	problem  *problem.Error
	cause    error
}

// Error returns the function and the cause.
func (f *fault) Error() string { return f.function + ": " + f.cause.Error() }

// Unwrap returns the problem, if there is one, and the cause.
func (f *fault) Unwrap() []error {
	if f.problem == nil {
		return []error{f.cause}
	}
	return []error{f.problem, f.cause}
}

var errAway = problem.New(problem.Unavailable, "The database does not answer at the moment. Try again in a second.")

// Problem returns err as callers should see it. If a constraint refused a write, it
// returns the problem of that constraint. To every other error of the database, it adds
// the name of the function outside this package that met it and, if the database is
// away, an UNAVAILABLE problem. It returns other errors as they are.
func Problem(err error) error {
	if err == nil || len(problem.All(err)) > 0 {
		return err
	}
	if _, known := errors.AsType[*fault](err); known {
		return err
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if ok {
		if known, ok := constraints[refused.ConstraintName]; ok {
			return &known
		}
	}
	switch {
	case Unavailable(err):
		return &fault{function: caller(), problem: errAway, cause: err}
	case ok:
		return &fault{function: caller(), problem: nil, cause: err}
	}
	return err
}

// Retryable reports whether a transaction failed only because another one ran at the
// same time, or because the schema changed in between, so that running it again can
// succeed.
func Retryable(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "40001" || refused.Code == "40P01") || outdated(err)
}

// Contended reports whether a transaction failed because of others: it is Retryable, or
// has waited for a lock for longer than lock_timeout allows.
func Contended(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == "55P03" || Retryable(err)
}

// outdated reports whether the plan or the description of a statement belonged to an
// earlier schema. If the statement is not prepared, PostgreSQL notices that the
// description has another number of columns, or of parameters.
func outdated(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "0A000" && refused.Routine == "RevalidateCachedQuery" ||
		refused.Code == "08P01" && (refused.Routine == "PortalSetResultFormat" || refused.Routine == "exec_bind_message"))
}

// Unavailable reports whether there was no database to answer, rather than one that
// refused: it could not be reached, has no connection left, is going down or coming
// up, or has become a standby (PostgreSQL, appendix A: classes 08, 53, 57P and
// 25006). It reports false for a context that ended.
func Unavailable(err error) bool {
	if problem.Is(err, problem.Unavailable) || errors.Is(err, errFull) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := refused.Code[:min(2, len(refused.Code))]
		return (class == "08" || class == "53" || strings.HasPrefix(refused.Code, "57P") || refused.Code == "25006") && !outdated(err)
	}
	return lost(err)
}

// lost reports whether the connection broke.
func lost(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, pgconn.ErrConnClosed, driver.ErrBadConn, sql.ErrConnDone} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// cut reports whether an established connection broke, so that another one may work.
func cut(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return Unavailable(err) && !strings.HasPrefix(refused.Code, "53")
	}
	return lost(err)
}

// mayHaveCommitted reports whether a commit with this error may have been carried out,
// because PostgreSQL did not refuse it. (pgconn.SafeToRetry cannot decide that: it is
// also true if a connection broke after the commit was sent.)
func mayHaveCommitted(err error) bool { return Unavailable(err) || pgconn.Timeout(err) }

// project is the prefix of the names of Roster's functions.
const project = "roster/"

// caller returns the function of Roster, outside db and db/list, that called this one,
// such as "directory.Identities". If it is not exported, caller also returns the exported
// function of its package that called it.
func caller() string {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters[:])])
	inner, pkg := "", ""
	for {
		frame, more := frames.Next()
		if name, ours := strings.CutPrefix(frame.Function, project); ours && !strings.HasPrefix(name, "db.") && !strings.HasPrefix(name, "db/list.") {
			name, function := shortName(name)
			switch first, _ := utf8.DecodeRuneInString(function); {
			case inner != "" && pkg != name:
				return pkg + "." + inner
			case unicode.IsUpper(first) && inner == "":
				return name + "." + function
			case unicode.IsUpper(first):
				return name + "." + function + ": " + inner
			case inner == "":
				inner, pkg = function, name
			}
		}
		if !more {
			break
		}
	}
	if inner == "" {
		return "db"
	}
	return pkg + "." + inner
}

// shortName returns package and function of a name such as
// "directory.(*Directory).write.func1": "directory" and "write".
func shortName(name string) (in, function string) {
	name = strings.ReplaceAll(name, "[...]", "")
	in, rest, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".")
	if receiver := strings.Index(rest, ")."); strings.HasPrefix(rest, "(") && receiver > 0 {
		rest = rest[receiver+2:]
	}
	function, _, _ = strings.Cut(rest, ".")
	return in, function
}
