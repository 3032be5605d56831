package db

import "strings"

// searchText returns what a search column holds: the folded texts, each on a
// line of its own, so that no word matches across two.
func searchText(texts ...*string) string {
	var b strings.Builder
	var last string
	for _, text := range texts {
		if text == nil {
			continue
		}
		if folded := Fold(*text); folded != "" && folded != last {
			b.WriteByte('\n')
			b.WriteString(folded)
			last = folded
		}
	}
	return b.String()
}

// shortWord is the number of characters from which on a word matches anywhere: an
// index of trigrams finds it then. Trigrams of shorter ones exist at the
// beginnings of words alone.
const shortWord = 3

// SearchPatterns returns the patterns for LIKE of which a search column matches
// one if it has the folded word: any part of it, or the beginning of a word if
// this one has less than 3 characters.
func SearchPatterns(word string) []string {
	escaped := likeEscaper.Replace(word)
	if len([]rune(word)) < shortWord {
		return []string{"%\n" + escaped + "%", "% " + escaped + "%"}
	}
	return []string{"%" + escaped + "%"}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
