package transport

// hasLoneSurrogate reports whether the \u escapes of JSON or GraphQL text have half
// of a surrogate pair, which Go's libraries would replace by U+FFFD silently.
func hasLoneSurrogate[T string | []byte](text T) bool {
	high := -1 // where the low half of a pair must follow
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			if high >= 0 && i >= high {
				return true
			}
			continue
		}
		if text[i+1] != 'u' || i+6 > len(text) {
			if high >= 0 && i >= high {
				return true
			}
			i++ // the escaped character begins no other escape
			continue
		}
		half := surrogate(text[i+2], text[i+3])
		switch {
		case high >= 0 && (half != lowHalf || i != high), high < 0 && half == lowHalf:
			return true
		case half == highHalf:
			high = i + 6
		default:
			high = -1
		}
		i += 5
	}
	return high >= 0
}

const (
	noHalf = iota
	highHalf
	lowHalf
)

// surrogate returns which half of a pair an escape with these first two digits is:
// D800 to DBFF, DC00 to DFFF, or neither.
func surrogate(first, second byte) int {
	if first|0x20 != 'd' {
		return noHalf
	}
	switch c := second | 0x20; {
	case second == '8' || second == '9' || c == 'a' || c == 'b':
		return highHalf
	case c >= 'c' && c <= 'f':
		return lowHalf
	}
	return noHalf
}
