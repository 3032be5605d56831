package format

import (
	"bytes"
	"errors"
)

// maxCells is how many cells a row may have.
const maxCells = 1000

// cells reads rows of CSV (RFC 4180) with any separator. It is more liberal than
// encoding/csv, and loses less: a row at fault costs itself, even if a quote in it is never
// closed, which would otherwise take in all rows up to the next quote.
//
//   - Spaces around quotes, and quotes within a cell that does not begin with one, are fine.
//   - A cell in quotes may have line breaks, up to the size of a record.
//   - A quote that is not closed within that, or not followed by a separator, is a fault of
//     the row's first line. Reading goes on with the next line.
//   - So is a cell in quotes that has taken in what looks like rows.
type cells struct {
	source    *source
	separator byte
	// width is how many cells the header has, or 0 before it was read.
	width int
	// row is the current row. The cells are valid until the next one is read.
	row     [][]byte
	scratch []byte
}

// The faults of a row.
var (
	errQuote       = errors.New(`A quote (") is not closed, or stands in the middle of a quoted cell: write two for one.`) //nolint:staticcheck // it is shown as a sentence
	errCells       = errors.New("The row has too many cells.")                                                             //nolint:staticcheck // it is shown as a sentence
	errUnfinished  = errors.New("format: the window ends within a cell")
	errRowTooLong  = errors.New("The row is longer than an import reads.") //nolint:staticcheck // it is shown as a sentence
	errNoMoreCells = errors.New("format: a cell ends the row")
)

// next reads the next row that is not blank into c.row, and returns the line at which it
// begins. The fault is what is wrong with the row; err ends the file.
func (c *cells) next() (line int, fault, err error) {
	for {
		end, next, err := c.source.lineEnd()
		line = c.source.line
		if errors.Is(err, errTooLong) {
			return line, errRowTooLong, c.source.skipLine()
		}
		if err != nil {
			return line, nil, err
		}
		text := c.source.window()[:end]
		if isBlank(text, c.separator) {
			c.source.take(next, 1)
			continue
		}
		if bytes.IndexByte(text, '"') < 0 {
			c.source.take(next, 1)
			return line, c.split(text), nil
		}
		size, fault := c.quoted()
		switch {
		case c.source.err != nil && !c.source.ended():
			return line, nil, c.source.err
		case fault != nil: // the row has what is left of its first line
			c.source.take(next, 1)
		default:
			c.source.take(size, countLines(c.source.window()[:size]))
		}
		return line, fault, nil
	}
}

// split makes a row of a line without quotes.
func (c *cells) split(line []byte) error {
	c.row = c.row[:0]
	for {
		i := bytes.IndexByte(line, c.separator)
		if i < 0 {
			c.row = append(c.row, line)
			return nil
		}
		if len(c.row) == maxCells {
			return errCells
		}
		c.row = append(c.row, line[:i])
		line = line[i+1:]
	}
}

// quoted makes a row of the beginning of the window, which has quotes, and returns how many
// bytes that are. It makes the window larger as far as the row needs that.
func (c *cells) quoted() (int, error) {
	for {
		size, err := c.lex(c.source.window(), !c.source.ended())
		if errors.Is(err, errUnfinished) && c.source.more() {
			continue
		}
		if errors.Is(err, errUnfinished) || err == nil && c.swallowed(c.source.window()[:size]) {
			err = errQuote
		}
		return size, err
	}
}

// lex makes a row of the beginning of b, and returns how many bytes that are, with the end
// of the line. It returns errUnfinished if the row may go on after b.
func (c *cells) lex(b []byte, goesOn bool) (int, error) {
	c.row, c.scratch = c.row[:0], c.scratch[:0]
	for at := 0; ; {
		if len(c.row) == maxCells {
			return 0, errCells
		}
		cell, size, err := c.cell(b[at:])
		at += size
		if err != nil && !errors.Is(err, errNoMoreCells) {
			return 0, err
		}
		c.row = append(c.row, cell)
		if err == nil {
			continue
		}
		if at == len(b) { // the line may end after b, or in the middle of CR LF
			if goesOn {
				return 0, errUnfinished
			}
			return at, nil
		}
		if b[at] == '\r' {
			if at++; at == len(b) && goesOn {
				return 0, errUnfinished
			}
		}
		if at < len(b) && b[at] == '\n' {
			at++
		}
		return at, nil
	}
}

// cell returns the first cell of b, and its size with the separator after it. It returns
// errNoMoreCells at the end of b.
func (c *cells) cell(b []byte) (cell []byte, size int, err error) {
	at := len(b) - len(bytes.TrimLeft(b, " "))
	if at == len(b) || b[at] != '"' {
		end := c.cellEnd(b)
		return c.upTo(b, b[:end], end)
	}
	at++
	first := len(c.scratch)
	for {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return nil, 0, errUnfinished
		}
		c.scratch = append(c.scratch, b[at:at+i]...)
		if at += i + 1; at == len(b) || b[at] != '"' {
			break
		}
		c.scratch = append(c.scratch, '"')
		at++
	}
	end := at + c.cellEnd(b[at:])
	if len(bytes.TrimLeft(b[at:end], " ")) > 0 {
		return nil, 0, errQuote
	}
	return c.upTo(b, c.scratch[first:len(c.scratch):len(c.scratch)], end)
}

// upTo returns a cell that ends at end, with what follows there.
func (c *cells) upTo(b, cell []byte, end int) ([]byte, int, error) {
	if end < len(b) && b[end] == c.separator {
		return cell, end + 1, nil
	}
	return cell, end, errNoMoreCells
}

// cellEnd returns where the first separator or end of a line of b is.
func (c *cells) cellEnd(b []byte) int {
	for i, char := range b {
		if char == c.separator || char == '\n' || char == '\r' {
			return i
		}
	}
	return len(b)
}

// swallowed reports whether a row of several lines is the wrong width, or took in what
// looks like rows: then a quote in its first line was never closed. Rows of one or two
// cells do not look like any.
func (c *cells) swallowed(row []byte) bool {
	if c.width == 0 || countLines(bytes.TrimRight(row, "\r\n")) == 0 {
		return false
	}
	if len(c.row) != c.width {
		return true
	}
	if c.width < 3 {
		return false
	}
	lines := bytes.FieldsFunc(row, func(c rune) bool { return c == '\n' || c == '\r' })
	if len(lines) < 3 {
		return false
	}
	var rows int
	inner := lines[1 : len(lines)-1]
	for _, line := range inner {
		if bytes.Count(line, []byte{c.separator})+1 == c.width {
			rows++
		}
	}
	return 2*rows > len(inner)
}
