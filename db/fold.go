package db

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Storable reports whether the database can hold a text: it can hold neither zero
// characters nor invalid UTF-8.
func Storable(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

// Fold returns the form in which texts are compared: NFKC_Casefold of Unicode
// (3.13, D146 and the property NFKC_CF). "Ａda" and "ada" are one text in it,
// and characters that show nothing are left out. The columns ending in _key
// hold it.
//
// It returns up to 11 times as many bytes as it is given. Bound a text before
// it is folded.
func Fold(text string) string {
	if isPlain(text) {
		return text
	}
	// Folding can undo the normal form, and normalising the folded text can
	// give letters that fold again. Two rounds settle it.
	for range 2 {
		text = strings.Map(dropIgnorable, norm.NFKC.String(text))
		text = norm.NFKC.String(cases.Fold().String(text))
	}
	return strings.Map(foldCherokee, text)
}

func dropIgnorable(r rune) rune {
	if Ignorable(r) {
		return -1
	}
	return r
}

// Ignorable reports whether a character shows nothing by itself (the property
// Default_Ignorable_Code_Point of Unicode), such as U+200B ZERO WIDTH SPACE.
// Joiners and variation selectors are among them.
func Ignorable(r rune) bool {
	switch {
	case r < 0xAD:
		return false
	case r >= 0xFFF9 && r <= 0xFFFB || r >= 0x13430 && r <= 0x13440: // annotations and hieroglyphs in groups show something
		return false
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
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

// isPlain reports whether text is printable ASCII without capital letters, which
// folding leaves as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// foldNull is Fold for a text that may be absent.
func foldNull(text *string) *string {
	if text == nil {
		return nil
	}
	folded := Fold(*text)
	return &folded
}

// maxSortKey is the most bytes that lists are ordered by. An index takes no more
// than some 2,700.
const maxSortKey = 1000

// sortKey returns the beginning of the folded name, by which lists are ordered.
func sortKey(name string) string {
	key := Fold(name)
	if len(key) > maxSortKey {
		key = strings.ToValidUTF8(key[:maxSortKey], "")
	}
	return key
}
