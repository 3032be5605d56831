package db

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold gives the form in which texts are compared: Unicode NFKC, case folded,
// so that "Ａda@Example.COM" and "ada@example.com" are one address. It is what
// the columns ending in _key hold.
func Fold(text string) string {
	if isPlain(text) {
		return text
	}
	// Folding can undo the normal form, and normalising the folded text can
	// give letters that fold again; two rounds settle it (Unicode, D146).
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

// isPlain tells whether text is printable ASCII without capital letters, which
// folding leaves as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// foldNull is Fold for what may be absent.
func foldNull(text *string) *string {
	if text == nil {
		return nil
	}
	folded := Fold(*text)
	return &folded
}

// searchText joins the folded texts by lines, one before each: a search for a
// part of one never matches across two, and "\n" + term finds beginnings.
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

// SearchPattern gives the pattern for LIKE by which a search column is matched:
// any part of it from 3 characters on, which a trigram index finds; only
// beginnings for shorter terms, since their trigrams exist there alone.
func SearchPattern(term string) string {
	term = likeEscaper.Replace(Fold(term))
	if len([]rune(term)) < 3 {
		return "%\n" + term + "%"
	}
	return "%" + term + "%"
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
