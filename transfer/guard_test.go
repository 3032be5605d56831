package transfer

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"roster/db"
)

// unguard is what whoever reads a file does with a cell.
func unguard(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); len(rest) < len(cell) && strings.HasPrefix(rest, firstOf(running, rest)) {
		return cell[1:]
	}
	return cell
}

// firstOf returns the first character of text if it is in set; otherwise a text that nothing
// begins with.
func firstOf(set, text string) string {
	if text != "" && strings.Contains(set, text[:1]) {
		return text[:1]
	}
	return "\x00"
}

// Whichever character a value begins with, alone or behind apostrophes, it comes back as it
// was, and no cell begins with what a spreadsheet runs. Only what has to be is guarded.
func TestCellsAreGuardedAndReadBack(t *testing.T) {
	t.Parallel()
	var values []string
	for r := rune(1); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) || r == '\r' { // a reader of CSV takes a CR before an LF away
			continue
		}
		values = append(values, string(r)+"1+1")
		if r < 0x80 || strings.ContainsRune("＝＋－＠’‘", r) {
			values = append(values, string(r), "'"+string(r)+"1", "''"+string(r), "'''"+string(r)+"1")
		}
	}
	values = append(values, "", "\rx", "'\rx", "'t Hooft", "=HYPERLINK(\"http://x\")", "a,b", "a\nb", `"`)
	var b bytes.Buffer
	file := newExportFile(&b, &db.Export{Format: db.ExportCSV}).(*csvFile)
	for row := range slices.Chunk(values, 1000) {
		if err := file.writeRow(row); err != nil {
			t.Fatal(err)
		}
	}
	file.rows.Flush()
	reader := csv.NewReader(&b)
	reader.FieldsPerRecord = -1
	rows, err := reader.ReadAll()
	cells := slices.Concat(rows...)
	if err != nil || len(cells) != len(values) {
		t.Fatal(len(cells), err)
	}
	guarded := 0
	for i, value := range values {
		cell := cells[i]
		if firstOf(running, cell) != "\x00" || unguard(cell) != value {
			t.Errorf("%q is written as %q, and read as %q", value, cell, unguard(cell))
		}
		if cell != value {
			guarded++
			if strings.Trim(value, "'")[:1] != firstOf(running, strings.TrimLeft(value, "'")) {
				t.Errorf("%q is guarded: %q", value, cell)
			}
		}
	}
	if guarded < 20 {
		t.Errorf("%d are guarded", guarded)
	}
}
