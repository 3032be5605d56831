// Package format reads files of people and organizations: a stream of bytes goes in, and
// Records come out. It knows how Kinde, Auth0, Firebase, spreadsheets and our own exports
// write them (docs/imports.md), and neither a database nor a rule.
//
//	file → unpack (gzip, zip) → decode (UTF-8, UTF-16, Windows-1252) → source (lines)
//	     → cells or objects (CSV, JSON) → fields → Record
//
// A row at fault costs itself: it comes as a Record with Errors, and reading goes on. Memory
// is bounded by the largest record, whatever the file. Begin with Open.
package format

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"

	"roster/credential"
	"roster/problem"
)

// Format is how a file is written. It has the values of the schema's ImportFormat.
type Format string

// The formats. Our own exports are CSV and KindeNDJSON.
const (
	Auto                Format = "AUTO"
	CSV                 Format = "CSV"                   // of Kinde, of a spreadsheet, of our own
	KindeNDJSON         Format = "KINDE_NDJSON"          // of Kinde's imports or exports, or of our own
	KindeExport         Format = "KINDE_EXPORT"          // the zip
	Auth0Export         Format = "AUTH0_EXPORT"          // NDJSON or CSV, of the dashboard or the extension
	Auth0PasswordHashes Format = "AUTH0_PASSWORD_HASHES" // NDJSON
	Auth0BulkJSON       Format = "AUTH0_BULK_JSON"       // an array
	FirebaseNDJSON      Format = "FIREBASE_NDJSON"       // also the JSON of Firebase's command line
	OrganizationsCSV    Format = "ORGANIZATIONS_CSV"     // Kinde's
)

func (f Format) isAuth0() bool {
	return f == Auth0Export || f == Auth0PasswordHashes || f == Auth0BulkJSON
}

// Options say how to read a file.
type Options struct {
	// Format is Auto, or empty, to detect it.
	Format Format
	// Columns has the file's names by ours, for files with names of their own. Ours are
	// those of Kinde's CSV (docs/imports.md), and properties.NAME.
	Columns map[string]string
	// Firebase is how Firebase hashed passwords, or nil if that is not known.
	Firebase *credential.FirebaseScrypt
	Limits   Limits
}

// Check returns INVALID if Columns names a column that we do not have.
func (o Options) Check() error {
	r := Reader{options: o, format: o.Format}
	return r.claim()
}

// Reader reads the records of a file. It is not safe for concurrent use.
type Reader struct {
	file    *file
	options Options
	parts   []part
	format  Format
	text    *utf8Reader
	next    func() (Record, error)
	// custom has the fields by the normalized names that Options.Columns has for them.
	custom  map[string]*field
	claimed map[string]bool
	// columns has the file's names of fields by ours.
	columns map[string]string
	// notes has the warnings that concern the file, and come with its next record.
	notes Record
	err   error
}

// Open returns a reader of a file of so many bytes, and detects its format. It returns
// INVALID if this is no file of people or organizations.
func Open(from io.ReaderAt, size int64, o Options) (*Reader, error) {
	o.Limits = o.Limits.withDefaults()
	r := &Reader{file: &file{ReaderAt: from, size: size}, options: o, format: o.Format, columns: map[string]string{}}
	if err := r.claim(); err != nil {
		return nil, err
	}
	var err error
	if r.parts, err = r.file.unpack(o.Limits); err != nil {
		return nil, err
	}
	if r.isAuto() && r.file.isKindeExport {
		r.format = KindeExport
		if r.file.hasSecrets {
			r.notes.warn(UnsupportedField, "", "The passwords in the zip are encrypted, and are not imported.")
		}
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	return r, nil
}

// Format returns the format of the file.
func (r *Reader) Format() Format { return r.format }

// Encoding returns how the text is encoded, such as "UTF-8" or "Windows-1252". It is only
// final when Next has returned io.EOF, since a text without accents could be any of them.
func (r *Reader) Encoding() string { return r.text.encoding }

// Column returns how the file calls what we call name, such as "E-mail" for "email". It
// returns name if the file has no such column.
func (r *Reader) Column(name string) string {
	if called, ok := r.columns[name]; ok {
		return called
	}
	return name
}

// called notes how the file calls a field.
func (r *Reader) called(field *field, name string) {
	if _, ok := r.columns[field.name]; !ok {
		r.columns[field.name] = name
	}
}

// Next returns the next record, or io.EOF after the last one. Any other error means that the
// file cannot be read any further: INVALID if that is the fault of the file.
func (r *Reader) Next() (Record, error) {
	for r.err == nil {
		record, err := r.next()
		switch {
		case err == nil:
			record.Warnings = append(r.notes.Warnings, record.Warnings...)
			r.notes.Warnings = nil
			return record, nil
		case errors.Is(err, io.EOF) && len(r.parts) > 0:
			r.err = r.begin()
		case errors.Is(err, io.EOF):
			r.err = io.EOF
		default:
			r.err = r.file.fault(err)
		}
	}
	return Record{}, r.err
}

func (r *Reader) isAuto() bool { return r.format == Auto || r.format == "" }

// begin opens the next part of the file.
func (r *Reader) begin() error {
	part := r.parts[0]
	r.parts = r.parts[1:]
	from, err := part.open()
	if err != nil {
		return err
	}
	if r.text, err = decode(from); err != nil {
		return r.file.fault(err)
	}
	source := newSource(r.text, r.options.Limits.Record)
	for len(source.window()) < sample && source.more() {
	}
	if source.err != nil && !source.ended() {
		return r.file.fault(source.err)
	}
	head := bytes.TrimSpace(source.window())
	switch {
	case len(head) == 0 && source.ended() && len(r.parts) > 0:
		return r.begin()
	case len(head) == 0 && source.ended() && r.next != nil:
		return io.EOF // there were records before
	case len(head) == 0 && source.ended():
		return problem.New(problem.Invalid, "The file is empty.")
	case len(head) > 0 && (head[0] == '{' || head[0] == '['):
		return r.beginJSON(source, head)
	}
	return r.beginCSV(source)
}

// claim notes which names of the file stand for which fields.
func (r *Reader) claim() error {
	r.custom, r.claimed = map[string]*field{}, map[string]bool{}
	known := personNames
	if r.format == OrganizationsCSV {
		known = organizationNames
	}
	for _, ours := range slices.Sorted(maps.Keys(r.options.Columns)) {
		field := known.find(ours)
		if field == nil || field.set == nil {
			return problem.At(problem.Invalid, "columns", "There is no %s. What a file can have: %s.", quoted(ours), known.list())
		}
		r.custom[normalized(r.options.Columns[ours])] = field
		r.claimed[field.name] = true
	}
	return nil
}

// find returns the field that the file calls by a name, or nil.
func (r *Reader) find(known names, name string) *field {
	if field := r.custom[normalized(name)]; field != nil {
		return field
	}
	if field := known.find(name); field != nil && !r.claimed[field.name] {
		return field
	}
	return nil
}
