package format

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"roster/problem"
)

// The encodings of texts, as Reader.Encoding has them.
const (
	encodingUTF8    = "UTF-8"
	encodingBOM     = "UTF-8 with BOM"
	encodingUTF16LE = "UTF-16LE"
	encodingUTF16BE = "UTF-16BE"
	encoding1252    = "Windows-1252"
)

// sample is how much of a text decides about its encoding, in bytes.
const sample = 64 << 10

// utf8Reader reads a text as UTF-8, whichever encoding it has. A text that is ASCII up to some
// point may go on as UTF-8 or as Windows-1252: the first sample with other bytes decides for
// all that follows. Bytes that are not UTF-8 in a text that is one are passed on.
type utf8Reader struct {
	encoding string
	from     *bufio.Reader
	decoded  io.Reader // nil while all has been ASCII
}

// decode returns the text of a reader.
func decode(r io.Reader) (*utf8Reader, error) {
	t := &utf8Reader{encoding: encodingUTF8, from: bufio.NewReaderSize(r, sample)}
	head, err := t.from.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		t.encoding, t.decoded = encodingBOM, t.from
		_, err = t.from.Discard(3)
		return t, err
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		return nil, problem.New(problem.Invalid, "The file is UTF-32. Save it as UTF-8.")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), isUTF16(head, 1):
		t.encoding = encodingUTF16LE
		t.decoded = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(t.from)
	case bytes.HasPrefix(head, []byte("\xfe\xff")), isUTF16(head, 0):
		t.encoding = encodingUTF16BE
		t.decoded = unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder().Reader(t.from)
	}
	return t, nil
}

// isUTF16 reports whether a text without a mark is UTF-16: of its first bytes, every other
// one is zero, beginning with the given one, and no other, as for Latin letters.
func isUTF16(head []byte, zeros int) bool {
	head = head[:min(len(head), 16)]
	for i, b := range head {
		if (b == 0) != (i%2 == zeros) {
			return false
		}
	}
	return len(head) >= 4
}

// Read reads UTF-8.
func (t *utf8Reader) Read(p []byte) (int, error) {
	if t.decoded != nil {
		return t.decoded.Read(p)
	}
	if _, err := t.from.Peek(1); err != nil {
		return 0, err
	}
	buffered, _ := t.from.Peek(t.from.Buffered()) // has no error: they are there
	if ascii := asciiPrefix(buffered); ascii > 0 {
		return t.from.Read(p[:min(len(p), ascii)])
	}
	buffered, err := t.from.Peek(sample)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if t.decoded = t.from; !isUTF8(buffered) {
		t.encoding, t.decoded = encoding1252, charmap.Windows1252.NewDecoder().Reader(t.from)
	}
	return t.decoded.Read(p)
}

// asciiPrefix returns how many bytes of b come before the first that is not ASCII.
func asciiPrefix(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(b)
}

// isUTF8 reports whether what is not ASCII in the sample is rather UTF-8 than a code of one
// byte a letter.
func isUTF8(sample []byte) bool {
	var letters, faults int
	for len(sample) > 0 {
		r, size := utf8.DecodeRune(sample)
		switch {
		case size > 1:
			letters++
		case r == utf8.RuneError && utf8.FullRune(sample):
			faults++
		case r == utf8.RuneError: // the sample ends within a letter
			letters++
			size = len(sample)
		}
		sample = sample[size:]
	}
	return letters > faults
}
