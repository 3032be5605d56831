package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

const exportLine = "roster export [-format csv|ndjson] [-organization CODE] [-hashes] [-o FILE] writes the users to a file, or to the standard output."

func runExport(ctx context.Context, args []string, o Options) error {
	s := &server{}
	flags := newFlags("export", o, s)
	format := flags.String("format", "csv", "the `format` of the file: csv or ndjson")
	organization := flags.String("organization", "", "the `code` of the organization whose members to export; all users when not set")
	hashes := flags.Bool("hashes", false, "with the hashes of passwords")
	path := flags.String("o", "-", "the `file` to write; - is the standard output")
	rest, err := parse(flags, exportLine, args, o)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return Usage("there is an argument which belongs to no flag; -help lists what there is")
	}
	input := object{"hashes": *hashes}
	if input["format"], err = choice("format", *format, "CSV", "NDJSON"); err != nil {
		return err
	}
	if *organization != "" {
		input["organization"] = object{"code": *organization}
	}
	if err := s.open(o); err != nil {
		return err
	}
	return intoFile(*path, o.Out, func(w io.Writer) error { return s.export(ctx, o, input, w) })
}

// export writes an export to w.
func (s *server) export(ctx context.Context, o Options, input object, w io.Writer) error {
	var made struct {
		ExportUsers struct{ Export struct{ URL string } }
	}
	err := s.ask(ctx, `mutation($input: ExportUsersInput!) { exportUsers(input: $input) { export { url } } }`, object{"input": input}, &made)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, made.ExportUsers.Export.URL, nil) // without the key: the link is enough
	if err != nil {
		return err
	}
	response, err := s.http.Do(r)
	if err != nil {
		return withoutLink(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("the link of the export answers %s: %s", response.Status, text)
	}
	p := newProgress(o, "users", 0, true)
	defer p.end()
	if _, err := io.Copy(w, p.reader(response.Body)); err != nil {
		return fmt.Errorf("the export broke off: %w", withoutLink(err))
	}
	return nil
}

// withoutLink returns the error of a request without its address, which is a secret.
func withoutLink(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// intoFile calls write with a file of that path, which nobody else may read, or with out if
// the path is "-". A file is there as a whole or, if write fails, as it was before.
func intoFile(path string, out io.Writer, write func(io.Writer) error) error {
	if path == "-" {
		return write(out)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	err = write(temporary)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
