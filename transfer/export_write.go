package transfer

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"

	"roster/db"
	"roster/transfer/format"
)

// exportFile writes users in one format.
type exportFile interface {
	write(u *exportedUser) error
	// close writes what is still to be written.
	close() error
}

// bufferSize is how much of a file is written at a time, in bytes.
const bufferSize = 64 << 10

func newExportFile(w io.Writer, e *db.Export) exportFile {
	buffered := bufio.NewWriterSize(w, bufferSize)
	if e.Format == db.ExportNDJSON {
		file := &ndjsonFile{buffered, json.NewEncoder(buffered)}
		file.json.SetEscapeHTML(false)
		return file
	}
	return &csvFile{rows: csv.NewWriter(buffered), hashes: e.Hashes}
}

// csvFile is comma separated values by RFC 4180, in UTF-8: one row for each organization of a
// user.
type csvFile struct {
	rows   *csv.Writer
	begun  bool
	hashes bool
}

// csvColumns are the columns of each file; one with hashes has hashed_password, too.
var csvColumns = []string{
	"roster_id", "email", "email_verified", "phone", "username", "first_name", "last_name", "picture_url", "id", "status",
	"external_organization_id", "role_keys", "permission_keys", "properties",
}

func (f *csvFile) write(u *exportedUser) error {
	if err := f.begin(); err != nil {
		return err
	}
	var places []exportedPlace
	if err := json.Unmarshal(u.Organizations, &places); err != nil {
		return err
	}
	if len(places) == 0 {
		places = []exportedPlace{{}} // they left the last one while they were read
	}
	verified := "FALSE"
	if u.EmailVerified {
		verified = "TRUE"
	}
	for _, place := range places {
		row := []string{
			u.ID.String(), orEmpty(u.Email), verified, orEmpty(u.Phone), orEmpty(u.Username), orEmpty(u.GivenName), orEmpty(u.FamilyName), orEmpty(u.PictureURL), orEmpty(u.ExternalID), string(u.Status),
			place.Organization, strings.Join(place.Roles, ","), strings.Join(place.Permissions, ","), string(u.Properties),
		}
		if f.hashes {
			row = append(row, orEmpty(u.PasswordHash))
		}
		if err := f.writeRow(row); err != nil {
			return err
		}
	}
	return nil
}

// begin writes the row with the names of the columns, once.
func (f *csvFile) begin() error {
	if f.begun {
		return nil
	}
	f.begun = true
	columns := csvColumns
	if f.hashes {
		columns = append(columns[:len(columns):len(columns)], "hashed_password")
	}
	return f.writeRow(columns)
}

func (f *csvFile) writeRow(row []string) error {
	guarded := make([]string, len(row))
	for i, cell := range row {
		guarded[i] = format.Guard(cell)
	}
	return f.rows.Write(guarded)
}

func (f *csvFile) close() error {
	if err := f.begin(); err != nil {
		return err
	}
	f.rows.Flush()
	return f.rows.Error()
}

// ndjsonFile is one JSON object on each line, for each user.
type ndjsonFile struct {
	*bufio.Writer
	json *json.Encoder
}

// ndjsonUser is an object of the file.
type ndjsonUser struct {
	RosterID      string          `json:"roster_id"`
	Email         *string         `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Phone         *string         `json:"phone"`
	Username      *string         `json:"username"`
	FirstName     *string         `json:"first_name"`
	LastName      *string         `json:"last_name"`
	PictureURL    *string         `json:"picture_url"`
	ID            *string         `json:"id"`
	Status        db.Status       `json:"status"`
	Properties    json.RawMessage `json:"properties"`
	Password      *ndjsonPassword `json:"password,omitempty"`
	Organizations json.RawMessage `json:"organizations"`
	Identities    json.RawMessage `json:"identities"`
}

type ndjsonPassword struct {
	Hash string `json:"hashed_password"`
}

func (f *ndjsonFile) write(u *exportedUser) error {
	line := ndjsonUser{
		RosterID: u.ID.String(), Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, Username: u.Username, FirstName: u.GivenName, LastName: u.FamilyName,
		PictureURL: u.PictureURL, ID: u.ExternalID, Status: u.Status, Properties: u.Properties, Organizations: u.Organizations, Identities: u.Identities,
	}
	if u.PasswordHash != nil {
		line.Password = &ndjsonPassword{*u.PasswordHash}
	}
	return f.json.Encode(line)
}

func (f *ndjsonFile) close() error { return f.Flush() }

// orEmpty returns the text, or an empty one if it is nil.
func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
