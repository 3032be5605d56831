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

// maxText is how many bytes of a statement a span holds: lists of placeholders
// can be long.
const maxText = 4096

// startStatement begins the span of a statement.
//
// Its text is told only if it was run with arguments, which means that values
// stand beside it and not in it. bun writes values into the text, and these are
// personal data: of its statements only the summary is told.
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

// endStatement ends the span. Of an error it tells the code alone: messages and
// details of PostgreSQL quote values ("Key (email)=(…) already exists").
func endStatement(span trace.Span, data pgx.TraceQueryEndData) {
	if data.Err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", errorType(data.Err)))
	} else {
		span.SetAttributes(attribute.Int64("db.response.returned_rows", data.CommandTag.RowsAffected()))
	}
	span.End()
}

// errorType is the SQLSTATE of an error, or what else ended the statement.
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

// hasArguments tells whether there are values among the arguments, which begin
// with options for pgx.
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

// summary is the first word of a statement, with the table that it writes to:
// "insert into users", "select". It never holds a value.
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
		return verb + preposition + table(rest)
	case "update":
		return verb + " " + table(rest)
	case "":
		return "statement"
	}
	return verb
}

// table is the name that text begins with, without quotes.
func table(text string) string {
	text = strings.TrimLeft(text, space)
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && r != '"' && r != '_' && !isLetter(r) && (r < '0' || '9' < r) })
	if end >= 0 {
		text = text[:end]
	}
	return strings.ReplaceAll(text[:min(len(text), 130)], `"`, "")
}

// space is what stands between words.
const space = " \t\r\n"

// nextWord splits off the letters that text begins with.
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

// equalFold compares a word of letters with one in lower case.
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
