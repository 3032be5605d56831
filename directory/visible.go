package directory

import (
	"strings"
	"unicode"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"roster/db"
)

const (
	zeroWidthNonJoiner = '\u200C'
	zeroWidthJoiner    = '\u200D'
	brailleBlank       = '\u2800'
	enclosingKeycap    = '\u20E3'
)

// allVisible reports whether each character of a name shows something, or decides
// how its neighbours look (decisions/0008): a joiner where a script needs one, a
// selector of the variant of a letter or emoji.
func allVisible(name string) bool {
	if isASCII(name) {
		return true
	}
	runes := []rune(name)
	for i, r := range runes {
		if showsNothing(r) && !joins(runes, i) && !selects(runes, i) {
			return false
		}
	}
	return true
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// showsNothing reports whether a character by itself is empty: the ignorable ones
// of Unicode, and those which look like a space and are not one.
func showsNothing(r rune) bool {
	return db.Ignorable(r) || r == brailleBlank || r >= 0xFFF9 && r <= 0xFFFB
}

// joins reports whether the character is a joiner at a place where it makes a
// difference: by RFC 5892, A.1 and A.2; before a virama, as Bengali has it; or
// between the parts of an emoji.
func joins(runes []rune, i int) bool {
	before, after := neighbours(runes, i)
	switch runes[i] {
	case zeroWidthJoiner:
		return isVirama(before) || isVirama(after) && unicode.IsLetter(before) || isPictograph(baseOf(runes, i)) && isPictograph(after)
	case zeroWidthNonJoiner:
		return joinsByRule(runes, i)
	}
	return false
}

// joinsByRule asks package precis, which has the joining types of letters, about
// the word that has the character.
func joinsByRule(runes []rune, i int) bool {
	from, to := i, i
	for from > 0 && isOfWord(runes[from-1]) {
		from--
	}
	for to < len(runes) && (to == i || isOfWord(runes[to])) {
		to++
	}
	_, err := precis.OpaqueString.String(string(runes[from:to]))
	return err == nil
}

// isOfWord reports whether the letters at both sides of a joiner may go on with
// this character.
func isOfWord(r rune) bool { return unicode.In(r, unicode.L, unicode.M) && !db.Ignorable(r) }

// selects reports whether the character selects a variant of the one before it,
// which has some.
func selects(runes []rune, i int) bool {
	before, after := neighbours(runes, i)
	switch r := runes[i]; {
	case !unicode.Is(unicode.Variation_Selector, r) && r != '\u180E':
		return false
	case r >= '\u180B' && r <= '\u180F':
		return unicode.Is(unicode.Mongolian, before)
	case r == '\uFE0E' || r == '\uFE0F':
		return isPictograph(before) || after == enclosingKeycap
	default:
		return unicode.Is(unicode.Han, before)
	}
}

// neighbours returns the characters beside one; 0 stands for none.
func neighbours(runes []rune, i int) (before, after rune) {
	if i > 0 {
		before = runes[i-1]
	}
	if i+1 < len(runes) {
		after = runes[i+1]
	}
	return before, after
}

// baseOf returns the emoji before a place, without its variant and its colour of
// skin.
func baseOf(runes []rune, i int) rune {
	before, _ := neighbours(runes, i)
	if before == '\uFE0F' || before >= 0x1F3FB && before <= 0x1F3FF {
		before, _ = neighbours(runes, i-1)
	}
	return before
}

// isPictograph reports whether a character can be an emoji.
func isPictograph(r rune) bool { return r > unicode.MaxASCII && unicode.In(r, unicode.So, unicode.Sm) }

// isVirama reports whether a character silences the vowel of the letter before it
// (canonical combining class 9).
func isVirama(r rune) bool { return norm.NFC.PropertiesString(string(r)).CCC() == 9 }
