package list

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"roster/db"
	"roster/problem"
)

// Fields are the fields of a row that a query asks for, by their JSON names, which
// are the names in GraphQL. Names of other things are ignored; nil asks for all.
type Fields []string

// Columns returns the columns of T's table to read for the fields, each with the
// table's alias.
func Columns[T any](d *db.DB, alias string, fields Fields) string {
	return alias + "." + strings.Join(db.Columns[T](d, fields), ", "+alias+".")
}

// ColumnsAs returns the same columns to be read into an embedded row, whose columns
// have the prefix. Each follows a comma.
func ColumnsAs[T any](d *db.DB, alias, prefix string, fields Fields) string {
	var b strings.Builder
	for _, column := range db.Columns[T](d, fields) {
		b.WriteString(", " + alias + "." + column + " as " + prefix + column)
	}
	return b.String()
}

// Search returns the condition that a column of folded search text contains the
// term. It returns INVALID, about the field, for a term that cannot be searched for.
func Search(column, field, term string) (Clause, error) {
	term, err := SearchTerm(field, term)
	return Filter(column+" like ?", db.SearchPattern(term)), err
}

// maxTerm is the length of the longest search term, in bytes.
const maxTerm = 200

// SearchTerm returns the term in folded form, as search texts are. It returns
// INVALID, about the field, for a term that cannot be searched for.
func SearchTerm(field, term string) (string, error) {
	term = strings.TrimSpace(term)
	if term == "" {
		return "", problem.At(problem.Invalid, field, "Search for at least one character.")
	}
	if len(term) > maxTerm {
		return "", problem.At(problem.Invalid, field, "At most %d bytes.", maxTerm)
	}
	// Among them the line break between the texts that are searched: no term matches
	// across two.
	if !utf8.ValidString(term) || strings.ContainsFunc(term, unicode.IsControl) {
		return "", problem.At(problem.Invalid, field, "No control characters.")
	}
	return db.Fold(term), nil
}
