package mail

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// maxShown is how many characters of a text from outside are shown.
const maxShown = 64

// plain returns text as it may stand in a line of a mail: without control characters
// and invisible ones (which may turn the direction of what follows), its white space
// single spaces, and with at most maxShown characters.
func plain(text string) string {
	const enough = 8 * maxShown // bytes, before anything looks at them
	text = strings.ToValidUTF8(text[:min(len(text), enough)], "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	return strings.TrimSpace(string(runes[:min(len(runes), maxShown)]))
}

// misleading matches texts that mail programs turn into links, and those that could be
// taken for a code.
var misleading = regexp.MustCompile(`[/@\\]|\p{L}\.\p{L}{2}|\d[\d\s-]{6,}\d`)

// personal returns a text that somebody else than the business has chosen, such as the
// name of a person, as plain does. It is empty if it could mislead the reader.
func personal(text string) string {
	text = plain(text)
	if misleading.MatchString(text) {
		return ""
	}
	return text
}

var longNumber = regexp.MustCompile(`\d{8,}`)

// spaced returns text with spaces in numbers that are as long as a code, so that
// nothing else is taken for the code.
func spaced(text string) string {
	return longNumber.ReplaceAllStringFunc(text, func(number string) string {
		var b strings.Builder
		for i, digit := range number {
			if i > 0 && i%4 == 0 {
				b.WriteByte(' ')
			}
			b.WriteRune(digit)
		}
		return b.String()
	})
}

// webAddress returns the address of a web page, or "" for other text. Numbers in it
// that are as long as a code have some digits in their percent-encoded form, which is
// the same address (RFC 3986, 2.3). Text beyond ASCII has to be encoded already.
func webAddress(text string) string {
	const longest = 2048 // bytes
	u, err := url.Parse(text)
	if err != nil || len(text) > longest || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'<>\`, r) }) {
		return ""
	}
	return longNumber.ReplaceAllStringFunc(text, func(number string) string {
		var b strings.Builder
		for i, digit := range number {
			if i%4 == 3 {
				b.WriteString("%3")
			}
			b.WriteRune(digit)
		}
		return b.String()
	})
}
