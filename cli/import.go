package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
)

const importLine = `roster import [flags] FILE plans the import of a file of users, tells what would become of it, and asks whether to apply it. FILE is - for the standard input.
roster import -apply FILE applies it without asking; roster import -plan FILE only plans it.
roster import -apply ID, -cancel ID, -undo ID go on with an import that is there, stop it, and take it back.`

// importFlags are what somebody wants of an import.
type importFlags struct {
	plan, apply, cancel, undo               bool
	format, onConflict, onUnknown, firebase string
	organization, report                    string
	columns                                 columns
}

// columns are the file's names of columns by ours.
type columns map[string]string

// String returns nothing: there is no default.
func (c columns) String() string { return "" }

// Set takes a pair such as "email=E-mail".
func (c columns) Set(pair string) error {
	ours, theirs, ok := strings.Cut(pair, "=")
	if !ok || ours == "" || theirs == "" {
		return errors.New("not a pair such as email=E-mail")
	}
	c[ours] = theirs
	return nil
}

func runImport(ctx context.Context, args []string, o Options) error {
	s, f := &server{}, importFlags{columns: columns{}}
	flags := newFlags("import", o, s)
	flags.BoolVar(&f.plan, "plan", false, "only plan")
	flags.BoolVar(&f.apply, "apply", false, "apply without asking")
	flags.BoolVar(&f.cancel, "cancel", false, "stop an import; what is in effect stays so")
	flags.BoolVar(&f.undo, "undo", false, "take back what an import has made and changed, except what somebody has changed since")
	flags.StringVar(&f.format, "format", "", "the `format` of the file: auto, csv, kinde-ndjson, kinde-export, auth0-export, auth0-password-hashes, auth0-bulk-json, firebase-ndjson or organizations-csv; found out from the file when not set")
	flags.StringVar(&f.onConflict, "on-conflict", "", "`what` becomes of a row whose user is there already: skip, update or fail; skip when not set")
	flags.StringVar(&f.onUnknown, "on-unknown", "", "`what` becomes of a row with an unknown role, permission or organization: fail, ignore or create-organizations; fail when not set")
	flags.StringVar(&f.organization, "organization", "", "the `code` of the organization for rows that name none; the default one when not set")
	flags.Var(f.columns, "column", "our name of a column and the file's as a `pair`, such as email=E-mail; may be repeated")
	flags.StringVar(&f.firebase, "firebase", "", "a JSON `file` with signerKey, saltSeparator, rounds and memoryCost of a Firebase project")
	flags.StringVar(&f.report, "report", "", "a CSV `file` to write, with what became of each row")
	rest, err := parse(flags, importLine, args, o)
	if err != nil {
		return err
	}
	wishes := 0
	for _, wish := range []bool{f.plan, f.apply, f.cancel, f.undo} {
		if wish {
			wishes++
		}
	}
	isID := len(rest) == 1 && strings.HasPrefix(rest[0], "import_")
	switch {
	case len(rest) != 1:
		return Usage("name one file, or one import; -help says how")
	case wishes > 1:
		return Usage("-plan, -apply, -cancel and -undo exclude one another")
	case (f.cancel || f.undo) && !isID:
		return Usage("-cancel and -undo are followed by the id of an import, such as import_01h455vb4pex5vsknk084sn02q")
	}
	input, err := f.input()
	if err != nil {
		return err
	}
	if err := s.open(o); err != nil {
		return err
	}
	im := &importing{server: s, Options: o, importFlags: f}
	if isID {
		im.id = rest[0]
		return im.goOn(ctx)
	}
	return im.begin(ctx, rest[0], input)
}

// input returns the input of planImport without the file.
func (f *importFlags) input() (object, error) {
	input := object{"file": nil}
	for _, one := range []struct {
		name, field, typed string
		values             []string
	}{
		{"format", "format", f.format, []string{"AUTO", "CSV", "KINDE_NDJSON", "KINDE_EXPORT", "AUTH0_EXPORT", "AUTH0_PASSWORD_HASHES", "AUTH0_BULK_JSON", "FIREBASE_NDJSON", "ORGANIZATIONS_CSV"}},
		{"on-conflict", "onConflict", f.onConflict, []string{"SKIP", "UPDATE", "FAIL"}},
		{"on-unknown", "onUnknown", f.onUnknown, []string{"FAIL", "IGNORE", "CREATE_ORGANIZATIONS"}},
	} {
		value, err := choice(one.name, one.typed, one.values...)
		if err != nil {
			return nil, err
		}
		if value != "" {
			input[one.field] = value
		}
	}
	if f.organization != "" {
		input["organization"] = object{"code": f.organization}
	}
	if len(f.columns) > 0 {
		input["columns"] = f.columns
	}
	if f.firebase != "" {
		text, err := os.ReadFile(f.firebase)
		if err != nil {
			return nil, Usage("-firebase: %w", err)
		}
		if !json.Valid(text) {
			return nil, Usage("-firebase: %s is no JSON", f.firebase)
		}
		input["firebase"] = json.RawMessage(text)
	}
	return input, nil
}

// begin plans the import of a file, and applies it if that is wished for.
func (im *importing) begin(ctx context.Context, path string, input object) error {
	file, size, name := im.In, int64(0), "stdin"
	if path != "-" {
		opened, err := os.Open(path)
		if err != nil {
			return Usage("%w", err)
		}
		defer opened.Close()
		info, err := opened.Stat()
		if err != nil {
			return err
		}
		file, size, name = opened, info.Size(), filepath.Base(path)
	}
	if err := im.upload(ctx, file, size, name, input); err != nil {
		return err
	}
	if err := im.watch(ctx, "PLANNING"); err != nil {
		return err
	}
	if err := im.tellPlan(ctx); err != nil {
		return err
	}
	if im.plan || !im.apply && !im.agreed() {
		fmt.Fprintf(im.Err, "Nothing is imported yet: roster import -apply %s does it.\n", im.id)
		return im.end(ctx)
	}
	return im.carryOut(ctx)
}

// goOn does what is wished for with an import that is there.
func (im *importing) goOn(ctx context.Context) error {
	if err := im.look(ctx); err != nil {
		return err
	}
	switch {
	case im.cancel:
		if err := im.act(ctx, "cancelImport"); err != nil {
			return err
		}
		im.tell()
		return nil
	case im.undo:
		if err := im.act(ctx, "undoImport"); err != nil {
			return err
		}
		if err := im.watch(ctx, "UNDOING"); err != nil {
			return err
		}
		im.tell()
		return im.writeReport(ctx)
	case im.apply:
		return im.carryOut(ctx)
	}
	if err := im.watch(ctx, im.state.Status); err != nil {
		return err
	}
	if err := im.tellPlan(ctx); err != nil {
		return err
	}
	return im.end(ctx)
}

// carryOut applies the import, and tells what became of it.
func (im *importing) carryOut(ctx context.Context) error {
	if err := im.act(ctx, "applyImport"); err != nil {
		return err
	}
	if err := im.watch(ctx, "APPLYING"); err != nil {
		return err
	}
	im.tell()
	return im.end(ctx)
}

// end writes the report, if one is wished for, and returns an error if rows have failed.
func (im *importing) end(ctx context.Context) error {
	if err := im.writeReport(ctx); err != nil {
		return err
	}
	if n := im.state.Failures; n > 0 {
		return exitError{fmt.Errorf("%s of %s", plural(n, "row fails", "rows fail"), im.state.FileName), exitRows}
	}
	return nil
}

// agreed asks whether to apply, and reports whether the answer is yes. It reports false if
// nobody can answer.
func (im *importing) agreed() bool {
	if !im.Answers {
		return false
	}
	fmt.Fprint(im.Err, "Apply it? [y/N] ")
	line, _ := bufio.NewReader(im.In).ReadString('\n')
	said := strings.ToLower(strings.TrimSpace(line))
	return said == "y" || said == "yes"
}

// upload sends the file with planImport, as it is read (GraphQL multipart request
// specification, version 2).
func (im *importing) upload(ctx context.Context, file io.Reader, size int64, name string, input object) error {
	operations, err := json.Marshal(object{
		"query":     `mutation($input: PlanImportInput!) { planImport(input: $input) { import { ` + importFields + ` } } }`,
		"variables": object{"input": input},
	})
	if err != nil {
		return err
	}
	p := newProgress(im.Options, "sent", size, true)
	defer p.end()
	body, sink := io.Pipe()
	defer body.Close() // the server may answer before it has read all
	form := multipart.NewWriter(sink)
	go func() {
		sink.CloseWithError(writeForm(form, operations, name, p.reader(file)))
	}()
	var planned struct{ PlanImport struct{ Import state } }
	if err := im.send(ctx, form.FormDataContentType(), body, &planned); err != nil {
		return fmt.Errorf("the file was not taken: %w", err)
	}
	im.state = planned.PlanImport.Import
	im.id = im.state.ID
	return nil
}

func writeForm(form *multipart.Writer, operations []byte, name string, file io.Reader) error {
	if err := form.WriteField("operations", string(operations)); err != nil {
		return err
	}
	if err := form.WriteField("map", `{"0":["variables.input.file"]}`); err != nil {
		return err
	}
	part, err := form.CreateFormFile("0", name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, file); err != nil {
		return err
	}
	return form.Close()
}
