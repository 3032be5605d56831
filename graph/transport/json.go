package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"roster/problem"
)

// What the JSON of a request may have. A change of 1,000 members by 20 roles has
// some 3,000 values; a value takes up to 400 bytes of memory.
const (
	maxJSONDepth  = 64
	maxJSONValues = 30_000
)

// Errors of parseJSON. They do not repeat the text, which may hold secrets.
var (
	errNotText    = problem.New(problem.Invalid, "The body is not Unicode text.")
	errNotJSON    = problem.New(problem.Invalid, "The body is not JSON.")
	errTwice      = problem.New(problem.Invalid, "No name may occur twice in a JSON object.")
	errJSONDeep   = problem.New(problem.Invalid, "JSON may nest at most %d deep.", maxJSONDepth)
	errJSONValues = problem.New(problem.Invalid, "A request has at most %d JSON values.", maxJSONValues)
)

// parseJSON returns one JSON value (RFC 8259), with numbers as json.Number. It is
// stricter than encoding/json: the text must be UTF-8 without half surrogates, which
// encoding/json would replace silently; names must be unique; depth and number of
// values are bounded.
func parseJSON(text []byte) (any, error) {
	if !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, errNotText
	}
	p := jsonParsers.Get().(*jsonParser)
	defer p.release()
	p.text = *bytes.NewBuffer(text)
	p.decoder.Reset(&p.text, jsontext.AllowDuplicateNames(true)) // member finds them, at no cost
	value, err := p.value()
	if err == nil {
		if _, rest := p.decoder.ReadToken(); !errors.Is(rest, io.EOF) {
			err = errNotJSON
		}
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// jsonParser reads values from tokens.
type jsonParser struct {
	text    bytes.Buffer
	decoder jsontext.Decoder
	values  int
	// names are the names that have occurred: many objects have the same.
	names map[string]string
}

var jsonParsers = sync.Pool{New: func() any { return &jsonParser{names: map[string]string{}} }}

// maxPooledNames is how many names a parser may have room for that is kept.
const maxPooledNames = 64

// release keeps the parser, without anything of the text, for another one.
func (p *jsonParser) release() {
	if len(p.names) > maxPooledNames {
		return
	}
	clear(p.names)
	p.text, p.values = bytes.Buffer{}, 0
	p.decoder.Reset(&p.text)
	jsonParsers.Put(p)
}

func (p *jsonParser) value() (any, error) {
	if p.values++; p.values > maxJSONValues {
		return nil, errJSONValues
	}
	if p.decoder.StackDepth() > maxJSONDepth {
		return nil, errJSONDeep
	}
	kind := p.decoder.PeekKind()
	switch kind {
	case '{':
		return p.object()
	case '[':
		return p.list()
	}
	text, err := p.decoder.ReadValue()
	if err != nil {
		return nil, errNotJSON
	}
	switch kind {
	case '"':
		return unquote(text)
	case '0':
		return json.Number(text), nil
	case 'n':
		return nil, nil
	}
	return kind == 't', nil
}

func (p *jsonParser) list() (any, error) {
	list := []any{}
	if _, err := p.decoder.ReadToken(); err != nil {
		return nil, errNotJSON
	}
	for p.more(']') {
		element, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, p.end()
}

func (p *jsonParser) object() (any, error) {
	object := map[string]any{}
	if _, err := p.decoder.ReadToken(); err != nil {
		return nil, errNotJSON
	}
	for p.more('}') {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, errTwice
		}
		if object[name], err = p.value(); err != nil {
			return nil, err
		}
	}
	return object, p.end()
}

// more reports whether a list or an object goes on. It is false at what is not
// JSON, too, which end reports then.
func (p *jsonParser) more(closing jsontext.Kind) bool {
	kind := p.decoder.PeekKind()
	return kind != closing && kind != jsontext.KindInvalid
}

func (p *jsonParser) end() error {
	if _, err := p.decoder.ReadToken(); err != nil {
		return errNotJSON
	}
	return nil
}

// name returns the name of a member. Equal names share their memory.
func (p *jsonParser) name() (string, error) {
	quoted, err := p.decoder.ReadValue()
	if err != nil || quoted.Kind() != '"' {
		return "", errNotJSON
	}
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return unquote(quoted)
	}
	text := quoted[1 : len(quoted)-1]
	name, known := p.names[string(text)]
	if !known {
		name = string(text)
		p.names[name] = name
	}
	return name, nil
}

// unquote returns the text of a string, which the decoder has checked.
func unquote(quoted jsontext.Value) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", errNotJSON
	}
	return string(text), nil
}
