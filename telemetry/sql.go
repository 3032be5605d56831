package telemetry

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxText is the largest number of bytes of a statement in a span. Lists of
// placeholders can be long.
const maxText = 4096

// startStatement begins the span of a statement.
//
// The span contains the text of the statement only if the statement has arguments:
// then the values are in the arguments and not in the text. bun writes values into
// the text, and values are personal data, so the spans of its statements contain
// only a summary.
func (m *Metrics) startStatement(ctx context.Context, data pgx.TraceQueryStartData) (context.Context, trace.Span) {
	name := summary(data.SQL)
	attributes := make([]attribute.KeyValue, 0, 3)
	attributes = append(attributes, attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", name))
	if hasArguments(data.Args) {
		text := strings.ToValidUTF8(data.SQL[:min(len(data.SQL), maxText)], "")
		attributes = append(attributes, attribute.String("db.query.text", text))
	}
	return m.spans.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// endStatement ends the span. It records only the code of an error, because messages
// and details of PostgreSQL quote values ("Key (email)=(…) already exists").
func endStatement(span trace.Span, data pgx.TraceQueryEndData) {
	if data.Err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", errorType(data.Err)))
	} else {
		span.SetAttributes(attribute.Int64("db.response.returned_rows", data.CommandTag.RowsAffected()))
	}
	span.End()
}

// errorType returns the SQLSTATE of an error, or another reason why the statement
// ended.
func errorType(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "_OTHER"
}

// hasArguments reports whether args contains a value, besides the options for pgx
// with which it may begin.
func hasArguments(args []any) bool {
	for _, arg := range args {
		switch arg.(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
		default:
			return true
		}
	}
	return false
}

// summary returns the first word of a statement, with the table that it writes to:
// "insert into users", "select". The result never contains a value.
func summary(text string) string {
	verb, rest := nextWord(text)
	verb = strings.ToLower(verb[:min(len(verb), 20)])
	switch verb {
	case "insert", "delete":
		preposition := " from "
		if verb == "insert" {
			preposition = " into "
		}
		_, rest = nextWord(rest)
		return verb + preposition + tableName(rest)
	case "update":
		return verb + " " + tableName(rest)
	case "":
		return "statement"
	}
	return verb
}

// tableName returns the name with which text begins, without quotes.
func tableName(text string) string {
	text = strings.TrimLeft(text, space)
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && r != '"' && r != '_' && !isLetter(r) && (r < '0' || '9' < r) })
	if end >= 0 {
		text = text[:end]
	}
	return strings.ReplaceAll(text[:min(len(text), 130)], `"`, "")
}

// space holds the characters between words.
const space = " \t\r\n"

// nextWord returns the first word of text, letters only, and the rest.
func nextWord(text string) (word, rest string) {
	start := 0
	for start < len(text) && strings.IndexByte(space, text[start]) >= 0 {
		start++
	}
	end := start
	for end < len(text) && isLetter(rune(text[end])) {
		end++
	}
	return text[start:end], text[end:]
}

func isLetter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }

// equalFold reports whether a word of letters equals one in lower case, ignoring
// case.
func equalFold(word, lower string) bool {
	if len(word) != len(lower) {
		return false
	}
	for i := range len(word) {
		if word[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
