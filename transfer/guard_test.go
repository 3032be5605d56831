package transfer

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"roster/db"
	"roster/transfer/format"
)

// running are the characters with which a cell begins that a spreadsheet runs as a formula
// (OWASP, CSV Injection).
const running = "=+-@\t\r"

// runs reports whether a spreadsheet runs the cell.
func runs(cell string) bool { return cell != "" && strings.IndexByte(running, cell[0]) >= 0 }

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
		if read := format.Unguard(cell); runs(cell) || read != value {
			t.Errorf("%q is written as %q, and read as %q", value, cell, read)
		}
		if cell != value {
			guarded++
			if !runs(strings.TrimLeft(value, "'")) {
				t.Errorf("%q is guarded: %q", value, cell)
			}
		}
	}
	if guarded < 20 {
		t.Errorf("%d are guarded", guarded)
	}
}
