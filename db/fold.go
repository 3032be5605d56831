package db

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form in which texts are compared: Unicode NFKC, case folded, so that
// "Ａda@Example.COM" and "ada@example.com" are one address. The columns whose names end
// in _key hold this form.
func Fold(text string) string {
	if isPlain(text) {
		return text
	}
	// Folding can undo the normal form, and normalising can produce letters that fold
	// again. After two rounds, the text stays the same (Unicode, D146).
	for range 2 {
		text = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
	}
	return strings.Map(foldCherokee, text)
}

// foldCherokee folds the one script whose small letters fold to capital ones
// (Unicode, CaseFolding.txt): package cases swaps them.
func foldCherokee(r rune) rune {
	switch {
	case r >= 0xAB70 && r <= 0xABBF:
		return r - 0xAB70 + 0x13A0
	case r >= 0x13F8 && r <= 0x13FD:
		return r - 8
	}
	return r
}

// isPlain reports whether text is printable ASCII without capital letters, which folding
// leaves as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// foldNull is Fold for a text that may be nil.
func foldNull(text *string) *string {
	if text == nil {
		return nil
	}
	folded := Fold(*text)
	return &folded
}

// searchText joins the folded texts, each after a line break, so that a term never
// matches across two of them, and "\n" + term matches at the beginning of one.
func searchText(texts ...*string) string {
	var b strings.Builder
	for _, text := range texts {
		if text != nil && *text != "" {
			b.WriteByte('\n')
			b.WriteString(Fold(*text))
		}
	}
	return b.String()
}

// SearchPattern returns the pattern for LIKE that finds the term in a search column. A
// term of 3 characters or more matches any part of a text, by a trigram index. A
// shorter term matches only the beginning of a text, because only there it has
// trigrams.
func SearchPattern(term string) string {
	term = likeEscaper.Replace(Fold(term))
	if len([]rune(term)) < 3 {
		return "%\n" + term + "%"
	}
	return "%" + term + "%"
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
