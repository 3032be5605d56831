package list

import (
	"fmt"
	"strings"
	"testing"

	"roster/problem"
)

// Arguments are numbered in the order in which they are added. A shared clause passes its
// arguments once. A statement with a filter is planned, wherever the filter is.
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
		{name: "none", s: NewStatement("none").Add("select 1").Where(), text: "select 1", args: nil, planned: false},
		{name: "where", s: NewStatement("where").Add("select ?", 0).Where(filter[0]), text: "select $1 where (a = $2)", args: []any{0, 1}, planned: false},
		{name: "filter", s: NewStatement("filter", "now").Add("select $1").Where(filter...).Add(" limit ?", 4),
			text: "select $1 where (a = $2) and (b = $3 or c = $4) limit $5", args: []any{"now", 1, 2, 3, 4}, planned: true},
		{name: "clause", s: NewStatement("clause").Append(filter[1]), text: "b = $1 or c = $2", args: []any{2, 3}, planned: true},
		{name: "shared", s: shared.Add(clause+clause).Add("?", 4), text: " where (a = $2) and (b = $3 or c = $4) where (a = $2) and (b = $3 or c = $4)$5",
			args: []any{"now", 1, 2, 3, 4}, planned: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.s.text.String(); got != c.text || fmt.Sprint(c.s.args) != fmt.Sprint(c.args) || c.s.planned != c.planned {
				t.Errorf("%s, %v, %v", got, c.s.args, c.s.planned)
			}
		})
	}
}

// The words of a term are folded as search texts are; a term that no text can contain
// is refused.
func TestSearchWords(t *testing.T) {
	t.Parallel()
	seventeen := "a b c d e f g h i j k l m n o p q"
	for _, c := range []struct {
		name, term, want string
		invalid          bool
	}{
		{name: "folded", term: " Ada LOVELACE\n", want: "ada lovelace"},
		{name: "signs of patterns", term: "50%", want: "50%"},
		{name: "longest", term: strings.Repeat("a", maxTerm), want: strings.Repeat("a", maxTerm)},
		{name: "blank", term: " \t\u3000"},
		{name: "once", term: "b a B\u00a0b", want: "a b"},
		{name: "shows nothing", term: "\u200b", want: ""},
		{name: "most words", term: seventeen[2:], want: seventeen[2:]},
		{name: "too many words", term: seventeen, invalid: true},
		{name: "too long", term: strings.Repeat("ä", maxTerm/2) + "a", invalid: true},
		{name: "two lines", term: "a\nb", invalid: true},
		{name: "zero character", term: "a\x00", invalid: true},
		{name: "no text", term: "\xff", invalid: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := SearchWords("field", c.term)
			if strings.Join(got, " ") != c.want || problem.Is(err, problem.Invalid) != c.invalid {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all, err := Search("u.search", "field", "50% a_")
	if err != nil || len(all) != 2 || !all[0].planned || all[0].Text != "u.search like ?" || all[0].Args[0] != `%50\%%` ||
		all[1].Text != "u.search like ? or u.search like ?" || fmt.Sprintf("%q", all[1].Args) != `["%\na\\_%" "% a\\_%"]` {
		t.Errorf("%+v, %v", all, err)
	}
}
