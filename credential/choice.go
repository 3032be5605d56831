package credential

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"roster/db"
	"roster/problem"
	"roster/secret"
)

// The length of the longest password, in characters (code points of its NFC), and in bytes
// before that form is made: Hangul is three times as long in other forms.
const (
	maxPassword      = 256
	maxPasswordBytes = 4 << 10
)

// commonFile has passwords that many people use, of at least 8 characters, in small letters
// and one on each line. common.LICENSE says where they are from.
//
//go:embed common.txt
var commonFile string

// common is commonFile with a line break before each password, and behind the last one.
var common = "\n" + commonFile

// CheckPassword returns INVALID for a password that nobody should choose: one with fewer
// than minimum characters or more than 256, one that many people use, and one that
// consists of one of the words, such as the user's address or the name of the business,
// and of digits and signs around it. Of what is repeated again and again, the first
// time counts. Case makes no difference, and there are no rules about
// kinds of characters (NIST SP 800-63B-4, 3.1.1.2).
func CheckPassword(password secret.Text, minimum int, words ...string) error {
	if err := checkSize(password); err != nil {
		return err
	}
	text := normal(password)
	if !utf8.ValidString(text) {
		return problem.New(problem.Invalid, "A password is text in UTF-8.")
	}
	if utf8.RuneCountInString(text) < minimum {
		return problem.New(problem.Invalid, "A password has at least %d characters. Several words in a row are easy to remember.", minimum)
	}
	folded := db.Fold(text)
	unit := repeated(folded)
	if utf8.RuneCountInString(unit) < 4 || isCommon(folded) || isCommon(unit) {
		return problem.New(problem.Invalid, "Many people use this password, so that others guess it. Choose several words that do not belong together.")
	}
	for _, word := range words {
		if isOnly(folded, word) || isOnly(unit, word) {
			return problem.New(problem.Invalid, "This password is a name or an address that others know. Choose several words that do not belong together.")
		}
	}
	return nil
}

// checkSize returns INVALID for a password that is too long. It looks at the bytes first.
func checkSize(password secret.Text) error {
	if len(password.Reveal()) > maxPasswordBytes || utf8.RuneCountInString(normal(password)) > maxPassword {
		return problem.New(problem.Invalid, "A password has at most %d characters.", maxPassword)
	}
	return nil
}

// isCommon reports whether many people use the folded password.
func isCommon(folded string) bool {
	return strings.Contains(common, "\n"+folded+"\n")
}

// isOnly reports whether the folded password is the word, or the part of an address before
// its @, with nothing but digits, signs and spaces around it.
func isOnly(folded, word string) bool {
	core := letters(folded)
	word = db.Fold(word)
	local, _, _ := strings.Cut(word, "@")
	return core != "" && (core == letters(word) || core == letters(local))
}

// letters returns text from its first letter to its last one.
func letters(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
}

// repeated returns the shortest beginning of text that yields all of text when it is
// repeated and cut: "abc" for "abcabcab". It is text itself if nothing is repeated.
func repeated(text string) string {
	// border[i] is the length of the longest proper beginning of text[:i+1] that is also
	// its end (the prefix function of Knuth, Morris and Pratt).
	border := make([]int, len(text))
	for i := 1; i < len(text); i++ {
		n := border[i-1]
		for n > 0 && text[i] != text[n] {
			n = border[n-1]
		}
		if text[i] == text[n] {
			n++
		}
		border[i] = n
	}
	if len(text) == 0 {
		return text
	}
	return text[:len(text)-border[len(text)-1]]
}
