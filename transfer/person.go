package transfer

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"roster/db"
	"roster/directory"
	"roster/transfer/format"
)

// This file turns records of a file into people who arrive.

// namesKnown are the organizations, roles and permissions that a batch of records names.
type namesKnown struct {
	organizations map[string]db.OrganizationID
	roles         map[string]db.RoleID
	permissions   map[string]db.PermissionID
}

// namedIn looks up what the records name.
func (j *job) namedIn(ctx context.Context, records []format.Record) (*namesKnown, error) {
	organizations, roles, permissions := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range records {
		if org := records[i].Organization; org != nil {
			organizations[org.ExternalID] = true
		}
		for _, place := range records[i].Organizations {
			organizations[place.Organization] = true
			for _, key := range place.Roles {
				roles[key] = true
			}
			for _, key := range place.Permissions {
				permissions[key] = true
			}
		}
	}
	known := &namesKnown{}
	var err error
	if known.organizations, err = j.Directory.OrganizationsNamed(ctx, keysOf(organizations)); err != nil {
		return nil, err
	}
	known.roles, known.permissions, err = j.Directory.TargetsNamed(ctx, keysOf(roles), keysOf(permissions))
	return known, err
}

func keysOf(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		if key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// newRow returns the row of a record, with what is wrong with it by itself.
func (j *job) newRow(im *db.Import, record *format.Record, known *namesKnown) *row {
	r := &row{record: record, report: db.ImportRow{ImportID: im.ID, Line: record.Line}}
	for _, f := range record.Errors {
		r.errors = append(r.errors, rowFault(f))
	}
	for _, f := range record.Warnings {
		r.warnings = append(r.warnings, rowFault(f))
	}
	if record.Email != "" && len(record.Email) <= maxEmailShown {
		r.report.Email = &record.Email
	}
	if len(r.errors) > 0 {
		return r
	}
	if record.Organization != nil {
		r.report.Outcome = db.ImportCreate
		if _, there := known.organizations[record.Organization.ExternalID]; there {
			r.report.Outcome = db.ImportUpdate
		}
		return r
	}
	r.arrival = newArrival(record)
	for _, f := range r.arrival.Clean() {
		r.errors = append(r.errors, columnFault(f, j.reading.Column))
	}
	j.place(im, r, known)
	return r
}

// maxEmailShown is the longest text that a report shows as an address, in bytes.
const maxEmailShown = 1000

// newArrival returns the person whom the record describes, without places.
func newArrival(record *format.Record) *directory.Arrival {
	a := &directory.Arrival{
		User: db.NewID[db.UserKind](), Email: given(record.Email), Username: given(record.Username), Phone: given(record.Phone), GivenName: given(record.GivenName),
		FamilyName: given(record.FamilyName), PictureURL: given(record.PictureURL), ExternalID: given(record.ExternalID),
		EmailVerified: record.EmailVerified, Suspended: record.Suspended != nil && *record.Suspended, PasswordHash: record.PasswordHash,
	}
	if id, err := db.ParseID[db.UserKind](record.ID); err == nil {
		a.Known = id
	}
	if record.ExternalIDAlias != "" {
		a.OtherIDs = []string{record.ExternalIDAlias}
	}
	if len(record.Properties) > 0 {
		text, err := json.Marshal(record.Properties)
		if err != nil {
			text = []byte("[]") // which is refused: the reader took something else for JSON
		}
		a.Properties = text
	}
	for _, identity := range record.Identities {
		a.Identities = append(a.Identities, directory.ForeignAccount(identity))
	}
	return a
}

// given returns a pointer to a text, or nil for an empty one.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// place adds the places that the record names to the person.
func (j *job) place(im *db.Import, r *row, known *namesKnown) {
	ignore := OnUnknown(im.OnUnknown) == UnknownIgnored
	placements := r.record.Organizations
	if len(placements) == 0 {
		placements = []format.Placement{{}}
	}
	// unknown notes that something does not exist: as a warning or an error.
	unknown := func(code, what, name, column string) {
		fault := rowFault{code, "There is no " + what + " " + strconv.Quote(cut(name)) + ".", column}
		if ignore {
			fault.Message += " It was left out."
			r.warnings = append(r.warnings, fault)
			return
		}
		r.errors = append(r.errors, fault)
	}
	for _, named := range placements {
		place := directory.Place{Organization: im.OrgID, Fallback: named.Organization == ""}
		if named.Organization != "" {
			id, there := known.organizations[named.Organization]
			switch {
			case there:
				place.Organization = id
			case OnUnknown(im.OnUnknown) == UnknownOrganizationsMade:
				place.Organization, place.Make = db.OrganizationID{}, named.Organization
			default:
				unknown(directory.CodeUnknownOrganization, "organization", named.Organization, named.Column)
				continue
			}
		}
		for _, key := range named.Roles {
			if id, there := known.roles[key]; there {
				place.Roles = append(place.Roles, id)
			} else {
				unknown(directory.CodeUnknownRole, "role", key, j.reading.Column("role_keys"))
			}
		}
		for _, key := range named.Permissions {
			if id, there := known.permissions[key]; there {
				place.Permissions = append(place.Permissions, id)
			} else {
				unknown(directory.CodeUnknownPermission, "permission", key, j.reading.Column("permission_keys"))
			}
		}
		r.arrival.Places = append(r.arrival.Places, place)
	}
	if len(r.arrival.Places) == 0 { // all were unknown, and are ignored
		r.arrival.Places = []directory.Place{{Organization: im.OrgID, Fallback: true}}
	}
}

// cut returns what a message shows of a text.
func cut(text string) string {
	const most = 100
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// columnNames are the columns of files by the fields of people.
var columnNames = map[string]string{
	"email": "email", "username": "username", "phone": "phone", "givenName": "first_name", "familyName": "last_name", "pictureUrl": "picture_url",
	"externalId": "id", "properties": "properties", "identities": "identities", "places": "external_organization_id",
}

// columnFault returns the fault as reports show it; column returns the file's name of one of
// our columns.
func columnFault(f directory.ArrivalFault, column func(string) string) rowFault {
	if f.Code == directory.CodeForbidden {
		f.Code = directory.CodeEscalation
	}
	field, _, _ := strings.Cut(f.Field, ".")
	name := columnNames[field]
	if name != "" {
		name = column(name)
	}
	return rowFault{f.Code, f.Message, name}
}
