package list

import (
	"fmt"
	"strings"
	"testing"

	"roster/problem"
)

// Arguments are numbered in the order in which they are added, and those of a shared
// clause are passed once. A filter makes the statement be planned, wherever it is.
func TestStatement(t *testing.T) {
	t.Parallel()
	filter := []Clause{Where("a = ?", 1), Filter("b = ? or c = ?", 2, 3)}
	shared := NewStatement("shared", "now")
	clause := shared.Shared(filter...)
	for _, c := range []struct {
		name    string
		s       *Statement
		text    string
		args    []any
		planned bool
	}{
		{"none", NewStatement("none").Add("select 1").Where(), "select 1", nil, false},
		{"where", NewStatement("where").Add("select ?", 0).Where(filter[0]), "select $1 where (a = $2)", []any{0, 1}, false},
		{"filter", NewStatement("filter", "now").Add("select $1").Where(filter...).Add(" limit ?", 4),
			"select $1 where (a = $2) and (b = $3 or c = $4) limit $5", []any{"now", 1, 2, 3, 4}, true},
		{"clause", NewStatement("clause").Append(filter[1]), "b = $1 or c = $2", []any{2, 3}, true},
		{"shared", shared.Add(clause+clause).Add("?", 4), " where (a = $2) and (b = $3 or c = $4) where (a = $2) and (b = $3 or c = $4)$5",
			[]any{"now", 1, 2, 3, 4}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.s.text.String(); got != c.text || fmt.Sprint(c.s.args) != fmt.Sprint(c.args) || c.s.planned != c.planned {
				t.Errorf("%s, %v, %v", got, c.s.args, c.s.planned)
			}
		})
	}
}

// A term is folded as search texts are; one that no text can contain is refused.
func TestSearchTerm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, term, want string }{
		{"folded", " Ada LOVELACE\n", "ada lovelace"},
		{"signs of patterns", "50%", "50%"},
		{"longest", strings.Repeat("a", maxTerm), strings.Repeat("a", maxTerm)},
		{"blank", " \t", ""},
		{"too long", strings.Repeat("ä", maxTerm/2) + "a", ""},
		{"two lines", "a\nb", ""},
		{"zero character", "a\x00", ""},
		{"no text", "\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := SearchTerm("field", c.term)
			if got != c.want || problem.Is(err, problem.Invalid) != (c.want == "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if c, err := Search("u.search", "field", "50%"); err != nil || !c.planned || c.Text != "u.search like ?" || c.Args[0] != `%50\%%` {
		t.Errorf("%+v, %v", c, err)
	}
}
