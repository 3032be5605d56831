package graph

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"roster/problem"
)

// What the JSON of a request may have. A change of 1,000 members by 20 roles has
// some 3,000 values; a value takes up to 400 bytes of memory.
const (
	maxJSONDepth  = 64
	maxJSONValues = 30_000
)

// Errors of parseJSON. What is malformed is not echoed: it may hold secrets.
var (
	errNotText    = problem.New(problem.Invalid, "The body is not Unicode text.")
	errNotJSON    = problem.New(problem.Invalid, "The body is not JSON.")
	errTwice      = problem.New(problem.Invalid, "No name may occur twice in a JSON object.")
	errJSONDeep   = problem.New(problem.Invalid, "JSON may nest at most %d deep.", maxJSONDepth)
	errJSONValues = problem.New(problem.Invalid, "A request has at most %d JSON values.", maxJSONValues)
)

// parseJSON reads one JSON value (RFC 8259), with numbers as json.Number. It is
// stricter than encoding/json: the text is UTF-8 without half surrogates, which
// Go would replace without a word; names are unique; depth and number of values
// are bounded. And it takes a third of the time.
func parseJSON(text []byte) (any, error) {
	if !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, errNotText
	}
	p := jsonParser{text: text, names: map[string]string{}}
	value, err := p.value(0)
	if err == nil && p.next() != end {
		err = errNotJSON
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// jsonParser reads text from a place on.
type jsonParser struct {
	text   []byte
	at     int
	values int
	// names are those of objects so far: many objects have the same.
	names map[string]string
}

// end stands for the character after the last one.
const end = 0

// next gives the next character that is no space, without passing it.
func (p *jsonParser) next() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
		case end: // which no JSON has
			return 0xFF
		default:
			return c
		}
	}
	return end
}

func (p *jsonParser) value(depth int) (any, error) {
	if p.values++; p.values > maxJSONValues {
		return nil, errJSONValues
	}
	if depth > maxJSONDepth {
		return nil, errJSONDeep
	}
	switch c := p.next(); c {
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth)
	case '"':
		return p.string()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		return p.number()
	}
}

func (p *jsonParser) word(word string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(word)) {
		return errNotJSON
	}
	p.at += len(word)
	return nil
}

func (p *jsonParser) number() (any, error) {
	begin := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789Ee", p.text[p.at]) >= 0 {
		p.at++
	}
	if !json.Valid(p.text[begin:p.at]) {
		return nil, errNotJSON
	}
	return json.Number(p.text[begin:p.at]), nil
}

func (p *jsonParser) string() (string, error) {
	begin, escaped := p.at, false
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return unquoted(p.text[begin:p.at], escaped)
		case c < ' ':
			return "", errNotJSON
		case c == '\\':
			escaped = true
			p.at++
		}
	}
	return "", errNotJSON
}

// name is string for the name of a member.
func (p *jsonParser) name() (string, error) {
	if length := bytes.IndexByte(p.text[p.at+1:], '"'); length >= 0 {
		if known, ok := p.names[string(p.text[p.at+1:p.at+1+length])]; ok {
			p.at += length + 2
			return known, nil
		}
	}
	begin := p.at + 1
	name, err := p.string()
	if err == nil && begin+len(name) == p.at-1 { // else it was written with escapes
		p.names[name] = name
	}
	return name, err
}

func unquoted(quoted []byte, escaped bool) (text string, err error) {
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	if json.Unmarshal(quoted, &text) != nil {
		return "", errNotJSON
	}
	return text, nil
}

func (p *jsonParser) list(depth int) (any, error) {
	list := []any{}
	if p.opened(']') {
		return list, nil
	}
	for {
		element, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
		if more, err := p.more(']'); !more {
			return list, err
		}
	}
}

func (p *jsonParser) object(depth int) (any, error) {
	object := map[string]any{}
	if p.opened('}') {
		return object, nil
	}
	for {
		if err := p.member(object, depth); err != nil {
			return nil, err
		}
		if more, err := p.more('}'); !more {
			return object, err
		}
	}
}

func (p *jsonParser) member(object map[string]any, depth int) error {
	if p.next() != '"' {
		return errNotJSON
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	if _, twice := object[name]; twice {
		return errTwice
	}
	if p.next() != ':' {
		return errNotJSON
	}
	p.at++
	object[name], err = p.value(depth + 1)
	return err
}

// opened passes an opening bracket, and the closing one if it comes at once.
func (p *jsonParser) opened(closing byte) (empty bool) {
	p.at++
	if p.next() == closing {
		p.at++
		return true
	}
	return false
}

// more passes a comma, or the closing bracket.
func (p *jsonParser) more(closing byte) (bool, error) {
	switch p.next() {
	case ',':
		p.at++
		return true, nil
	case closing:
		p.at++
		return false, nil
	}
	return false, errNotJSON
}

// hasLoneSurrogate finds half of a surrogate pair among the \u escapes of JSON
// or GraphQL text. Go would put U+FFFD in its place without a word.
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
			i++ // the escaped character is none that begins an escape
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

// surrogate tells which half of a pair an escape with these first digits is, if
// any: D800 to DBFF or DC00 to DFFF.
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
