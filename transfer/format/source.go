package format

import (
	"bytes"
	"errors"
	"io"
)

// source is a text on its way in: a window over what was read and not yet taken. The window
// grows to the most bytes that a record may have, and no further.
//
// A line ends with a line feed, a carriage return, or both, as spreadsheets of all times
// write them.
type source struct {
	from       io.Reader
	buffer     []byte
	start, end int
	// feed is where the first line feed of the window is, or end. What comes before it
	// has none.
	feed int
	max  int
	// line is the number of the line at start, from 1.
	line int
	// column is how many bytes of that line come before start.
	column int
	err    error // of from, once it has failed or ended
}

// firstWindow is how large the window of a text is at first, in bytes.
const firstWindow = 64 << 10

// errTooLong says that a line does not end within the window.
var errTooLong = errors.New("format: a record is too long")

func newSource(from io.Reader, max int) *source {
	return &source{from: from, buffer: make([]byte, min(firstWindow, max+2)), max: max, line: 1}
}

// window returns what was read and not yet taken. It is valid until more is called.
func (s *source) window() []byte { return s.buffer[s.start:s.end] }

// ended reports whether the window is all that is left of the text.
func (s *source) ended() bool { return errors.Is(s.err, io.EOF) }

// more extends the window. It returns false at the end of the file, or if the window is full.
func (s *source) more() bool {
	if s.err != nil || s.end-s.start >= s.max+2 {
		return false
	}
	if s.start > 0 {
		copy(s.buffer, s.buffer[s.start:s.end])
		s.end, s.feed, s.start = s.end-s.start, s.feed-s.start, 0
	}
	if s.end == len(s.buffer) {
		grown := make([]byte, min(2*len(s.buffer), s.max+2))
		copy(grown, s.buffer)
		s.buffer = grown
	}
	n, err := io.ReadAtLeast(s.from, s.buffer[s.end:], 1)
	s.end += n
	s.err = err
	return n > 0
}

// lineEnd returns where the first line of the window ends, and where the next one begins. It
// returns io.EOF if nothing is left, and errTooLong.
func (s *source) lineEnd() (end, next int, err error) {
	for {
		if s.feed < s.start {
			s.feed = s.start
		}
		if s.feed == s.end || s.buffer[s.feed] != '\n' {
			if i := bytes.IndexByte(s.buffer[s.feed:s.end], '\n'); i >= 0 {
				s.feed += i
			} else {
				s.feed = s.end
			}
		}
		end = bytes.IndexByte(s.buffer[s.start:s.feed], '\r')
		switch {
		case end >= 0 && s.start+end+1 < s.end: // what follows is known
			next = end + 1
			if s.buffer[s.start+next] == '\n' {
				next++
			}
			return end, next, nil
		case end < 0 && s.feed < s.end:
			return s.feed - s.start, s.feed - s.start + 1, nil
		case s.more():
			continue
		case s.err != nil && !s.ended():
			return 0, 0, s.err
		case s.err == nil:
			return 0, 0, errTooLong
		case s.start == s.end:
			return 0, 0, io.EOF
		case end >= 0:
			return end, end + 1, nil
		}
		return s.end - s.start, s.end - s.start, nil
	}
}

// take takes n bytes of the window, which have so many ends of lines.
func (s *source) take(n, lines int) {
	s.column += n
	if lines > 0 {
		i := n
		for taken := s.buffer[s.start:]; i > 0 && taken[i-1] != '\n' && taken[i-1] != '\r'; {
			i--
		}
		s.column = n - i
	}
	s.start += n
	s.line += lines
}

// skipLine takes the rest of a line, however long it is.
func (s *source) skipLine() error {
	for {
		_, next, err := s.lineEnd()
		switch {
		case err == nil:
			s.take(next, 1)
			return nil
		case errors.Is(err, errTooLong):
			// The last byte stays: it may be half of the line's end.
			s.take(len(s.window())-1, 0)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// countLines returns how many ends of lines b has. A carriage return at its very end is one.
func countLines(b []byte) int {
	n := bytes.Count(b, []byte{'\n'})
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return n
		}
		if b = b[i+1:]; len(b) == 0 || b[0] != '\n' {
			n++
		}
	}
}

// isBlank reports whether a line has nothing but spaces and the given separators.
func isBlank(line []byte, separator byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != separator {
			return false
		}
	}
	return true
}
