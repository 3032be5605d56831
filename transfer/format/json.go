package format

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// decoder decodes JSON from memory. Those for values within others are used again and again.
type decoder struct {
	*jsontext.Decoder
	from bytes.Reader
}

// decoders are for values that were parsed before as parts of others.
var decoders = sync.Pool{New: func() any { return newDecoder(jsontext.AllowDuplicateNames(true)) }}

func newDecoder(o ...jsontext.Options) *decoder {
	return &decoder{Decoder: jsontext.NewDecoder(bytes.NewReader(nil), o...)}
}

// on makes the decoder read v.
func (d *decoder) on(v []byte, o ...jsontext.Options) {
	d.from.Reset(v)
	d.Reset(&d.from, o...)
}

// members calls f for each member of an object, with its name and its value, which are valid
// during the call. It does nothing if v is no object.
func members(v jsontext.Value, f func(name string, v jsontext.Value)) {
	if v.Kind() != '{' {
		return
	}
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.on(v, jsontext.AllowDuplicateNames(true))
	d.members(func(name []byte, v jsontext.Value) { f(string(name), v) }) //nolint:errcheck // it was parsed before
}

// members calls f for each member of the object that comes next.
func (d *decoder) members(f func(name []byte, v jsontext.Value)) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var name []byte
	for d.PeekKind() == '"' {
		quoted, err := d.ReadValue()
		if err != nil {
			return err
		}
		name, _ = jsontext.AppendUnquote(name[:0], quoted) // has no error: it was parsed
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		f(name, v)
	}
	_, err := d.ReadToken()
	return err
}

// elements calls f for each element of an array, which is valid during the call. It reports
// whether v is an array.
func elements(v jsontext.Value, f func(v jsontext.Value)) bool {
	if v.Kind() != '[' {
		return false
	}
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.on(v, jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() != ']' {
		one, err := d.ReadValue()
		if err != nil {
			return false
		}
		f(one)
	}
	return true
}

// unquoted returns the text that a string of JSON stands for. It was parsed before.
func unquoted(v jsontext.Value) string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, v) // has no error: it was parsed
	return string(text)
}

// objects reads JSON: an object a line, or the elements of an array, or objects over several
// lines. An object at fault costs itself.
type objects struct {
	reader *Reader
	source *source
	names  names
	// organizations says that the objects are organizations.
	organizations bool
	// byLine says that each line is an object.
	byLine bool
	// inList says that the objects are in an array, which has begun.
	inList bool
	after  bool // the array has ended
	// rescanned is how much was read again since resume found an object in another, in bytes.
	rescanned int
	// known has the members by their names in the file.
	known   map[string]column
	decoder *decoder
}

// So many names of members are remembered. Unknown ones beyond are passed over without a
// word. No field has a name of more bytes.
const (
	maxNames = 1000
	maxName  = 200
)

// maxRescanned bounds how much is read again since reading resumed within what was taken for
// one object, in bytes: each time, that may be a whole record.
const maxRescanned = 64 << 20

// next returns the next record.
func (o *objects) next() (Record, error) {
	if o.byLine {
		return o.nextLine()
	}
	return o.nextElement()
}

func (o *objects) nextLine() (Record, error) {
	for {
		line := o.source.line
		end, next, err := o.source.lineEnd()
		if errors.Is(err, errTooLong) {
			return malformed(line, errRowTooLong.Error()), o.source.skipLine()
		}
		if err != nil {
			return Record{}, err
		}
		text := o.source.window()[:end]
		o.source.take(next, 1)
		if !isBlank(text, ' ') {
			record, _ := o.record(line, text)
			return record, nil
		}
	}
}

// record returns the record that an object is, and whether it is one.
func (o *objects) record(line int, raw []byte) (Record, bool) {
	d := o.reader.newDraft(line)
	if o.organizations {
		d.Organization = &Organization{}
	}
	if jsontext.Value(raw).Kind() != '{' {
		return malformed(line, "An object of JSON is needed here, not "+quoted(string(bytes.TrimSpace(raw)))+"."), false
	}
	o.decoder.on(raw)
	err := o.decoder.members(func(name []byte, v jsontext.Value) {
		if m := o.member(d, name); m.field != nil && m.field.set != nil && v.Kind() != 'n' {
			m.field.set(d, m.name, value{json: v})
		}
	})
	if err == nil {
		if _, more := o.decoder.ReadToken(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return malformed(line, "This is not JSON: "+strings.TrimPrefix(err.Error(), "jsontext: ")+"."), false
	}
	return d.finish(), true
}

// member returns what a name in the file stands for. The first record with a name that is
// not known says so, and each one in Auth0's bulk imports, which know no other.
func (o *objects) member(d *draft, name []byte) column {
	known, seen := o.known[string(name)]
	if !seen {
		known.name = string(name)
		if len(name) <= maxName {
			known.field = o.reader.find(o.names, known.name)
		}
		if known.field != nil {
			o.reader.called(known.field, known.name)
		}
		if seen = len(o.known) >= maxNames; !seen && len(name) <= maxName {
			o.known[known.name] = known
		}
	}
	if known.field == nil && (!seen || o.reader.format == Auth0BulkJSON) {
		d.unknown(known.name)
	}
	return known
}

// nextElement returns the next object of an array, or of those that follow one another.
func (o *objects) nextElement() (Record, error) {
	err := o.skipBetween()
	if errors.Is(err, io.EOF) && o.inList {
		o.inList = false
		return malformed(o.source.line, "The list does not end. Is the file cut off?"), nil
	}
	if err != nil {
		return Record{}, err
	}
	if o.after {
		line := o.source.line
		if err := o.discard(); err != nil {
			return Record{}, err
		}
		return malformed(line, "The list has ended, and there is more."), nil
	}
	line := o.source.line
	var scan scanner
	for {
		window := o.source.window()
		size, ended := scan.on(window)
		switch {
		case ended:
			record, ok := o.record(line, window[:size])
			if !ok {
				size = o.resume(window[:size], size)
			}
			o.source.take(size, countLines(window[:size]))
			return record, nil
		case o.source.more():
			continue
		case o.source.err != nil && !o.source.ended():
			return Record{}, o.source.err
		}
		record := malformed(line, "The object does not end.")
		if !o.source.ended() {
			record = malformed(line, errRowTooLong.Error())
		}
		if size := o.resume(window, 0); size > 0 {
			o.source.take(size, countLines(window[:size]))
			return record, nil
		}
		return record, o.skipElement(&scan)
	}
}

// skipBetween takes what stands between objects.
func (o *objects) skipBetween() error {
	for {
		window := o.source.window()
		for i, c := range window {
			switch c {
			case ' ', '\t', '\r', '\n', ',':
				continue
			case '[':
				if !o.inList && !o.after {
					o.inList = true
					continue
				}
			case ']':
				if o.inList {
					o.inList, o.after = false, true
					continue
				}
			case '}':
				if o.after { // of the object that the list was in
					continue
				}
			}
			o.source.take(i, countLines(window[:i]))
			return nil
		}
		keep := 0
		if n := len(window); n > 0 && window[n-1] == '\r' && o.source.err == nil {
			keep = 1 // half of a line's end
		}
		o.source.take(len(window)-keep, countLines(window[:len(window)-keep]))
		if !o.source.more() {
			return o.source.err
		}
	}
}

// resume returns where to go on after an element that is not JSON: it may have taken in
// others, by a bracket too much or too few. The next one begins a line, and is not indented
// more than this one. If there is none, it returns otherwise.
func (o *objects) resume(element []byte, otherwise int) int {
	o.rescanned += len(element)
	for at := 0; ; {
		feed := bytes.IndexByte(element[at:], '\n')
		if feed < 0 || o.rescanned > maxRescanned {
			return otherwise
		}
		at += feed + 1
		rest := bytes.TrimLeft(element[at:], " \t")
		indent := len(element) - at - len(rest)
		if len(rest) > 0 && rest[0] == '{' && indent <= o.source.column {
			return at
		}
	}
}

// skipElement takes the rest of an element, however long it is.
func (o *objects) skipElement(scan *scanner) error {
	for {
		window := o.source.window()
		size, ended := scan.on(window)
		if ended {
			o.source.take(size, countLines(window[:size]))
			return nil
		}
		// The last byte stays: it may be half of a line's end.
		take := max(len(window)-1, 0)
		o.source.take(take, countLines(window[:take]))
		scan.at -= take
		if !o.source.more() {
			return o.discard()
		}
	}
}

// discard takes all that is left.
func (o *objects) discard() error {
	for {
		n := len(o.source.window())
		o.source.take(n, countLines(o.source.window()))
		if !o.source.more() {
			if o.source.ended() {
				return nil
			}
			return o.source.err
		}
	}
}

// scanner finds the end of a value of JSON, however it comes in.
type scanner struct {
	at              int // how much of the window was scanned
	depth           int
	inText, escaped bool
	began, isScalar bool
}

// on returns the size of the value at the beginning of the window, and whether it ends
// there. The window is the one of the call before, with more behind it.
func (s *scanner) on(window []byte) (size int, ended bool) {
	for ; s.at < len(window); s.at++ {
		c := window[s.at]
		switch {
		case s.inText:
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.inText = false
			}
			if s.inText || s.depth > 0 {
				continue
			}
			return s.at + 1, true
		case c == '"' && !s.isScalar:
			s.inText = true
		case c == '{' || c == '[':
			s.depth++
		case (c == '}' || c == ']') && s.depth > 0:
			if s.depth--; s.depth == 0 {
				return s.at + 1, true
			}
		case s.depth > 0:
		case s.began && strings.IndexByte(",]} \t\r\n", c) >= 0:
			return s.at, true
		default:
			s.isScalar = true
		}
		s.began = true
	}
	return s.at, false
}

// malformed returns the record of what can't be taken apart.
func malformed(line int, message string) Record {
	record := Record{Line: line}
	record.fail(MalformedRow, "", "%s", message)
	return record
}
