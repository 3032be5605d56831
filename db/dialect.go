package db

import (
	"bytes"

	"github.com/uptrace/bun/dialect/pgdialect"
)

// dialect writes JSON into statements as it is. bun's own doubles a backslash
// before u0000, also one that is a character of the text before it, and so makes
// a NUL of the harmless text \u0000.
type dialect struct{ *pgdialect.Dialect }

func (dialect) AppendJSON(b, json []byte) []byte {
	b = append(b, '\'')
	b = append(b, bytes.ReplaceAll(json, []byte("'"), []byte("''"))...)
	return append(b, '\'')
}
