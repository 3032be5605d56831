package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"roster/problem"
)

// table reads CSV with a header.
type table struct {
	reader  *Reader
	cells   *cells
	columns []column
	// placeColumn names the organization, or stands for it: it is the first column that
	// speaks of organizations, roles or permissions. It is empty in files without such columns.
	placeColumn string
	// These are the indexes of columns, or -1.
	password, email, id int
	// isOwn says that the file is one of our exports.
	isOwn bool
}

// column is one of a table. Its field is nil if it maps to none.
type column struct {
	name  string
	field *field
}

// beginCSV reads the header.
func (r *Reader) beginCSV(source *source) error {
	switch r.format {
	case "", Auto, CSV, Auth0Export, OrganizationsCSV:
	default:
		return problem.New(problem.Invalid, "This is not JSON, as files of the format %s are.", r.format)
	}
	t := &table{reader: r, cells: &cells{source: source, separator: r.separator(source)}, password: -1, email: -1, id: -1}
	_, fault, err := t.cells.next()
	if err == nil && fault != nil {
		return problem.New(problem.Invalid, "The first line has no names of columns: %v", fault)
	}
	if err != nil {
		return r.file.fault(err)
	}
	for _, cell := range t.cells.row {
		t.columns = append(t.columns, column{name: strings.ToValidUTF8(strings.Trim(Unguard(string(cell)), " \t\r\n\u00a0\ufeff\x00"), "\ufffd")})
	}
	for len(t.columns) > 1 && t.columns[len(t.columns)-1].name == "" {
		t.columns = t.columns[:len(t.columns)-1]
	}
	t.cells.width = len(t.columns)
	if r.isAuto() {
		if r.format = csvFormat(t.columns); r.format == OrganizationsCSV && len(r.custom) > 0 {
			r.format = CSV
		}
	}
	r.next = t.next
	return t.assign()
}

// separators are what may stand between cells. The earlier one is meant if there is no
// difference.
var separators = []byte{',', ';', '\t'}

// separator returns what stands between the cells of the header, and takes the line sep=;
// before it, which is for Excel.
func (r *Reader) separator(source *source) byte {
	best, most := separators[0], -1
	line := firstLine(source)
	if rest, ok := bytes.CutPrefix(line, []byte("sep=")); ok && len(rest) == 1 && bytes.IndexByte(separators, rest[0]) >= 0 {
		best = rest[0]
		if _, next, err := source.lineEnd(); err == nil {
			source.take(next, 1)
		}
		return best
	}
	for _, separator := range separators {
		trial := &cells{separator: separator}
		trial.lex(line, false) //nolint:errcheck // what it found up to a fault counts, too
		known := len(trial.row)
		for _, cell := range trial.row {
			if name := string(bytes.TrimSpace(cell)); r.custom[normalized(name)] != nil || personNames.find(name) != nil || organizationNames.find(name) != nil {
				known += maxCells
			}
		}
		if known > most {
			best, most = separator, known
		}
	}
	return best
}

// firstLine takes the lines before the first that is not blank, and returns that one.
func firstLine(source *source) []byte {
	for {
		end, next, err := source.lineEnd()
		if err != nil {
			return source.window()
		}
		if line := source.window()[:end]; !isBlank(line, ' ') {
			return line
		}
		source.take(next, 1)
	}
}

// assign finds the field of each column, and notes the columns that have none.
func (t *table) assign() error {
	known := personNames
	if t.reader.format == OrganizationsCSV {
		known = organizationNames
	}
	identifies := false
	taken := map[string]bool{}
	for i := range t.columns {
		c := &t.columns[i]
		field := t.reader.find(known, c.name)
		if field == nil || taken[field.name] {
			if c.name != "" {
				t.reader.notes.unknown(c.name)
			}
			continue
		}
		taken[field.name] = true
		c.field = field
		t.reader.called(field, c.name)
		if field.places && (t.placeColumn == "" || field.name == "external_organization_id") {
			t.placeColumn = c.name
		}
		switch field.name {
		case "roster_id":
			t.isOwn, identifies = true, true
		case "hashed_password":
			t.password = i
		case "email":
			t.email, identifies = i, true
		case "id":
			t.id, identifies = i, true
		case "phone", "username", "external_id":
			identifies = true
		case "name":
			identifies = identifies || t.reader.format == OrganizationsCSV
		}
	}
	for ours, theirs := range t.reader.options.Columns {
		if !slices.ContainsFunc(t.columns, func(c column) bool { return normalized(c.name) == normalized(theirs) }) {
			return problem.At(problem.Invalid, "columns", "The file has no column %s, which is said to be %s. It has %s.", quoted(theirs), ours, t.names())
		}
	}
	if !identifies {
		return problem.New(problem.Invalid, `No column is known that says who a row is about: email, phone, username or id. The file has %s. Say which is which by columns, such as {"email": %s}.`, t.names(), quoted(t.columns[0].name))
	}
	return nil
}

// names returns the names of the columns, for messages.
func (t *table) names() string {
	var names []string
	for i, c := range t.columns {
		if i == 20 {
			names = append(names, fmt.Sprintf("and %d more", len(t.columns)-i))
			break
		}
		names = append(names, quoted(c.name))
	}
	return strings.Join(names, ", ")
}

// next returns the next record.
func (t *table) next() (Record, error) {
	line, fault, err := t.cells.next()
	if err != nil {
		return Record{}, err
	}
	if fault != nil {
		return malformed(line, fault.Error()), nil
	}
	row := t.cells.row
	for len(row) > len(t.columns) && len(bytes.TrimSpace(row[len(row)-1])) == 0 {
		row = row[:len(row)-1]
	}
	if len(row) > len(t.columns) {
		return malformed(line, fmt.Sprintf("The row has %d cells, and the header has %d. Does a cell have %q in it, and no quotes around it?", len(row), len(t.columns), string(t.cells.separator))), nil
	}
	d := t.reader.newDraft(line)
	if len(row) < len(t.columns) {
		d.warn(MalformedRow, "", "The row has %d cells, and the header has %d: the others count as empty.", len(row), len(t.columns))
	}
	if t.reader.format == OrganizationsCSV {
		d.Organization = &Organization{}
	}
	if t.placeColumn != "" {
		d.place().Column = t.placeColumn
	}
	t.fill(d, row)
	if t.password >= 0 && !t.isOwn && d.password.hash == "" {
		d.EmailVerified = nil // counts only with a password in Kinde's files
	}
	return d.finish(), nil
}

// fill sets what the cells of a row say.
func (t *table) fill(d *draft, row [][]byte) {
	allGuarded := t.reader.format == Auth0Export && (t.startsGuarded(row, t.id) || t.startsGuarded(row, t.email))
	for i, cell := range row {
		column := t.columns[i]
		cell = bytes.TrimSpace(cell)
		if column.field == nil || column.field.set == nil || len(cell) == 0 {
			continue
		}
		if !utf8.Valid(cell) {
			d.fail(MalformedRow, column.name, "The text is not in the encoding of the rest of the file.")
			continue
		}
		if bytes.IndexByte(cell, 0) >= 0 {
			d.fail(MalformedRow, column.name, "There is a NUL in the text.")
			continue
		}
		v := value{cell: string(cell)}
		switch {
		case !allGuarded:
			v.cell = Unguard(v.cell)
		case cell[0] == '\'':
			v.cell = v.cell[1:]
		case strings.IndexByte("{[", cell[0]) < 0 && jsontext.Value(cell).IsValid():
			v.json = jsontext.Value(cell).Clone() // where texts are guarded, this is no text
		}
		if v.cell = strings.TrimSpace(v.cell); v.cell != "" {
			column.field.set(d, column.name, v)
		}
	}
}

// startsGuarded reports whether a cell begins with the apostrophe that Auth0 puts before
// all texts.
func (t *table) startsGuarded(row [][]byte, i int) bool {
	return i >= 0 && i < len(row) && bytes.HasPrefix(bytes.TrimSpace(row[i]), []byte{'\''})
}
