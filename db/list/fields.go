package list

import (
	"slices"
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

// Search returns the conditions that a column of folded search text has the words
// of the term: one for each, none for a blank term. It returns INVALID, about the
// field, for a term that cannot be searched for.
func Search(column, field, term string) ([]Clause, error) {
	words, err := SearchWords(field, term)
	if err != nil {
		return nil, err
	}
	conditions := make([]Clause, len(words))
	for i, word := range words {
		patterns := db.SearchPatterns(word)
		parts, args := make([]string, len(patterns)), make([]any, len(patterns))
		for j, pattern := range patterns {
			parts[j], args[j] = column+" like ?", pattern
		}
		conditions[i] = Filter(strings.Join(parts, " or "), args...)
	}
	return conditions, nil
}

// A search term has at most so many bytes, and so many words, each of which is
// looked for by itself.
const (
	maxTerm  = 200
	maxWords = 16
)

// SearchWords returns the words of the term in folded form, as search texts are,
// each once; none for a blank term. It returns INVALID, about the field, for a term
// that cannot be searched for.
func SearchWords(field, term string) ([]string, error) {
	term = strings.TrimSpace(term)
	if len(term) > maxTerm {
		return nil, problem.At(problem.Invalid, field, "At most %d bytes.", maxTerm)
	}
	// Among them the line break between the texts that are searched: no word matches
	// across two.
	if !utf8.ValidString(term) || strings.ContainsFunc(term, unicode.IsControl) {
		return nil, problem.At(problem.Invalid, field, "No control characters.")
	}
	words := strings.Fields(db.Fold(term))
	slices.Sort(words)
	if words = slices.Compact(words); len(words) > maxWords {
		return nil, problem.At(problem.Invalid, field, "At most %d words.", maxWords)
	}
	return words, nil
}
