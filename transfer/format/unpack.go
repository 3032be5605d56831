package format

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"roster/problem"
)

// Limits bound what reading a file takes. Zero fields have the defaults.
type Limits struct {
	// Unpacked is how many bytes a file may have when it is unpacked: 4 GiB.
	Unpacked int64
	// Ratio is how many times larger a file may become by unpacking it, from 64 MiB on:
	// 300.
	Ratio int64
	// Record is how many bytes a row or object may have: 1 MiB.
	Record int
}

func (l Limits) withDefaults() Limits {
	if l.Unpacked == 0 {
		l.Unpacked = 4 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 300
	}
	if l.Record == 0 {
		l.Record = 1 << 20
	}
	return l
}

const (
	// smallUnpacked is how much may come out of any file, whatever the ratio: text that
	// repeats itself packs well.
	smallUnpacked = 64 << 20
	// maxDirectory is how many bytes are read to open a zip: about 20,000 entries.
	maxDirectory = 1 << 20
)

// file is what an import was sent. It keeps the error of reading it, which is no fault of
// the file's, and bounds how much is read while budgeted.
type file struct {
	io.ReaderAt
	size     int64
	err      error
	budgeted bool
	budget   int64
	// isKindeExport says that it is a zip with the parts of Kinde's export, and hasSecrets
	// that one of them is encrypted: the passwords.
	isKindeExport, hasSecrets bool
}

var errBudget = errors.New("format: too much was read")

// ReadAt reads from the file, within the budget.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if f.budgeted {
		if f.budget -= int64(len(p)); f.budget < 0 {
			return 0, errBudget
		}
	}
	if offset < 0 || offset >= f.size { // a zip says where its parts are
		return 0, io.EOF
	}
	n, err := f.ReaderAt.ReadAt(p, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// part is one text among what a file contains.
type part struct {
	// name is empty unless it comes from a zip.
	name string
	open func() (io.Reader, error)
}

// unpack returns the texts in the file: itself, or what is in a gzip or zip.
func (f *file) unpack(limits Limits) ([]part, error) {
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, f.fault(err)
	}
	whole := func() io.Reader { return bufio.NewReaderSize(io.NewSectionReader(f, 0, f.size), 64<<10) }
	counted := &meter{file: f, limits: limits}
	switch packing(head[:n]) {
	case "zip":
		return f.unzip(counted)
	case "gzip":
		return []part{{open: func() (io.Reader, error) {
			unpacked, err := gzip.NewReader(whole())
			if err != nil {
				return nil, f.fault(err)
			}
			return counted.of(unpacked)
		}}}, nil
	case "":
	default:
		return nil, problem.New(problem.Invalid, "The file is packed by %s. Send it as it is, or packed by gzip or zip.", packing(head[:n]))
	}
	if f.size > limits.Unpacked {
		return nil, tooLarge(limits)
	}
	return []part{{open: func() (io.Reader, error) { return whole(), nil }}}, nil
}

// packing returns the name of how a file with these first bytes is packed, or nothing.
func packing(head []byte) string {
	for _, known := range []struct{ magic, name string }{
		{"\x1f\x8b", "gzip"}, {"PK\x03\x04", "zip"}, {"PK\x05\x06", "zip"}, {"BZh", "bzip2"},
		{"\xfd7zX", "xz"}, {"7z\xbc\xaf", "7-Zip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"Rar!", "rar"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return known.name
		}
	}
	return ""
}

// unzip returns the texts in a zip: those of Kinde's export that are of use, organizations
// first, or else the only text that there is.
func (f *file) unzip(counted *meter) ([]part, error) {
	f.budgeted, f.budget = true, maxDirectory
	archive, err := zip.NewReader(f, f.size)
	f.budgeted = false
	if errors.Is(err, errBudget) {
		return nil, problem.New(problem.Invalid, "The zip has too many entries.")
	}
	if err != nil {
		return nil, f.fault(err)
	}
	var users, organizations, others []part
	for _, entry := range archive.File {
		one, err := f.entry(entry, counted)
		if err != nil {
			return nil, err
		}
		switch path.Base(one.name) {
		case "users.ndjson":
			users = append(users, one)
		case "organizations.ndjson":
			organizations = append(organizations, one)
		default:
			f.hasSecrets = f.hasSecrets || path.Ext(one.name) == ".dat"
			if isText(one.name) {
				others = append(others, one)
			}
		}
	}
	f.isKindeExport = len(users)+len(organizations) > 0
	switch {
	case len(users) == 1 && len(organizations) <= 1:
		return slices.Concat(organizations, users), nil
	case len(users)+len(organizations)+len(others) == 1:
		return slices.Concat(organizations, users, others), nil
	case len(users)+len(organizations)+len(others) == 0:
		return nil, problem.New(problem.Invalid, "There is no CSV, NDJSON or JSON in the zip. Save a workbook as CSV.")
	}
	var names []string
	for _, one := range slices.Concat(users, organizations, others) {
		if names = append(names, quoted(one.name)); len(names) == 5 {
			break
		}
	}
	return nil, problem.New(problem.Invalid, "The zip has several files in it (%s). Send the one to import.", strings.Join(names, ", "))
}

// entry returns what is in an entry of a zip.
func (f *file) entry(entry *zip.File, counted *meter) (part, error) {
	name := strings.TrimSuffix(entry.Name, "/")
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "\\:\x00") {
		return part{}, problem.New(problem.Invalid, "The zip has an entry outside of its folder: %s.", quoted(entry.Name))
	}
	return part{name: name, open: func() (io.Reader, error) {
		if entry.Flags&1 != 0 {
			return nil, problem.New(problem.Invalid, "The zip is encrypted. Unpack it, and send the file in it.")
		}
		unpacked, err := entry.Open()
		if errors.Is(err, zip.ErrAlgorithm) {
			return nil, problem.New(problem.Invalid, "The zip is packed in a way that is not supported. Use deflate.")
		}
		if err != nil {
			return nil, f.fault(err)
		}
		return counted.of(unpacked)
	}}, nil
}

// isText reports whether an entry of a zip may be a file of people, and is no note of the
// system's that packed it, nor another part of Kinde's export.
func isText(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".json":
		base := path.Base(name)
		return !strings.HasPrefix(base, ".") && base != "access_requests.ndjson" && !strings.HasPrefix(name, "__MACOSX/")
	}
	return false
}

// fault returns the error of reading the file, or else what is wrong with the file.
func (f *file) fault(err error) error {
	if f.err != nil {
		return fmt.Errorf("format: reading the file: %w", f.err)
	}
	if problem.Is(err, problem.Invalid) {
		return err
	}
	return problem.New(problem.Invalid, "The file is damaged or incomplete: %v.", err)
}

// meter counts what comes out of a file, however many texts are in it.
type meter struct {
	file     *file
	limits   Limits
	unpacked int64
}

// of returns a reader of an unpacked text, which is within the limits, and not packed
// again.
func (m *meter) of(unpacked io.Reader) (io.Reader, error) {
	text := bufio.NewReaderSize(&metered{meter: m, from: unpacked}, 64<<10)
	head, err := text.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, m.file.fault(err)
	}
	if packing(head) != "" {
		return nil, problem.New(problem.Invalid, "The file is packed twice. Unpack it once, and send that.")
	}
	return text, nil
}

// metered is an unpacked text.
type metered struct {
	*meter
	from io.Reader
}

// Read reads the text and fails if it becomes too large.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.unpacked += int64(n)
	if m.unpacked > m.limits.Unpacked {
		return 0, tooLarge(m.limits)
	}
	if m.unpacked > smallUnpacked && m.unpacked/m.limits.Ratio > m.file.size {
		return 0, problem.New(problem.Invalid, "The file becomes more than %d times as large when it is unpacked. Unpack it, and send that.", m.limits.Ratio)
	}
	return n, err
}

func tooLarge(limits Limits) error {
	return problem.New(problem.Invalid, "The file has more than %d MiB when it is unpacked.", limits.Unpacked>>20)
}
