package directory

import (
	"strings"
	"unicode"

	"roster/db"
	"roster/problem"
)

// Fields are the fields of a row that a query asks for, by their JSON names
// (which are those of GraphQL); names of other things are passed over. nil asks
// for all.
type Fields []string

// selected gives the columns of T's table to read for the fields, each with the
// table's alias.
func selected[T any](d *Directory, alias string, fields Fields) string {
	return alias + "." + strings.Join(db.Columns[T](d.db, fields), ", "+alias+".")
}

// searchCondition matches a column of folded search text.
func searchCondition(column, field, term string) (condition, error) {
	term, err := searchTerm(field, term)
	return filtered(column+" like ?", db.SearchPattern(term)), err
}

// searchTerm checks and folds what is searched for.
func searchTerm(field, term string) (string, error) {
	term = strings.TrimSpace(term)
	if term == "" {
		return "", problem.At(problem.Invalid, field, "Search for at least one character.")
	}
	if len(term) > maxName {
		return "", problem.At(problem.Invalid, field, "At most %d bytes.", maxName)
	}
	// Among them the line break between the texts that are searched: no term
	// matches across two.
	if !storable(term) || strings.ContainsFunc(term, unicode.IsControl) {
		return "", problem.At(problem.Invalid, field, "No control characters.")
	}
	return db.Fold(term), nil
}
